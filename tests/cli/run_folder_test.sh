#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run_folder_test.sh RETORT: a run's folder stands for what was trained in it: its base with its adapter, its adapter, or
# its model.
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

((failures == 0)) || exit 1
echo 'all as it should be'
