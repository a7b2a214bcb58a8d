#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# quantize_test.sh RETORT: small files and folders of a model, and flags that would have no effect.
set -euo pipefail
retort=$1
source "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
cd "$stage"

"$retort" init --shape 2,64,2,1,96,300 --out model >/dev/null
for i in 1 2 3 4 5 6; do
  printf '{"prompt": "row %d?", "completion": " the answer is %d"}\n' $i $((i * i))
done >rows.jsonl
printf '%s' '{"model": {"path": "model", "weights": "f32"}, "train": {"steps": 4, "lr": 0.01},
  "data": {"train": "rows.jsonl"}}' >recipe.json
"$retort" train recipe.json --run run >/dev/null 2>&1

# kl_below LIMIT MODEL
kl_below() {
  local kl
  kl=$("$retort" eval "$2" --metric kl --reference model --compute f32 --data rows.jsonl --json 2>/dev/null |
    sed -E 's/.*"value":([-0-9.e+]+).*/\1/')
  awk -v kl="$kl" -v limit="$1" 'BEGIN { exit !(kl != "" && kl >= -1e-9 && kl < limit) }' ||
    fail "$2: KL '$kl', wanted less than $1"
}

# Folders of each method.
ends gptq 0 '' quantize model --method gptq --group 32 --data rows.jsonl --out gptq
ends gptq8 0 '' quantize model --method gptq --bits 8 --group 32 --data rows.jsonl --out gptq8
ends awq 0 '' quantize model --method awq --group 32 --data rows.jsonl --out awq
ends nf4 0 '' quantize model --method nf4 --out nf4
ends int8 0 '' quantize model --method int8 --out int8
for made in gptq awq nf4; do kl_below 1e-4 $made; done
for made in gptq8 int8; do kl_below 1e-6 $made; done

# An adapter would be left out.
for method in gptq int8; do
  data=()
  [[ $method == int8 ]] || data=(--data rows.jsonl)
  for folder in run run/adapter; do
    ends "$method of $folder" 2 'holds an adapter, not a model.*retort merge' \
      quantize $folder --method $method "${data[@]}" --out refused
  done
done
ends 'bits of nf4' 2 '^retort: --bits: is for --method gptq' quantize model --method nf4 --bits 4 --out refused
ends 'bits of awq' 2 '^retort: --method awq: has codes of 4 bits' \
  quantize model --method awq --bits 8 --data rows.jsonl --out refused
ends 'group of int8' 2 '^retort: --group: is for --method gptq and awq' \
  quantize model --method int8 --group 32 --out refused
ends 'rows of int8' 2 '^retort: --rows: is for the rows of --data' \
  quantize model --method int8 --rows 3 --out refused
ends 'a large group' 2 'q_proj.weight: 64 inputs do not divide into groups of 128; use a smaller --group' \
  quantize model --method awq --data rows.jsonl --out refused
[[ ! -e refused ]] || fail 'a refused command left a folder'

# GGUF files.
ends tuned 0 '' export model --type q4_0 --tune rows.jsonl --out tuned.gguf
kl_below 1e-4 tuned.gguf
ends sized 0 '' export model --size 300KB --tune rows.jsonl --out mix.gguf
(($(stat -c %s mix.gguf) <= 300000)) || fail "--size 300KB: $(stat -c %s mix.gguf) bytes"
[[ $(<mix.gguf.mix.json) == *'"name":"blk.0.'* ]] || fail 'the mix is not saved'
ends 'by KL' 0 '' export model --kl 2e-5 --tune rows.jsonl --out mix.gguf
kl_below 2e-5 mix.gguf
ends 'no mix' 0 '' export model --type q8_0 --out mix.gguf
[[ ! -e mix.gguf.mix.json ]] || fail 'the mix of an earlier file stays'
ends 'over a row file' 2 'rows.jsonl: is part of' export model --size 1MB --tune rows.jsonl --out rows.jsonl

for kl in 0 -1 nan inf; do
  ends "--kl $kl" 2 '^retort: --kl .*a number above 0' export model --kl $kl --tune rows.jsonl --out refused
done
ends '--size 0' 2 '^retort: --size 0' export model --size 0 --tune rows.jsonl --out refused
ends 'a small size' 2 'allow a larger --size' export model --size 1000 --tune rows.jsonl --out refused
ends 'a small KL' 2 'before tuning; allow a larger one' export model --kl 1e-12 --tune rows.jsonl --out refused
ends 'rows without --tune' 2 '^retort: --rows: is for the rows of --tune' export model --rows 3 --out refused
ends 'tuned f16' 2 '^retort: --tune: f16 has no grid' export model --type f16 --tune rows.jsonl --out refused
ends 'two measures' 2 '^retort: --imatrix: --tune measures' \
  export model --tune rows.jsonl --imatrix any --out refused
[[ ! -e refused ]] || fail 'a refused command left a file'

# The reference is what a run made, adapter included.
kl=$("$retort" eval run --metric kl --reference run --data rows.jsonl --json 2>/dev/null)
[[ $kl == *'"value":0.0,'* ]] || fail "the KL of a run to itself: $kl"
ends 'batches of kl' 2 '^retort: --batch-tokens' \
  eval model --metric kl --reference model --batch-tokens 9 --data rows.jsonl

((failures == 0))
