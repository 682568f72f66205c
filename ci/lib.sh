# Shared by the commands in ci/: sourced, never run. Bash 5, Debian 12's tools, Python 3's standard library.
# shellcheck shell=bash

set -euo pipefail

REJOIN_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
REJOIN_CACHE=${REJOIN_CACHE:-$HOME/.cache/rejoin}
export REJOIN_CACHE

say() { printf '%s\n' "$*" >&2; }
die() { say "${0##*/}: $*"; exit 4; }
usage_error() { say "${0##*/}: $*"; say "Try: ci/${0##*/} --help"; exit 3; }

# A command's --help is the comment that opens its file.
print_help() {
  awk 'NR == 1 { next } /^#/ { sub(/^# ?/, ""); print; next } { exit }' "$0"
  exit 0
}

# A missing piece is no pass: tests say what is missing and leave with this.
skip() { printf 'SKIPPED: %s\n' "$*"; exit 77; }

now_ms() { date +%s%3N; }

# --- time spent on downloads and installations, kept apart from the rest -----------------------------------------

# Runs a command whose time counts as downloading. The first caller's REJOIN_FETCH_TIMES is shared with the commands
# that it starts.
fetching() {
  local started status=0
  started=$(now_ms)
  "$@" || status=$?
  if [ -n "${REJOIN_FETCH_TIMES:-}" ]; then
    echo $(($(now_ms) - started)) >>"$REJOIN_FETCH_TIMES"
  fi
  return $status
}

# Opens the account; the file goes away with the shell that opened it.
start_clock() {
  REJOIN_STARTED_MS=$(now_ms)
  if [ -z "${REJOIN_FETCH_TIMES:-}" ]; then
    REJOIN_FETCH_TIMES=$(mktemp)
    export REJOIN_FETCH_TIMES
    trap 'rm -f "$REJOIN_FETCH_TIMES"' EXIT
  fi
}

# Prints "total 61.2 s, of which downloads and installations 40.1 s, the rest 21.1 s".
print_clock() {
  local total fetched
  total=$(($(now_ms) - REJOIN_STARTED_MS))
  fetched=$(awk '{ sum += $1 } END { print sum + 0 }' "$REJOIN_FETCH_TIMES")
  awk -v t="$total" -v f="$fetched" 'BEGIN {
    printf "total %.1f s, of which downloads and installations %.1f s, ", t / 1000, f / 1000
    printf "the rest %.1f s\n", (t - f) / 1000 }'
}

# --- Debian packages ---------------------------------------------------------------------------------------------

# What a piece is recognised by, and the Debian 12 package that brings it.
piece_table() {
  cat <<'TABLE'
gcc        command gcc          gcc
libc       file /usr/include/stdio.h libc6-dev
clang      command clang-19     clang-19
clang-rt   glob /usr/lib/llvm-19/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a libclang-rt-19-dev
afl        command afl-clang-fast afl++
afl-rt     glob /usr/lib/llvm-*/lib/clang/14*/lib/linux/libclang_rt.asan-x86_64.a libclang-rt-14-dev
cmake      command cmake        cmake
ninja      command ninja        ninja-build
python     command python3      python3
venv       module ensurepip     python3-venv
git        command git          git
pkgconfig  command pkg-config   pkg-config
libuv      library libuv        libuv1-dev
jansson    library jansson      libjansson-dev
libpcap    library libpcap      libpcap-dev
zlib       library zlib         zlib1g-dev
lz4        library liblz4       liblz4-dev
zstd       library libzstd      libzstd-dev
snappy     file /usr/include/snappy-c.h libsnappy-dev
openssl    library openssl      libssl-dev
cmocka     library cmocka       libcmocka-dev
kcat       command kcat         kcat
rdkafka    library rdkafka      librdkafka-dev
tshark     command tshark       tshark
dumpcap    command dumpcap      wireshark-common
java       command java         openjdk-17-jre-headless
javac      command javac        openjdk-17-jdk-headless
maven      command mvn          maven
ctags      ctags -              universal-ctags
gcov       command gcov         gcc
cross-s390x command s390x-linux-gnu-gcc gcc-s390x-linux-gnu
cross-i686 command i686-linux-gnu-gcc gcc-i686-linux-gnu
cross-armhf command arm-linux-gnueabihf-gcc gcc-arm-linux-gnueabihf
cross-armhf-libc file /usr/arm-linux-gnueabihf/lib/crti.o libc6-dev-armhf-cross
cross-s390x-libc file /usr/s390x-linux-gnu/lib/crti.o libc6-dev-s390x-cross
cross-i686-libc file /usr/i686-linux-gnu/lib/crti.o libc6-dev-i386-cross
qemu       command qemu-s390x   qemu-user
TABLE
}

