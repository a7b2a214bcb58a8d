#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# schema_test.sh RETORT: rows held to a schema, and a model that answers by it without being told.
set -euo pipefail
retort=$1
source "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
cd "$stage"

"$retort" init --shape 1,32,2,1,64,300 --out model >/dev/null
printf '%s' '{"type":"object","properties":{"label":{"enum":["card","cash"]}},"required":["label"],"additionalProperties":false}' >schema.json
for label in card cash; do
  printf '{"prompt": "how? %s", "completion": "{\\"label\\": \\"%s\\"}"}\n' $label $label
done >rows.jsonl
printf '%s' '{"model": {"path": "model", "weights": "f32"}, "train": {"steps": 1},
  "data": {"train": "rows.jsonl", "schema": "schema.json", "loss_on": "choices"}}' >recipe.json

echo '{"prompt": "how?", "completion": "{\"label\": \"gold\"}"}' >bad.jsonl
ends 'a row against the schema' 2 "bad.jsonl:1: the answer is not what .*schema.json allows: at 'gold\"}', byte 12" \
  train recipe.json --run bad --set data.train=bad.jsonl
[[ ! -e bad ]] || fail 'a refused run left a folder'
ends 'choices without a schema' 2 "'data.loss_on' choices needs 'data.schema'" \
  train recipe.json --run bad --set data.schema=null

"$retort" train recipe.json --run run >/dev/null 2>&1
"$retort" merge --adapter run/adapter --out merged >/dev/null 2>&1
"$retort" export merged --out m.gguf --type f32 >/dev/null 2>&1
for model in run merged m.gguf; do
  answer=$("$retort" run $model --prompt 'how?' --max-tokens 40 2>/dev/null)
  [[ $answer =~ ^\{\"label\":\ \"ca(rd|sh)\"\}$ ]] || fail "$model answers '$answer'"
  answer=$("$retort" run $model --prompt 'how?' --max-tokens 40 --schema none 2>/dev/null)
  [[ $answer =~ ^\{\"label\":\ \"ca ]] && fail "$model answers '$answer' with --schema none"
  answer=$("$retort" run $model --prompt 'how?' --regex 'ye[sp]' 2>/dev/null)
  [[ $answer =~ ^ye[sp]$ ]] || fail "$model answers '$answer' with --regex"
done
# An untrained model is right half of the time at least by chance, and always in form.
malformed=$("$retort" eval m.gguf --data rows.jsonl --metric fields --json 2>/dev/null)
[[ $malformed == *'"malformed":0'* ]] || fail "eval: $malformed"

# How sure it is of its choices, by a temperature that goes where the schema goes.
ends 'calibrating a file' 2 'm.gguf: --calibrate needs the folder of a model or of one adapter' \
  eval m.gguf --data rows.jsonl --metric calibration --calibrate
ends 'calibrating with a schema' 2 'leave out --schema and --choices' \
  eval run --data rows.jsonl --metric calibration --calibrate --schema schema.json
ends 'nothing to judge' 2 "model: carries no schema whose choices could be judged" \
  eval model --data rows.jsonl --metric calibration
ends 'a row against the schema in eval' 2 'bad.jsonl:1: the answer is not what the schema' \
  eval run --data bad.jsonl --metric calibration
ends 'choices of a free answer' 2 '--field-probabilities needs an answer that is held' \
  run run --prompt 'how?' --schema none --field-probabilities
# Right half of the time: the best temperature is the largest, which says nothing.
ends 'a temperature at its bound' 2 'rows.jsonl: no temperature can be fitted to 2 choices' \
  eval run --data rows.jsonl --metric calibration --calibrate
# One that has learnt what is right twice of three times has a best temperature within the bounds.
for label in card card cash; do printf '{"prompt": "how?", "completion": "{\\"label\\": \\"%s\\"}"}\n' $label; done >judged.jsonl
"$retort" train recipe.json --run taught --set train.steps=30 --set data.train=judged.jsonl >/dev/null 2>&1
told=$("$retort" eval taught --data judged.jsonl --metric calibration --calibrate --json 2>/dev/null)
[[ $told == *'"choices":3,'*'"kept":true'* ]] || fail "eval --calibrate: $told"
fitted=${told##*'"after":{"temperature":'} fitted=${fitted%%,*}
"$retort" merge --adapter taught/adapter --out calibrated >/dev/null 2>&1
"$retort" export calibrated --out calibrated.gguf --type f32 >/dev/null 2>&1
for model in taught calibrated calibrated.gguf; do
  told=$("$retort" eval $model --data judged.jsonl --metric calibration --json 2>/dev/null)
  [[ $told == *"\"before\":{\"temperature\":$fitted,"* ]] || fail "$model has lost $fitted: $told"
  answer=$("$retort" run $model --prompt 'how?' --max-tokens 40 --field-probabilities --json 2>/dev/null)
  [[ $answer == *'"field_probabilities":{"/label":[{"value":"ca'* ]] || fail "$model tells '$answer'"
done

((failures == 0))
