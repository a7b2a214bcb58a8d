#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# sameness_test.sh RETORT: a training that is killed or stopped at any moment, and resumed, gives the bytes of one
# that was never interrupted; so does resuming from each of its checkpoints. With dropout, packing, shuffling,
# evaluations, accumulation and several threads.
#
#   RETORT_KILLS=200 RETORT_STOPS=50 sameness_test.sh RETORT     more moments than the default
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
retort=$(realpath "$1")
kills=${RETORT_KILLS:-12} stops=${RETORT_STOPS:-4}
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
cd "$stage"
export XDG_CACHE_HOME=$stage/cache XDG_STATE_HOME=$stage/state

"$retort" init --shape 2,64,4,2,128,300 --out model --seed 3 >/dev/null
for i in {1..90}; do
  printf '{"prompt": "say %s", "completion": " %s"}\n' $((i * i)) $((i * 7 % 23 * 1111))
done >rows.jsonl
head -12 rows.jsonl >held.jsonl
cat >recipe.json <<'JSON'
{"model": {"path": "model"}, "adapter": {"rank": 4, "dropout": 0.1},
 "data": {"train": "rows.jsonl", "eval": "held.jsonl", "max_tokens": 64, "packing": true},
 "train": {"steps": 30, "batch_rows": 2, "accumulate": 2, "checkpoint_every": 3, "keep": 100, "eval_every": 4,
           "samples": 1, "lr": 1e-3}}
JSON

train() { "$retort" train recipe.json --run "$@" --no-plan >out 2>err; }
# The trained bytes, the last checkpoint's state, and what was measured (without times).
digest() {
  sha256sum <"$1/adapter/adapter_model.safetensors"
  sha256sum <"$1/checkpoints/step-30/adapter_model.safetensors"
  sed -E 's/"(seconds|tokens_per_second|generation_seconds|peak_bytes)":[^,}]*,?//g' "$1/metrics.jsonl" | sha256sum
  sha256sum <"$1/samples.jsonl"
}

start=$(date +%s%N)
train whole --set train.threads=2
length=$((($(date +%s%N) - start) / 1000000)) # ms
want=$(digest whole)
[[ $(ls whole/checkpoints | wc -l) == 10 ]] || fail "checkpoints: $(ls whole/checkpoints)"

for threads in 1 4; do
  train threads-$threads --set train.threads=$threads
  [[ $(digest threads-$threads) == "$want" ]] || fail "$threads threads: other bytes"
done

# From every checkpoint: as if the run had been killed after it.
for step in {3..27..3}; do
  rm -rf again
  cp -r whole again
  rm again/summary.json
  for later in again/checkpoints/step-*; do
    [[ ${later##*-} -le $step ]] || rm -r "$later"
  done
  train again --resume --set train.threads=2
  [[ $(digest again) == "$want" ]] || fail "resumed from step $step: other bytes"
done

# ends SIGNAL RUN MS: begins or resumes the run and ends it after so long. False if it was done before that.
ends() {
  "$retort" train recipe.json --run "$2" --resume --no-plan --set train.threads=2 >out 2>err &
  local job=$! status=0
  sleep "$(printf '%d.%03d' $(($3 / 1000)) $(($3 % 1000)))"
  kill -"$1" $job 2>/dev/null || true
  wait $job 2>/dev/null || status=$?
  [[ $status != 0 ]]
}
# Each run is ended at up to three moments spread over its length; then it goes on to its end.
moments() {
  local signal=$1 count=$2 run ended=0
  RANDOM=7
  for ((run = 1; ended < count && run < 3 * count; ++run)); do
    for _ in 1 2 3; do
      ends "$signal" "$signal-$run" $((RANDOM * length / 32768 / 2 + 5)) || break
      ended=$((ended + 1))
    done
    train "$signal-$run" --resume --set train.threads=2 || fail "$signal-$run: does not go on: $(tail -1 err)"
    [[ $(digest "$signal-$run") == "$want" ]] || fail "$signal-$run: other bytes"
    [[ -z $(find "$signal-$run" -name '*.partial') ]] || fail "$signal-$run: leftovers"
    rm -rf "$signal-$run"
  done
  echo "$signal: ended at $ended moments"
  ((ended >= count)) || fail "$signal: only $ended runs could be ended in time"
}
moments KILL "$kills"
moments TERM "$stops"

((failures == 0)) || exit 1
echo 'all the same bytes'
