# Sanitizers and coverage for everything that is built; set by the presets asan, fuzz and cov.
if(REJOIN_SANITIZE)
  add_compile_options(-fsanitize=${REJOIN_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${REJOIN_SANITIZE})
endif()
if(REJOIN_COVERAGE)
  add_compile_options(--coverage)
  add_link_options(--coverage)
endif()
