#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# judge.sh TEST BUILD [MORE]: runs a judge's test with what it needs, or prints why it is skipped (status 77).
# The test is called with the folder of the built programs and MORE; RETORT_JUDGES names the folder that
# scripts/judges prepares, RETORT_SHARED the one with real models and text.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
test=$1 build=$2
shift 2

skip() { echo "SKIP: $*"; exit 77; }

export RETORT_SHARED=${RETORT_SHARED:-$root/../shared}
RETORT_JUDGES=$("$root/scripts/judges" --folder)
export RETORT_JUDGES

case $test in
  *.py)
    python=$RETORT_JUDGES/python/bin/python
    "$python" -c 'import numpy, torch' 2>/dev/null || skip "needs the Python packages of scripts/judges"
    # Judges run beside each other: threads that spin while they wait take the others' time.
    export PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false OMP_WAIT_POLICY=passive
    exec "$python" "$here/$test" "$build" "$@"
    ;;
  *) exec "$here/$test" "$build" "$@" ;;
esac
