#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# stop_test.sh RETORT: training that is asked to stop, started twice, or of no use; adapters of other bases; targets
# that would destroy something.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
retort=$1
stage=$(mktemp -d)
job=
trap '[[ -z $job ]] || kill -KILL "$job" 2>/dev/null || true; rm -rf "$stage"' EXIT
cd "$stage"
export XDG_CACHE_HOME=$stage/cache

leftovers() { find . -name '*.partial' -o -name '*.untested*' -o -name '.*.lock' -o -name .lock; }

"$retort" init --shape 2,32,2,1,64,300 --out model --seed 3 >/dev/null
for word in one two three four five six; do
  printf '{"prompt": "say %s", "completion": " %s"}\n' $word $word
done >rows.jsonl
cat >recipe.json <<'JSON'
{"model": {"path": "model", "compute": "f32", "weights": "f32"}, "data": {"train": "rows.jsonl"},
 "train": {"steps": 10000000, "checkpoint_every": 10000000, "threads": 1}}
JSON

# begin RUN: starts training there and waits for its third step.
begin() {
  "$retort" train recipe.json --run "$1" >"$1.out" 2>"$1.err" &
  job=$!
  for _ in {1..600}; do
    [[ -e $1/metrics.jsonl && $(wc -l <"$1/metrics.jsonl") -ge 3 ]] && return
    kill -0 "$job" 2>/dev/null || break
    sleep 0.1
  done
  fail "$1 does not begin: $(tail -1 "$1.err")"
}
for signal in INT TERM HUP; do
  begin "run-$signal"
  kill -"$signal" "$job"
  wait "$job" && status=0 || status=$?
  job=
  number=$(kill -l $signal)
  [[ $status == $((128 + number)) ]] || fail "$signal: status $status"
  steps=$(wc -l <"run-$signal/metrics.jsonl")
  [[ -e run-$signal/checkpoints/step-$steps/retort.json ]] || fail "$signal: step $steps is not saved"
  [[ $(ls "run-$signal/checkpoints") == "step-$steps" ]] || fail "$signal: $(ls "run-$signal/checkpoints")"
  tail -1 "run-$signal.err" | grep -q "signal $number: step $steps of .*--run run-$signal --resume" ||
    fail "$signal: $(tail -1 "run-$signal.err")"
  [[ ! -e run-$signal/summary.json ]] || fail "$signal: passes for finished"
done

# Both signals wait when it goes on: the second one ends it at once, whichever that is.
begin twice
kill -STOP "$job"
kill -INT "$job"
kill -TERM "$job"
kill -CONT "$job"
wait "$job" && status=0 || status=$?
job=
[[ $status == 130 || $status == 143 ]] || fail "two signals: status $status"
[[ ! -e twice/checkpoints ]] || fail 'two signals: did not end at once'
rm -rf twice

# Two trainers.
begin pair
ends 'a second trainer' 2 'pair: is not empty.*--resume' train recipe.json --run pair
ends 'a second trainer that resumes' 2 'pair: process [0-9]+ is writing it' train recipe.json --run pair --resume
kill -TERM "$job"
wait "$job" || true
job=
[[ $(grep -c '"step":' pair/metrics.jsonl) == $(tail -1 pair/metrics.jsonl | grep -oE '"step":[0-9]+' | cut -d: -f2) ]] ||
  fail 'a second trainer: the metrics of the first are not whole'
"$retort" train recipe.json --run pair --resume >out 2>err &
job=$!
for _ in {1..600}; do grep -q 'after step' err && break; sleep 0.1; done
grep -qE 'resume +after step [0-9]+' err || fail "resuming: does not say from where: $(cat err)"
kill -TERM "$job"
wait "$job" || true
job=

# A run of no use.
ends 'a diverged run' 1 'diverged.*train.lr' train recipe.json --run wild --set train.lr=100 --steps 20
ends 'a diverged run, resumed' 1 'diverged' train recipe.json --run wild --set train.lr=100 --steps 20 --resume

