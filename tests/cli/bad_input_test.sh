#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# bad_input_test.sh RETORT: every bad file gives one line on standard error with the error and its place, exit
# status 2 (1 for a full disk), and no partial output.
set -euo pipefail
retort=$1
stage=$(mktemp -d)
export XDG_STATE_HOME=$stage/state
trap 'umount "$stage/small" 2>/dev/null || true; rm -rf "$stage"' EXIT
cd "$stage"

failures=0
fail() {
  printf 'FAILED %s\n' "$*"
  failures=$((failures + 1))
}

# refuses NAME STATUS PATTERN NOT_THERE COMMAND...: the command ends with the status and one line that matches; the path
# does not exist afterwards.
refuses() {
  local name=$1 wanted=$2 pattern=$3 absent=$4 status=0
  shift 4
  "$retort" "$@" >out 2>err || status=$?
  [[ $status == "$wanted" ]] || fail "$name: status $status, wanted $wanted: $(cat err)"
  [[ $(wc -l <err) == 1 ]] || fail "$name: not one line: $(cat err)"
  grep -qE -- "$pattern" err || fail "$name: '$(cat err)' does not match '$pattern'"
  [[ ! -e $absent ]] || fail "$name: $absent was left"
  [[ -z $(find . -name '*.partial*' -o -name '*.untested*') ]] || fail "$name: left $(find . -name '*.partial*' -o -name '*.untested*')"
}

"$retort" init --shape 2,32,2,1,64,300 --out model --seed 3 >/dev/null
row='{"prompt": "one two", "completion": " three"}'
for _ in 1 2 3 4; do echo "$row"; done >rows.jsonl
recipe() { printf '{"model": {"path": "%s", "compute": "f32"}, "data": {"train": "%s"%s}, "train": {"steps": 2%s}}\n' "$@"; }
recipe model rows.jsonl '' '' >good.json
"$retort" train good.json --run run >/dev/null 2>&1 || fail "a good recipe does not train"

copy() { rm -rf "$1" && cp -r model "$1"; }

# Model files.
copy cut
head -c "$(($(stat -c %s model/model.safetensors) - 100))" model/model.safetensors >cut/model.safetensors
refuses 'truncated safetensors' 2 'cut/model.safetensors' x.gguf export cut --out x.gguf
recipe cut rows.jsonl '' '' >recipe.json
refuses 'truncated safetensors in training' 2 'cut/model.safetensors' bad train recipe.json --run bad
copy header
head -c 40 model/model.safetensors >header/model.safetensors
refuses 'safetensors cut in its header' 2 'header/model.safetensors' x.f32 logits header --tokens 1 --out x.f32
copy shape
sed -i 's/"intermediate_size": 64/"intermediate_size": 48/' shape/config.json
refuses 'tensor of the wrong shape' 2 'mlp\.(gate|up|down)_proj\.weight.*\[' x.gguf export shape --out x.gguf
copy layers
sed -i 's/"num_hidden_layers": 2/"num_hidden_layers": 3/' layers/config.json
refuses 'missing tensors' 2 'model\.layers\.2\.' x.f32 logits layers --tokens 1 --out x.f32
copy huge
sed -i 's/"hidden_size": 32/"hidden_size": 1e999/' huge/config.json
refuses 'a number beyond double' 2 'huge/config.json.*1e999' x.f32 logits huge --tokens 1 --out x.f32
refuses 'no such model' 2 'nowhere' x.f32 logits nowhere --tokens 1 --out x.f32
refuses 'a model that is no GGUF' 2 'rows.jsonl' x.f32 logits rows.jsonl --tokens 1 --out x.f32
refuses 'an id beyond the vocabulary' 2 "'300'" x.f32 logits model --tokens 1,300 --out x.f32

# A tokenizer with more ids than the model has rows.
"$retort" init --shape 1,32,2,1,64,400 --out wide >/dev/null
copy fit
cp wide/tokenizer.json fit/
refuses 'a tokenizer that does not fit' 2 'tokenizer does not fit the model.*400.*300' x.gguf export fit --out x.gguf
refuses 'a tokenizer that does not fit, run' 2 'tokenizer does not fit the model' x run fit --prompt hello --quiet
recipe fit rows.jsonl '' '' >recipe.json
refuses 'a tokenizer that does not fit, training' 2 'tokenizer does not fit the model' bad train recipe.json --run bad

# Recipes.
recipe model rows.jsonl '' ', "batch_row": 2' >recipe.json
refuses 'a misspelt key' 2 "recipe.json.*batch_row.*batch_rows" bad train recipe.json --run bad
echo '{"model": ' >recipe.json
refuses 'a recipe that is not JSON' 2 'recipe.json.*line' bad train recipe.json --run bad
refuses 'no recipe' 2 'none.json' bad train none.json --run bad
recipe model rows.jsonl '' ', "lr": 1e999' >recipe.json
refuses 'a recipe with a number beyond double' 2 'recipe.json.*1e999' bad train recipe.json --run bad
recipe model rows.jsonl '' ', "lr": -1' >recipe.json
refuses 'a negative rate' 2 'recipe.json.*lr' bad train recipe.json --run bad
refuses 'a run folder that is not empty' 2 '--resume' bad train good.json --run run