# have_piece KIND WHAT
have_piece() {
  case $1 in
    command) command -v "$2" >/dev/null ;;
    file) [ -e "$2" ] ;;
    glob) compgen -G "$2" >/dev/null ;;
    library) command -v pkg-config >/dev/null && pkg-config --exists "$2" ;;
    module) command -v python3 >/dev/null && python3 -c "import $2" 2>/dev/null ;;
    ctags) command -v ctags >/dev/null && ctags --version 2>/dev/null | grep -q 'Universal Ctags' ;;
  esac
}

# missing_packages PIECE...: prints the packages to install, one a line.
missing_packages() {
  local piece kind what package
  for piece in "$@"; do
    read -r _ kind what package < <(piece_table | awk -v p="$piece" '$1 == p') || die "no such piece: $piece"
    have_piece "$kind" "$what" || echo "$package"
  done | sort -u
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  else
    sudo -n -- "$@"
  fi
}

can_install() {
  command -v apt-get >/dev/null || return 1
  [ "$(id -u)" = 0 ] && return 0
  command -v sudo >/dev/null && sudo -n true 2>/dev/null
}

# The lists are refreshed only where what they name is gone, or where there are none yet.
apt_install() {
  local install=(env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends)
  as_root "${install[@]}" "$@" >/dev/null 2>&1 && return 0
  as_root apt-get update -qq >&2 && as_root "${install[@]}" "$@" >/dev/null
}

# try_pieces PIECE...: installs what is missing. Returns 1, after saying what to install, where it cannot.
try_pieces() {
  local packages=()
  mapfile -t packages < <(missing_packages "$@")
  [ ${#packages[@]} = 0 ] && return 0
  if ! can_install; then
    say "Missing Debian packages. Install them with: sudo apt-get install --no-install-recommends ${packages[*]}"
    return 1
  fi
  say "Installing ${packages[*]}"
  mkdir -p "$REJOIN_CACHE"
  exec {apt_lock}>"$REJOIN_CACHE/apt.lock"
  flock "$apt_lock"
  fetching apt_install "${packages[@]}" || { say "apt-get could not install: ${packages[*]}"; return 1; }
  exec {apt_lock}>&-
}

need_pieces() { try_pieces "$@" || exit 4; }

# --- Maven Central and PyPI --------------------------------------------------------------------------------------

# fetch_jars FOLDER GROUP:ARTIFACT:VERSION...: the jars and all that they need, by Maven's own settings. Once: a folder
# that is there is complete, because it is moved into place as the last step.
fetch_jars() {
  local folder=$1 partial jars_lock
  shift
  [ -d "$folder" ] && return 0
  try_pieces java maven || return 1
  mkdir -p "$(dirname "$folder")"
  exec {jars_lock}>"$folder.lock"
  flock "$jars_lock"
  if [ ! -d "$folder" ]; then
    say "Fetching ${*} from Maven Central"
    partial=$(mktemp -d "$folder.partial.XXXXXX")
    write_pom "$@" >"$partial/pom.xml"
    if ! fetching run_maven -f "$partial/pom.xml" \
        org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory="$partial/jars" >&2; then
      rm -rf "$partial"
      say "mvn could not fetch $*; its messages stand above"
      return 1
    fi
    # Kafka 3.9 brings a second logger, which would win over slf4j-simple and then print nothing.
    rm -f "$partial"/jars/slf4j-reload4j-*.jar
    mv "$partial/jars" "$folder"
    rm -rf "$partial"
  fi
  exec {jars_lock}>&-
}

# Maven without the colour codes that it prints even to a file.
run_maven() {
  mvn -q -B "$@" 2>&1 | sed 's/\x1b\[[0-9;]*m//g; /^$/d'
}

write_pom() {
  local coordinates
  echo '<project><modelVersion>4.0.0</modelVersion><groupId>rejoin</groupId><artifactId>jars</artifactId>'
  echo '<version>1</version><dependencies>'
  for coordinates in "$@"; do
    IFS=: read -r group artifact version <<<"$coordinates"
    echo "<dependency><groupId>$group</groupId><artifactId>$artifact</artifactId>"
    echo "<version>$version</version></dependency>"
  done
  echo '</dependencies></project>'
}

# kafka_tool RELEASE NAME: the class of one of Kafka's tools; some are, or were in 3.9, among the broker's.
kafka_tool() {
  case $1/$2 in
    */ConfigCommand) echo "kafka.admin.$2" ;;
    3.*/ConsoleProducer) echo "kafka.tools.$2" ;;
    *) echo "org.apache.kafka.tools.$2" ;;
  esac
}

