#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# sweep_test.sh RETORT: runs that fail are told from those that have a result; a sweep that is asked to stop passes that
# on, and goes on where it was.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
retort=$1
stage=$(mktemp -d)
job=
trap '[[ -z $job ]] || kill -KILL "$job" 2>/dev/null || true; rm -rf "$stage"' EXIT
cd "$stage"
export XDG_CACHE_HOME=$stage/cache

"$retort" init --shape 2,32,2,1,64,300 --out model --seed 3 >/dev/null
for word in one two three four five six; do
  printf '{"prompt": "say %s", "completion": " %s"}\n' $word $word
done >rows.jsonl
# recipe STEPS
recipe() {
  printf '{"model": {"path": "model", "compute": "f32", "weights": "f32"}, "data": {"train": "rows.jsonl", "eval": "rows.jsonl"},
 "train": {"steps": %s, "checkpoint_every": 10000000, "threads": 1}}\n' "$1" >recipe.json
}

recipe 3
ends one 0 '' sweep recipe.json --over 'adapter.targets=[["q_proj"], ["no_proj"]]' --out half
grep -q '^run-2 .*failed .*no_proj' out || fail "one run failed, and the table is: $(cat out)"
ends none 1 'half-none: no run has a result' sweep recipe.json --over 'adapter.targets=[["no_proj"]]' --out half-none
ends again 0 '' sweep recipe.json --over adapter.rank=2 --out changed
recipe 4
sed -i 's/"f32", "weights"/"bf16", "weights"/' recipe.json
ends changed 1 'changed: no run has a result' sweep recipe.json --over adapter.rank=2 --out changed
ends measure 2 "--over 'train.best_by': the runs could not be compared" \
  sweep recipe.json --over train.best_by=loss,exact --out measure

# A signal to the sweep alone, as from a supervisor, and one to all of its group, as from a terminal.
recipe 10000000
for whom in alone group; do
  setsid "$retort" sweep recipe.json --over adapter.rank=2,3 --out "$whom" >"$whom.out" 2>"$whom.err" &
  job=$!
  for _ in {1..600}; do
    [[ -e $whom/run-1/metrics.jsonl && $(wc -l <"$whom/run-1/metrics.jsonl") -ge 3 ]] && break
    kill -0 "$job" 2>/dev/null || break
    sleep 0.1
  done
  [[ $whom == alone ]] && kill -TERM "$job" || kill -TERM -- "-$job"
  status=0
  wait "$job" || status=$?
  job=
  [[ $status == 143 ]] || fail "$whom: status $status: $(tail -1 "$whom.err")"
  steps=$(wc -l <"$whom/run-1/metrics.jsonl")
  [[ -e $whom/run-1/checkpoints/step-$steps/retort.json ]] || fail "$whom: step $steps is not saved: $(tail -3 "$whom.err")"
  [[ ! -e $whom/run-2 ]] || fail "$whom: another run was begun"
done

[[ $failures == 0 ]] && echo "all as it should be"
exit $((failures > 0))
