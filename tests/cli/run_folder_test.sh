#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run_folder_test.sh RETORT: a run's folder stands for what was trained in it: its base with its adapter, its adapter, or
# its model; and what begins one anew.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
retort=$1
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
cd "$stage"
export XDG_CACHE_HOME=$stage/cache

score() { "$retort" eval "$@" --data rows.jsonl --json 2>note; }
# does WHAT COMMAND...
does() {
  local what=$1
  shift
  "$retort" "$@" >out 2>note || fail "$what: $(tail -1 note)"
}

"$retort" init --shape 2,32,2,1,64,300 --out model --seed 3 >/dev/null
for word in one two three four five six; do
  printf '{"prompt": "say %s", "completion": " %s"}\n' $word $word
done >rows.jsonl
cat >recipe.json <<'JSON'
{"model": {"path": "model", "weights": "f32"}, "data": {"train": "rows.jsonl"}, "train": {"steps": 5, "lr": 1e-2}}
JSON
does 'an adapter' train recipe.json --run whole
does 'every weight' train recipe.json --set adapter.kind=none --run every

want=$(score model --adapter whole/adapter)
[[ $(score whole) == "$want" ]] || fail 'the run as a model'
grep -q "^base .*model" note || fail 'the base is not named'
[[ $(score model --adapter whole) == "$want" ]] || fail 'the run as an adapter'
[[ $(score every) == "$(score every/model)" ]] || fail 'the run as its model'
score whole --adapter whole >/dev/null && fail 'the same adapter twice' || true
grep -q 'given twice' note || fail "the same adapter twice: $(tail -1 note)"

does 'to go on from' train recipe.json --set adapter.init=whole --run more
does "as a teacher's adapter" teach recipe.json --set teacher.path=model --set teacher.adapter=whole \
  --set teacher.mode=cached --set teacher.cache=taught
does 'its tokenizer' tokenize every --text say
does 'as a GGUF adapter' export whole --out whole.gguf
does 'as a GGUF' export every --out every.gguf

# A run begins anew in its place, and nothing else is removed.
ends 'a used folder' 2 'begin anew with --force' train recipe.json --run whole
ends 'both flags' 2 'give one of them' train recipe.json --run whole --force --resume
touch whole/notes.txt
ends "somebody's file" 2 'notes.txt: is no part of a run' train recipe.json --run whole --force
[[ -e whole/adapter ]] || fail 'a refused --force removed the run'
rm whole/notes.txt
does 'anew' train recipe.json --run whole --force --set train.steps=2
[[ $(wc -l <whole/metrics.jsonl) == 2 ]] || fail "--force: $(wc -l <whole/metrics.jsonl) lines of metrics"
echo '{' >whole/recipe.json
ends 'a broken record' 2 'not JSON' train recipe.json --run whole --resume
does 'anew over a broken record' train recipe.json --run whole --force
does 'with exports' train recipe.json --run whole --force --set 'export.gguf=["q8_0"]'
does 'anew over exports' train recipe.json --run whole --force
[[ ! -e whole/exports.json ]] || fail '--force left what was exported'
# What it has put elsewhere is not removed with it, which is found before the training.
does 'exports elsewhere' train recipe.json --run far --set "export.out=$stage/elsewhere"
ends 'anew over exports elsewhere' 2 'merged: is there already' train recipe.json --run far --force \
  --set "export.out=$stage/elsewhere"
[[ -e far/adapter ]] || fail 'the run was removed before its exports were looked at'
does 'longer, with exports elsewhere' train recipe.json --run far --resume --set train.steps=7 \
  --set "export.out=$stage/elsewhere"
cp -r far copy
ends "a copy's exports" 2 'merged: is there already' train recipe.json --run copy --resume \
  --set train.steps=9 --set "export.out=$stage/elsewhere"
does 'by name' train recipe.json
does 'six steps' train recipe.json --run six --set train.steps=6
ends 'a shorter length' 2 'can be lengthened only' train recipe.json --run six --resume --set train.steps=3
grep -q '"steps": 6' six/recipe.json || fail 'the recipe of a finished run was changed'

cp recipe.json 'my recipe.json'
does 'a name with a space' train 'my recipe.json'
grep -hq "next: retort merge --adapter 'runs/my recipe' --out 'my recipe-merged'" out note ||
  fail 'a printed command is not quoted'

does 'by name, anew' train recipe.json --force
[[ -e runs/recipe && ! -e runs/recipe-2 ]] || fail "--force made $(echo runs/*)"

# What training takes, without weights.
does 'a table' plan --table 2,32,2,1,64,300 model --set train.threads=1
[[ $(wc -l <out) == 4 ]] || fail "a table of $(wc -l <out) lines"
does 'the same as JSON' plan --table qwen3 --set data.max_tokens=32 --set train.threads=1 --json
grep -q '"model":"qwen3-8b"' out || fail 'a family is not all of its sizes'
ends 'no such size' 2 'no shape is called so; use smollm2-135m' plan --table qwen9
ends 'a key of rows' 2 "'data.train' has no place in a table" plan --table qwen3 --set data.train=x
ends 'a recipe too' 2 'needs no recipe' plan recipe.json --table qwen3

((failures == 0)) || exit 1
echo 'all as it should be'