# kafka_jars VERSION: prints the folder with the broker, the tools and the clients of that release.
kafka_jars() {
  local folder=$REJOIN_CACHE/kafka-$1
  fetch_jars "$folder" "org.apache.kafka:kafka_2.13:$1" "org.apache.kafka:kafka-tools:$1" \
    org.slf4j:slf4j-simple:1.7.36 || return 1
  echo "$folder"
}

# python_venv NAME REQUIREMENT...: prints the interpreter of a virtual environment that holds them.
python_venv() {
  local folder=$REJOIN_CACHE/venv-$1 venv_lock
  shift
  if [ ! -e "$folder/complete" ]; then
    try_pieces python venv || return 1
    mkdir -p "$REJOIN_CACHE"
    exec {venv_lock}>"$folder.lock"
    flock "$venv_lock"
    if [ ! -e "$folder/complete" ]; then
      say "Installing $* from PyPI"
      { python3 -m venv "$folder" && fetching "$folder/bin/pip" install -q "$@"; } >&2 || return 1
      touch "$folder/complete"
    fi
    exec {venv_lock}>&-
  fi
  echo "$folder/bin/python"
}

# A port that was free a moment ago.
free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# source_files GLOB...: what is under version control, or in a copy without git everything but build/ and out/.
source_files() {
  local glob names=()
  cd "$REJOIN_ROOT"
  git ls-files --cached --others --exclude-standard -- "$@" 2>/dev/null && return 0
  for glob in "$@"; do
    names+=(-o -name "$glob")
  done
  find . \( -path ./build -o -path ./out -o -path ./.git \) -prune -o -type f \( "${names[@]:1}" \) -print | sed 's#^\./##'
}

# --- building ----------------------------------------------------------------------------------------------------

BUILD_PIECES="gcc libc cmake ninja python pkgconfig libuv jansson libpcap zlib lz4 zstd snappy openssl"

# build_preset PRESET [TARGET]: all of it, or the target and what it needs.
# 0 built, 1 it does not build, 3 there is no such preset, 4 a package is missing. One at a time for each preset.
build_preset() {
  mkdir -p "$REJOIN_ROOT/build"
  (
    flock 9
    build_preset_now "$@"
  ) 9>"$REJOIN_ROOT/build/$1.lock"
}

