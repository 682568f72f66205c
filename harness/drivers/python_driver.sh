# Sourced by the drivers of Python clients: python_driver PACKAGE==VERSION DIRECTORY
# Runs DIRECTORY/consumer.py in a virtual environment of its own that holds the package.
# shellcheck shell=bash
set -euo pipefail

python_driver() {
  local requirement=$1 directory=$2
  local venv=${REJOIN_CACHE:-$HOME/.cache/rejoin}/drivers/${requirement//[^A-Za-z0-9.]/-}
  if [ ! -e "$venv/ready" ]; then
    (
      mkdir -p "$(dirname "$venv")"
      flock 9
      [ -e "$venv/ready" ] && exit 0
      python3 -m venv "$venv" && "$venv/bin/pip" install --quiet --disable-pip-version-check "$requirement" && touch "$venv/ready"
    ) 9>"$venv.lock" >&2 || { echo "SKIPPED: $requirement cannot be installed (needs python3-venv and PyPI)"; exit 77; }
  fi
  exec "$venv/bin/python" "$directory/consumer.py"
}
