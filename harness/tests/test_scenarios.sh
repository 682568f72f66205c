#!/usr/bin/env bash
# Every scenario on the core in virtual time, and side by side on mocks over TCP.
set -euo pipefail
rejoin=$1
timeout 120 "$rejoin" run harness/scenarios
timeout 120 "$rejoin" run --target mock --longest 10s harness/scenarios
