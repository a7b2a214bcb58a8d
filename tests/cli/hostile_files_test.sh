#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# hostile_files_test.sh RETORT: pipes, devices, texts that no reader should obey, outputs that cannot be written, and
# names of other programs. Each gives one line on standard error and the right exit status, and nothing waits.
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

# ends NAME STATUS PATTERN COMMAND...: within 60 s the command ends with the status and its last line matches; no control
# character and no long line is printed.
ends() {
  local name=$1 wanted=$2 pattern=$3 status=0
  shift 3
  timeout 60 "$retort" "$@" >out 2>err </dev/null || status=$?
  [[ $status == "$wanted" ]] || fail "$name: status $status, wanted $wanted: $(tail -1 err | cut -c 1-300)"
  grep -qE -- "^retort: .*($pattern)" <(tail -1 err) || fail "$name: '$(tail -1 err | cut -c 1-300)' does not match '$pattern'"
  [[ $(grep -c '^retort: ' err) == 1 ]] || fail "$name: not one line: $(cut -c 1-300 err)"
  (($(tail -1 err | wc -c) <= 1100)) || fail "$name: a line of $(tail -1 err | wc -c) bytes"
  ! LC_ALL=C grep -q $'[\x01-\x08\x0b-\x1f\x7f]' err || fail "$name: control characters: $(cat -v err | cut -c 1-300)"
}

"$retort" init --shape 2,32,2,1,64,300 --out model --seed 3 >/dev/null
for _ in 1 2 3 4; do echo '{"prompt": "one two", "completion": " three"}'; done >rows.jsonl
echo '{"model": {"path": "model", "compute": "f32"}, "data": {"train": "rows.jsonl"}, "train": {"steps": 2}}' >good.json
"$retort" train good.json --run run >/dev/null 2>&1 || fail 'a good recipe does not train'
"$retort" export model --out model.gguf --type f32 >/dev/null
copy() { rm -rf "$1" && cp -r model "$1"; }

# A pipe, and a device without an end, in the place of each file.
place() { # HOW FILE
  rm -rf "$2"
  case $1 in
    pipe) mkfifo "$2" ;;
    device) ln -s /dev/zero "$2" ;;
    folder) mkdir "$2" ;;
  esac
}
for how in pipe device folder; do
  for file in config.json model.safetensors tokenizer.json tokenizer_config.json; do
    copy odd
    place $how odd/$file
    ends "$how as $file" 2 "odd/$file.*$how" run odd --prompt hello --quiet
  done
  rm -rf adapter && cp -r run/adapter adapter
  for file in adapter_config.json adapter_model.safetensors; do
    place $how adapter/$file
    ends "$how as $file" 2 "adapter/$file.*$how" run model --adapter adapter --prompt hello --quiet
    rm -rf adapter && cp -r run/adapter adapter
  done
  place $how odd.file
  ends "$how as recipe" 2 "odd.file.*$how" train odd.file --run bad
  ends "$how as rows" 2 "odd.file.*$how" eval model --data odd.file
  ends "$how as text" 2 "odd.file.*$how" tokenize model --file odd.file
  ends "$how as corpus" 2 "odd.file.*$how" tokenizer train --data odd.file --out bad
  ends "$how as logits" 2 "odd.file.*$how" logits model --tokens 1 --out odd.file
  ends "$how as GGUF to write" 2 "odd.file" export model --out odd.file
done
mkfifo pipe.gguf
ends 'a pipe as a GGUF' 2 'pipe.gguf.*pipe' run pipe.gguf --prompt hello
ends 'a pipe to inspect' 2 'pipe.gguf.*pipe' inspect pipe.gguf
ln -s /dev/null sink  # not /dev/null itself: what would be replaced is the machine's
ends 'a device to write' 2 'sink.*device' export model --out sink

# Texts.
copy text
printf '{"model_type": "x\\nretort: fine\\u001b[2J", "a": "%0100000d"}' 0 >text/config.json
ends 'a name that forges a line' 2 'text/config.json.*x.n?retort: fine' run text --prompt hello
copy text
sed -i "s/\"model_type\": *\"[a-z]*\"/\"model_type\": \"$(printf 'x%.0s' {1..50000})\"/" text/config.json
ends 'a long name' 2 'text/config.json.*xxx.*bytes left out' run text --prompt hello
copy text
printf 'x\0garbage' >>text/config.json
ends 'text after a NUL' 2 'text/config.json.*NUL' run text --prompt hello
copy text
sed -i '0,/{/s//{"vocab_size": 7, /' text/config.json
ends 'a key given twice' 2 "text/config.json.*'vocab_size' is given twice" run text --prompt hello
copy text
printf '\0' >>text/tokenizer.json
ends 'a NUL in a tokenizer' 2 'text/tokenizer.json.*NUL' run text --prompt hello
copy text
sed -i '0,/"model": *{/s//"model": {"type": "BPE", /' text/tokenizer.json
ends 'a key of a tokenizer given twice' 2 "text/tokenizer.json.*'model.type' is given twice" run text --prompt hello
printf '{"prompt": "a", "completion": "b", "prompt": "c"}\n' >bad.jsonl
ends 'a key of a row given twice' 2 "bad.jsonl:1: .*'prompt' is given twice" eval model --data bad.jsonl
printf '{}\0]' >nul.json
ends 'a recipe of four bytes' 2 'nul.json.*NUL' train nul.json --run bad
{ printf '{"prompt": "a", "completion": "b"'; for i in {1..100000}; do printf ', "%d": 0' "$i"; done; echo '}'; } >bad.jsonl
status=0
timeout 60 "$retort" eval model --data bad.jsonl >out 2>err || status=$?
[[ $status == 0 || $status == 2 ]] || fail "a row of many keys: status $status"
copy text
{ printf '{'; for i in {1..100000}; do printf '"%d": 0, ' "$i"; done; tail -c +2 model/config.json; } >text/config.json
status=0
timeout 60 "$retort" logits text --tokens 1 --out x.f32 >out 2>err || status=$?
[[ $status == 0 || $status == 2 ]] || fail "a config of many keys: status $status"
ends 'a path that is too long' 2 'too long' inspect "$(printf 'x%.0s' {1..5000})"

