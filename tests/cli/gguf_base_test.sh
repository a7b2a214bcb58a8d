#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# gguf_base_test.sh RETORT: GGUF files of every type, with mixed types and in several parts, as a base for training, as a
# teacher, for eval and run, and as folders.
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
works() { # NAME COMMAND...
  local name=$1
  shift
  "$retort" "$@" >out 2>err || fail "$name: $(tail -1 err)"
}
value() { grep -o "\"$1\":[^,}]*" "$2" | cut -d: -f2; }

"$retort" init --shape 2,64,4,2,64,300 --out model --seed 3 >/dev/null
for i in 1 2 3 4; do echo "{\"prompt\": \"one two $i\", \"completion\": \" three\"}"; done >rows.jsonl
uses() { # NAME BASE: everything that takes a model
  local name=$1 base=$2
  works "$name: eval" eval "$base" --data rows.jsonl --metric loss --json
  cp out "$name.eval"
  works "$name: run" run "$base" --prompt hello --max-tokens 4 --temperature 0 --json
  cp out "$name.run"
  echo "{\"model\": {\"path\": \"$base\", \"compute\": \"f32\"}, \"data\": {\"train\": \"rows.jsonl\"},
         \"adapter\": {\"rank\": 4}, \"train\": {\"steps\": 2, \"lr\": 0.01}}" >"$name.json"
  works "$name: train" train "$name.json" --run "run-$name"
  works "$name: with the adapter" eval "$base" --adapter "run-$name/adapter" --data rows.jsonl --json
  cp out "$name.adapted"
  works "$name: merge" merge --adapter "run-$name/adapter" --out "merged-$name" --force
  works "$name: merged" eval "merged-$name" --data rows.jsonl --json
  cp out "$name.merged"
  works "$name: to a folder" export "$base" --to hf --out "folder-$name"
  works "$name: the folder" eval "folder-$name" --data rows.jsonl --metric loss --json
  cp out "$name.folder"
  echo "{\"model\": {\"path\": \"model\", \"compute\": \"f32\"}, \"data\": {\"train\": \"rows.jsonl\"},
         \"teacher\": {\"path\": \"$base\", \"weights\": \"as-is\"}, \"train\": {\"steps\": 1}}" >"$name-teacher.json"
  works "$name: teacher" train "$name-teacher.json" --run "taught-$name"
  # Equal to three digits: products of 16 bits, and f32 instead of blocks.
  for pair in "eval folder" "adapted merged"; do
    set -- $pair
    awk -v a="$(value value "$name.$1")" -v b="$(value value "$name.$2")" \
      'BEGIN { d = a - b; exit !(a > 0 && (d < 0 ? -d : d) < 0.002 * a) }' ||
      fail "$name: $1 $(value value "$name.$1"), $2 $(value value "$name.$2")"
  done
}

for type in f32 f16 bf16 q8_0 q4_0 q4_1 q5_0 q5_1; do
  works "$type: export" export model --out "$type.gguf" --type "$type" --pure
  uses "$type" "$type.gguf"
done
# Blocks of 256 values, in a model whose rows they divide.
"$retort" init --shape 1,256,4,2,256,300 --out wide --seed 3 >/dev/null
for type in q2_k q3_k q4_k q5_k q6_k iq4_nl iq4_xs mxfp4; do
  works "$type: export" export wide --out "$type.gguf" --type "$type" --pure
  uses "$type" "$type.gguf"
done
works 'q4_k_m: export' export model --out q4_k_m.gguf --type q4_k_m # rows of 64 values: in blocks of 32
uses q4_k_m q4_k_m.gguf
works 'a mix: export' export model --out mix.gguf --type q4_1 # embedding and head in q8_0
uses mix mix.gguf

((failures == 0)) || exit 1
echo "GGUF bases: all as expected"
