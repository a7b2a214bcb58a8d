#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# isa_test.sh RETORT: RETORT_ISA runs the whole program with each instruction set of the processor, with the
# same results except for rounding, and rejects others in one line that lists the available ones.
set -euo pipefail
retort=$1
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
cd "$stage"

failures=0
fail() {
  printf 'FAILED %s\n' "$*"
  failures=$((failures + 1))
}

"$retort" init --shape 3,96,4,2,160,300 --out model --seed 3 >/dev/null
logits() { RETORT_ISA=$1 "$retort" logits model --tokens "$(seq -s, 3 60)" --out "$2" --compute f32 >/dev/null 2>err; }

status=0
logits nonsense none || status=$?
[[ $status == 2 && $(wc -l <err) == 1 && ! -e none ]] || fail "an unknown set: status $status: $(cat err)"
grep -qE 'RETORT_ISA.*"nonsense".*available: portable' err || fail "an unknown set: $(cat err)"
available=$(sed 's/.*available: //; s/,//g' err)

logits '' unset.f32 || fail "without a set: $(cat err)"
for isa in portable avx2 avx512; do
  status=0
  logits "$isa" "$isa.f32" || status=$?
  if [[ " $available " != *" $isa "* ]]; then
    [[ $status == 2 ]] || fail "$isa, which is not available ($available): status $status"
    continue
  fi
  [[ $status == 0 ]] || { fail "$isa: $(cat err)"; continue; }
  paste <(od -An -v -w4 -tf4 "$isa.f32") <(od -An -v -w4 -tf4 portable.f32) | awk -v isa="$isa" '
    { gap = $1 - $2; if (gap < 0) gap = -gap; if (gap > worst) worst = gap
      size = $2 < 0 ? -$2 : $2; if (size > largest) largest = size }
    END { if (NR != 58 * 300 || !(worst <= 1e-5 * largest) || largest == 0) {
            print "FAILED " isa ": off by " worst " of " largest " in " NR " logits"; exit 1 } }' ||
    failures=$((failures + 1))
done
best=${available##* }
cmp -s unset.f32 "$best.f32" || fail "without a set the best, $best, is not taken"
# The sets round differently: equal bytes would mean that the switch does nothing.
[[ $best == portable ]] || ! cmp -s portable.f32 "$best.f32" || fail "portable and $best gave the same bytes"

((failures == 0)) && echo "on $available the logits agree"
