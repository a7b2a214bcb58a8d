# SPDX-License-Identifier: Apache-2.0
# Sourced by scripts that run tests: their temporary files are in memory, if there is room. Many tests wait for
# fsync, which takes no time there.
if [[ -z ${TMPDIR:-} && -w /dev/shm ]] && (($(df --output=avail -k /dev/shm | tail -1) > 4 << 20)); then
  TMPDIR=$(mktemp -d -p /dev/shm retort-test.XXXXXX)
  export TMPDIR TEST_TMPDIR=$TMPDIR
  trap 'rm -rf "$TMPDIR"' EXIT
fi
