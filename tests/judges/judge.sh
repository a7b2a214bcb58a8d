#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# judge.sh TEST BUILD: runs a judge's test with what it needs, or says why it skips (status 77).
# The test is called with the folder of the built programs, and an npm one lies where its packages are.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
test=$1 build=$2

skip() { echo "SKIP: $*"; exit 77; }

export RETORT_SHARED=${RETORT_SHARED:-$root/../shared}
export RETORT_JUDGES=${RETORT_JUDGES:-$root/build/judges}  # node_modules of scripts/setup --judges

case $test in
  *.py)
    python=/usr/bin/python3  # Debian's, for which the packages are
    [[ -x $python ]] || skip "needs $python"
    "$python" -c 'import numpy' 2>/dev/null || skip "needs Debian's python3-numpy (scripts/setup --judges)"
    PYTHONDONTWRITEBYTECODE=1 exec "$python" "$here/$test" "$build"
    ;;
  *.mjs)
    command -v node >/dev/null || skip "needs node 20 or newer"
    [[ -d $RETORT_JUDGES/node_modules ]] || skip "needs npm packages (scripts/setup --judges)"
    cp "$here/$test" "$RETORT_JUDGES/"
    exec node "$RETORT_JUDGES/$test" "$build"
    ;;
  *) exec "$here/$test" "$build" ;;
esac