# Outputs that cannot be written.
full() { # NAME COMMAND...
  local name=$1 status=0
  shift
  timeout 60 "$retort" "$@" >/dev/full 2>err </dev/null || status=$?
  [[ $status == 1 ]] || fail "$name onto a full disk: status $status: $(tail -1 err)"
  grep -q '^retort: standard output cannot be written: No space' <(tail -1 err) || fail "$name onto a full disk: $(tail -1 err)"
}
full inspect inspect model
full 'inspect --json' inspect model --json
full run run model --prompt hello --quiet
full 'run --json' run model --prompt hello --quiet --json
full eval eval model --data rows.jsonl
full tokenize tokenize model --text hello
full logits logits model --tokens 1 --out full.f32
full init init --shape 1,32,2,1,64,300 --out full.model
full export export model --out full.gguf
full merge merge --adapter run/adapter --out full.merged
full prune prune model --data rows.jsonl --out full.pruned --layers 1
full train train good.json --run full.run
full bench bench tokenize model --file rows.jsonl --repeat 1
full serve serve model --port 0
full help --help
full 'help of a command' train --help
full version --version
status=0
timeout 60 "$retort" tokenize model --text hello >&- 2>err || status=$?
[[ $status == 1 ]] || fail "a closed standard output: status $status: $(cat err)"
status=0
timeout 60 "$retort" export model --out closed.gguf --type f32 >&- 2>err || status=$?
cmp -s closed.gguf model.gguf || fail 'a closed standard output: the line went into the file'

# Numbers, and threads that there are not.
ends 'too many threads' 2 '--threads' eval model --data rows.jsonl --threads 100000
ends 'too many at once' 2 '--parallel' serve model --parallel 9223372036854775807
ends 'too many waiting' 2 '--queue' serve model --queue 9223372036854775807
if (ulimit -v 3000000 && "$retort" --version >/dev/null 2>&1); then
  status=0
  (ulimit -v 3000000 && timeout 60 "$retort" eval model --data rows.jsonl --threads 1024 >out 2>err) || status=$?
  [[ $status == 1 || $status == 0 ]] || fail "threads that cannot be had: status $status: $(tail -1 err)"
else
  echo 'NOTE a sanitizer needs more addresses than a limit leaves: threads that cannot be had are not tried'
fi
ends 'an endless step' 2 "'train.accumulate' must be .*at most" train good.json --run bad --set train.accumulate=9007199254740992

# Names.
ends 'a slip in a command' 2 "'trian' is no command; did you mean 'train'" trian good.json
ends "another program's command" 2 "did you mean 'export'" convert model
ends 'a command that nobody has' 2 'is no command; known: bench, calibrate, eval' frobnicate
ends 'a slip in an inner command' 2 "did you mean 'tokenizer train'" tokenizer trian
ends 'no command' 2 'retort --help'
ends 'a slip in a flag' 2 "eval: flag '--adaptor' is not known; did you mean '--adapter'" eval model --data rows.jsonl --adaptor x
ends "another program's flag" 2 'use --set train.lr=VALUE' train good.json --learning-rate 1e-4
ends "another program's key" 2 "'learning_rate' is not known; here it is 'train.lr'" train good.json --set learning_rate=1e-4
ends 'a folder that is there' 2 'run: is there already' merge --adapter run/adapter --out run

# A weights file that is cut while it is used.
"$retort" init --shape 8,512,8,4,1408,8000 --positions 8192 --out cut >/dev/null
rm -f out  # what the commands before said
"$retort" run cut --prompt hello --max-tokens 8000 --compute f32 >out 2>err </dev/null &
job=$!
for _ in {1..300}; do [[ -s out ]] && break; sleep 0.1; done
truncate -s 0 cut/model.safetensors
for _ in {1..300}; do kill -0 "$job" 2>/dev/null || break; sleep 0.1; done
if kill -KILL "$job" 2>/dev/null; then
  wait "$job" 2>/dev/null || true
  echo 'NOTE the weights had been copied before the file was cut'
else
  status=0
  wait "$job" || status=$?
  [[ $status == 1 ]] || fail "a file cut while it is used: status $status"
  grep -q '^retort: cut/model.safetensors: was shortened' err || fail "a file cut while it is used: $(tail -1 err)"
fi

((failures == 0)) && echo 'nothing waits, forges a line or is lost'
