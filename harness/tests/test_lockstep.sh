#!/usr/bin/env bash
# The core and Kafka's own coordinator, in lock-step on random sequences of operations: harness/oracle/lockstep.py.
# LOCKSTEP_SEQUENCES and LOCKSTEP_KAFKA set how many and which release.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
version=${LOCKSTEP_KAFKA:-4.1.1}
echo '{"op":"config"}' | "$root/harness/oracle/run" "$version" >/dev/null || {
  code=$?
  [ $code -eq 77 ] && { echo "SKIPPED: Kafka's jars or a JDK are missing; 'ci/kafka fetch $version' brings the jars"; exit 77; }
  exit $code
}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
python3 "$root/harness/oracle/lockstep.py" --rejoin "$1" --oracle "$root/harness/oracle/run" --release "$version" \
  --sequences "${LOCKSTEP_SEQUENCES:-60}" --out "$out" || { code=$?; cat "$out"/* 2>/dev/null; exit $code; }