# A run whose memory was not counted goes on where it is.
"$retort" train recipe.json --run unplanned --steps 2 --no-plan >/dev/null 2>&1 || fail 'a run without a plan'
ends 'one that goes on with a plan' 0 '' train recipe.json --run unplanned --steps 3 --resume
grep -q '"gradient_checkpointing": "none"' unplanned/recipe.json || fail 'a recorded choice is "auto"'
sed -i 's/"gradient_checkpointing": "none"/"gradient_checkpointing": "auto"/' unplanned/recipe.json  # as once
ends 'one of an earlier version' 0 '' train recipe.json --run unplanned --steps 4 --resume

# Adapters of another base.
"$retort" train recipe.json --run run --steps 3 >/dev/null 2>&1 || fail 'a good run'
cp -r model other
size=$(stat -c %s other/model.safetensors)
printf '\x01' | dd of=other/model.safetensors bs=1 seek=$((size - 4)) conv=notrunc 2>/dev/null
cmp -s model/model.safetensors other/model.safetensors && fail 'the other base is the same'
for model in model other; do
  status=$([[ $model == model ]] && echo 0 || echo 2)
  pattern=$([[ $model == model ]] && echo '' || echo 'other: is not the base that run/adapter was trained on .*/model')
  ends "logits on $model" "$status" "$pattern" logits $model --adapter run/adapter --tokens 1,2 --out x.f32
  ends "eval on $model" "$status" "$pattern" eval $model --adapter run/adapter --data rows.jsonl
  ends "run on $model" "$status" "$pattern" run $model --adapter run/adapter --prompt hello --max-tokens 2
done
ends 'serve on other' 2 'is not the base' serve other --adapter run/adapter --port 0
ends 'merge onto other' 2 'is not the base' merge --base other --adapter run/adapter --out merged

# Targets.
ends 'export onto its source' 2 'is part of model' export model --out model/model.safetensors
cmp -s model/model.safetensors <("$retort" init --shape 2,32,2,1,64,300 --out again --seed 3 >/dev/null && cat again/model.safetensors) ||
  fail 'export onto its source: the source changed'
ends 'export to a device' 2 'null: is a device' export model --out /dev/null
ends 'logits to a device' 2 'null: is a device' logits model --tokens 1 --out /dev/null
ends 'export to a folder' 2 'other: is a folder' export model --out other
ends 'merge onto its base' 2 'is part of' merge --adapter run/adapter --out model
ends 'merge into a full folder' 2 'other: is there already' merge --adapter run/adapter --out other
ends 'init into a full folder' 2 'other: is there already' init --shape 2,32,2,1,64,300 --out other
ends 'train in a file' 2 'rows.jsonl: is a file' train recipe.json --run rows.jsonl
ends 'train in a folder of other things' 2 'other: is not empty and holds no run' train recipe.json --run other --resume
ends 'answers over the rows' 2 'rows.jsonl: is part of' teach recipe.json --generate --out rows.jsonl --set teacher.path=model
ends 'an export that cannot be written' 2 'rows.jsonl' train recipe.json --run late --set export.out=rows.jsonl
[[ ! -e late ]] || fail 'an export that cannot be written: told too late'

# A model that is no number.
cp -r model nan
printf '\xff\xff\xff\x7f' | dd of=nan/model.safetensors bs=1 seek=$((size - 4)) conv=notrunc 2>/dev/null
for metric in loss choice; do
  "$retort" eval nan --data rows.jsonl --metric $metric >out 2>err && fail "the $metric of a damaged model: $(cat out)"
  tail -1 err | grep -qiE 'finite|nan|number' || fail "the $metric of a damaged model: $(tail -1 err)"
done

[[ -z $(leftovers) ]] || fail "left $(leftovers)"
((failures == 0)) && echo 'training stops in order, in one place, on its own base'