# Data.
data() { recipe model bad.jsonl "${1:-}" '' >recipe.json; }
{ cat rows.jsonl; echo '{"prompt": "x", '; } >bad.jsonl; data
refuses 'a row that is not JSON' 2 'bad.jsonl:5: ' bad train recipe.json --run bad
{ cat rows.jsonl; echo '{"prompt": "x", "completion": 1e999}'; } >bad.jsonl
refuses 'a row with a number beyond double' 2 'bad.jsonl:5: ' bad train recipe.json --run bad
{ cat rows.jsonl; echo '{"prompt": "x"}'; } >bad.jsonl
refuses 'a row without its completion' 2 'bad.jsonl:5: ' bad train recipe.json --run bad
{ echo "$row"; printf '{"prompt": "%s", "completion": " y"}\n' "$(printf 'word %.0s' {1..60})"; } >bad.jsonl
data ', "max_tokens": 64'
refuses 'an over-long row' 2 'bad.jsonl:2: .*64' bad train recipe.json --run bad
: >bad.jsonl
refuses 'empty data' 2 'bad.jsonl' bad train recipe.json --run bad
recipe model nothing.jsonl '' '' >recipe.json
refuses 'no data' 2 'nothing.jsonl' bad train recipe.json --run bad
refuses 'evaluating empty data' 2 'bad.jsonl' x eval model --data bad.jsonl

# Usage.
refuses 'an unknown flag' 2 'retort --help' x export model --out x.gguf --typ f32
refuses 'an unknown type' 2 'q5_9' x.gguf export model --out x.gguf --type q5_9
echo hello >notes.txt
refuses 'nothing to inspect' 2 'notes.txt: is no GGUF' x inspect notes.txt
prune() { refuses "$1" 2 "$2" pruned prune model --data rows.jsonl --out pruned "${@:3}"; }
prune 'pruning nothing' 'model: nothing to leave out.*--layers below 2.*--ffn below 64'
prune 'more layers than there are' '--layers 3.*model has 2 layers' --layers 3
prune 'no layer left' '--layers' --layers 0
prune 'not fewer neurons' '--ffn 64.*1 to 63' --ffn 64
prune 'an unknown rule' "'guess'.*loss, cosine or random" --layers 1 --by guess
refuses 'pruning by no data' 2 'nothing.jsonl' pruned prune model --data nothing.jsonl --out pruned --layers 1
refuses 'pruning into a folder that is there' 2 'run: is there already' x prune model --data rows.jsonl --out run --layers 1
"$retort" export model --out model.gguf --type f32 >/dev/null
refuses 'pruning a GGUF' 2 'model.gguf: prune needs a Hugging Face folder' pruned prune model.gguf --data rows.jsonl --out pruned --layers 1
rm model.gguf
# Teachers.
"$retort" init --shape 2,48,2,1,96,320 --out foreign --seed 4 >/dev/null
recipe model rows.jsonl '' '' | sed 's/, "train": {"steps"/, "teacher": {"path": "foreign", "cache": "cache", "weights": "f32"}, "train": {"steps"/' >teach.json
refuses 'a teacher with another tokenizer' 2 'foreign: its tokenizer.*teacher.divergence to sorted' bad train teach.json --run bad
refuses 'teaching across tokenizers' 2 'foreign: its tokenizer' cache teach teach.json
refuses 'a cache that is not there' 2 'cache' bad train teach.json --run bad --set teacher.path=null --set teacher.mode=cached
refuses 'a cached run without a cache' 2 "'teacher.cache'" bad train teach.json --run bad --set teacher.cache=null --set teacher.mode=cached
refuses 'teaching without a teacher' 2 "'teacher.path' is missing" cache teach good.json
refuses 'answers without a file' 2 '--generate needs --out' cache teach teach.json --generate
refuses 'an unknown divergence' 2 "'teacher.divergence' must be one of" bad train teach.json --run bad --set teacher.divergence=kl
refuses 'ranks out of a cache' 2 "sorted needs 'teacher.mode' online" bad train teach.json --run bad --set teacher.divergence=sorted --set teacher.mode=cached
refuses 'hidden states out of a cache' 2 'a cache holds no hidden states' bad train teach.json --run bad --set teacher.hidden=mse --set teacher.mode=cached
echo '{"text": "no prompt"}' >text.jsonl
refuses 'answers to no prompt' 2 'text.jsonl:1: has no prompt' cache teach teach.json --generate --out answers.jsonl --set data.train=text.jsonl --set data.format=text
refuses 'merging without a base' 2 'model' merged merge --adapter model --out merged

# A full disk: a small file system of its own.
mkdir small
if mount -t tmpfs -o size=64k none small 2>/dev/null; then
  status=0
  "$retort" train good.json --run small/run >out 2>err || status=$?
  [[ $status == 1 ]] || fail "full disk in training: status $status: $(tail -1 err)"
  tail -1 err | grep -qE 'small/run.*(space|disk)' || fail "full disk in training: $(tail -1 err)"
  [[ -z $(find small -path '*checkpoints/step-*' -o -path '*/adapter/*' -o -name summary.json -o -name '*.partial*') ]] ||
    fail "full disk in training: left $(find small)"
  rm -rf small/*
  refuses 'full disk in export' 1 'small/.*x.gguf.*(space|disk)' small/x.gguf export model --out small/x.gguf --type f32
  refuses 'full disk in merge' 1 'small/.*merged.*(space|disk)' small/merged merge --adapter run/adapter --out small/merged
  refuses 'full disk in init' 1 'small/.*(space|disk)' small/m init --shape 2,32,2,1,64,300 --out small/m
  [[ -z $(ls -A small) ]] || fail "full disk: left $(find small)"
else
  echo 'SKIP the full disk: mounting a small file system needs root'
fi

# An export that is killed leaves no file under its own name.
"$retort" init --shape 8,512,8,4,1408,8000 --out large >/dev/null
"$retort" export large --out killed.gguf --type f32 >/dev/null 2>&1 &
job=$!
sleep 0.2
kill -KILL "$job" 2>/dev/null || true
wait "$job" 2>/dev/null || true
[[ ! -e killed.gguf ]] || "$retort" inspect killed.gguf >/dev/null || fail 'a killed export left a broken file'

((failures == 0)) && echo 'every bad input is told in one line'
