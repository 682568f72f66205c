# Every flag with its reason. rejoin_warnings(TARGET) sets them on one target.
function(rejoin_warnings target)
  target_compile_options(${target} PRIVATE
    -Wall -Wextra               # the compilers' own idea of what is suspicious
    -Wshadow                    # two things of one name in one scope hide each other
    -Wstrict-prototypes         # f() takes anything
    -Wmissing-prototypes        # a function that is neither static nor in a header
    -Wpointer-arith             # arithmetic on void* is not C
    -Wwrite-strings             # string literals are const
    -Wcast-qual                 # a cast must not drop const unseen
    -Wundef                     # a mistyped macro name in #if counts as 0
    -Wvla                       # a stack size taken from data is an attack
    -Wformat=2                  # format strings are literals
    -Wimplicit-fallthrough      # a missing break
    -Wenum-conversion           # rj_err, Kafka's codes and rules are different numbers
    -Wswitch-enum               # a new enumerator must be thought of everywhere
  )
  # Left out: -Wconversion (the wire format is all narrowing, checked where it is read), -Wpadded (layout is not an ABI).
  if(REJOIN_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
endfunction()
