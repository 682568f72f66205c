# Sourced by the drivers of Go clients: go_driver DIRECTORY MINIMAL_GO_VERSION [ARGUMENT...]
# Builds DIRECTORY into the cache when its source is newer than what is there, and runs it.
# shellcheck shell=bash
set -euo pipefail

go_driver() {
  local directory=$1 wanted=$2 name found binary
  name=$(basename "$directory")
  binary=${REJOIN_CACHE:-$HOME/.cache/rejoin}/drivers/$name-$(cat "$directory"/*.go "$directory"/go.* | sha256sum | cut -c1-12)
  if [ ! -x "$binary" ]; then
    found=$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null | sed 's/^go//') || true
    if [ -z "$found" ] || [ "$(printf '%s\n%s\n' "$wanted" "$found" | sort -V | head -n 1)" != "$wanted" ]; then
      echo "SKIPPED: $name needs Go $wanted or newer (found: ${found:-none})"
      exit 77
    fi
    mkdir -p "$(dirname "$binary")"
    (cd "$directory" && GOTOOLCHAIN=local GOFLAGS=-mod=mod go build -o "$binary.$$" . && mv "$binary.$$" "$binary") >&2 ||
      { echo "SKIPPED: $name cannot be built (needs the Go module proxy)"; exit 77; }
  fi
  exec "$binary" "${@:3}"
}