build_preset_now() {
  local pieces="$BUILD_PIECES"
  case $1 in
    dev | asan | cov) pieces+=" cmocka" ;;
    clang) pieces+=" cmocka clang" ;;
    fuzz) pieces+=" clang clang-rt" ;;
    afl) pieces+=" afl afl-rt" ;;
    release | knockout) ;;
    *) usage_error "no preset '$1': dev, asan, clang, fuzz, afl, cov, knockout or release" ;;
  esac
  # shellcheck disable=SC2086
  try_pieces $pieces || return 4
  cd "$REJOIN_ROOT"
  if command -v ccache >/dev/null; then
    export CMAKE_C_COMPILER_LAUNCHER=${CMAKE_C_COMPILER_LAUNCHER-ccache}
  fi
  export CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}
  local without_tests=()
  [ "$1" != release ] || without_tests=(-DREJOIN_TESTS=OFF)
  cmake --preset "$1" "${without_tests[@]}" >/dev/null || return 1
  cmake --build --preset "$1" ${2:+--target "$2"} >&2 || return 1
}

# --- tests, one by one -------------------------------------------------------------------------------------------

passed=0
failed=0
skipped=0

count() {
  case $1 in
    passed) passed=$((passed + 1)) ;;
    failed) failed=$((failed + 1)) ;;
    skipped) skipped=$((skipped + 1)) ;;
  esac
}

# One script of ci/tests.d or ci/nightly.d: 0 passed, 77 skipped with a line "SKIPPED: why", anything else failed.
run_script() {
  local name log status=0 started
  name=$(basename "$1")
  log=$results/$name.log
  started=$(now_ms)
  timeout --kill-after=10 "${SCRIPT_TIMEOUT_S:-900}" "$1" >"$log" 2>&1 </dev/null || status=$?
  if [ $status = 0 ]; then
    count passed
  elif [ $status = 77 ] && grep -q '^SKIPPED: .' "$log"; then
    count skipped
    printf '  SKIPPED  %s: %s\n' "$name" "$(sed -n 's/^SKIPPED: //p' "$log" | tail -n 1)"
  else
    count failed
    tail -n 20 "$log" | sed 's/^/    /'
    printf '  FAILED   %s (exit %s), the whole log: %s\n' "$name" "$status" "$log"
  fi
  printf '%-44s %6.1f s\n' "$name" "$((($(now_ms) - started) / 100))e-1"
}

# The last line says how it went; so does what this returns.
print_totals() {
  print_clock
  [ $((passed + failed)) -gt 0 ] || { say "nothing was tested"; exit 5; }
  echo "$passed passed, $failed failed, $skipped skipped"
  [ $failed = 0 ]
}

# --- the core's library ------------------------------------------------------------------------------------------

# check_symbols LIBRARY ARCHITECTURE [NM]: what the library leaves undefined is named for the architecture in
# ci/symbols.allowed, it holds no variable that could change, and its names start with rj_, or with a dot in them are the
# compiler's (i386: __x86.get_pc_thunk.bx), which no program can have.
check_symbols() {
  local allowed
  allowed=$(awk -v machine="$2" '!/^#/ && ($1 == "any" || $1 == machine) { for (i = 2; i <= NF; i++) print $i }' \
    "$REJOIN_ROOT/ci/symbols.allowed" | paste -sd '|')
  "${3:-nm}" -f sysv "$1" | tr -d ' ' | awk -F'|' -v allowed="^($allowed)$" -v machine="$2" '
    $3 == "U" { wanted[$1] = 1 }
    $3 ~ /^[A-TV-Z]$/ { defined[$1] = 1 }
    $3 ~ /^[A-TV-Z]$/ && $1 !~ /^rj_/ && $1 !~ /[.]/ { print "could clash with a name of the program: " $1; bad++ }
    $7 ~ /^(\.data|\.bss|\*COM\*|\.tdata|\.tbss)/ && $7 !~ /^\.data\.rel\.ro/ {
      print "a variable that can change: " $1; bad++ }
    END {
      for (s in wanted) if (!(s in defined)) { list = list " " s; if (s !~ allowed) { print "needs from its host: " s; bad++ } }
      for (s in defined) count++
      printf "%s: %d symbols defined, %d complaints; needs%s\n", machine, count, bad, list
      exit bad > 0 || count < 10
    }'
}
