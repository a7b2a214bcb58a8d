#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# bench_test.sh RETORT: every kind of `retort bench` on a tiny shape prints what its contract requires,
# with consistent figures, and rejects what it cannot do in one line.
set -euo pipefail
retort=$1
out=$(mktemp) err=$(mktemp)
trap 'rm -f "$out" "$err"' EXIT

failures=0
fail() {
  printf 'FAILED %s\n' "$*"
  failures=$((failures + 1))
}

# value KEY: of the first line's object.
value() { head -1 "$out" | grep -oE "\"$1\":(\"[^\"]*\"|[^,}]*)" | head -1 | cut -d: -f2- | tr -d '"'; }
# holds NAME EXPRESSION: in awk's arithmetic.
holds() { awk "BEGIN { exit !($2) }" || fail "$1: not so: $2: $(cat "$out")"; }

# bench ARGUMENT...: runs it and checks what every kind of it must say.
bench() {
  "$retort" bench "$@" --threads 2 --json >"$out" 2>"$err" || fail "$*: status $?: $(tail -1 "$err")"
  local key
  for key in tokens_per_second peak_rss_bytes threads device compute fraction_of_peak; do
    [[ -n $(value $key) ]] || fail "$*: no '$key' in: $(cat "$out")"
  done
  [[ $(value device) == cpu && $(value threads) == 2 ]] || fail "$*: $(cat "$out")"
  holds "$*" "$(value tokens_per_second) > 0"
  # A process with OpenBLAS and oneDNN in it has 10 MB at least, this one not half a gigabyte.
  [[ $1 == gemm ]] || holds "$*" "$(value peak_rss_bytes) > 1e7 && $(value peak_rss_bytes) < 5e8"
  # No more than that: the limit is measured at another moment and in other memory than the work, so on a
  # busy machine, or with weights that lie in a cache, the share may be anything.
  holds "$*" "$(value fraction_of_peak) > 0"
}

shape=2,64,4,2,128,512
parameters=106496  # 2 blocks of 36,864, a head of 32,768

# share WORK: the fraction is what the rate, the work of a token and the limit give.
share() {
  holds "$1" "$(value "$2") * $(value tokens_per_second) / $(value "$3") / $(value fraction_of_peak) - 1 < 1e-6"
  holds "$1" "$(value "$2") * $(value tokens_per_second) / $(value "$3") / $(value fraction_of_peak) - 1 > -1e-6"
  holds "$1" "$(value tokens_per_second_min) <= $(value tokens_per_second)"
  holds "$1" "$(value tokens_per_second) <= $(value tokens_per_second_max)"
}

for weights in f32 bf16 nf4; do
  bench train --shape $shape --weights $weights --tokens 32 --batch-rows 2 --repeat 2
  [[ $(value weights) == "$weights" && $(value batch_rows) == 2 && $(value tokens) == 32 ]] || fail "train $weights: $(cat "$out")"
  holds "train $weights" "$(value flops_per_token) == 4 * $parameters"
  share "train $weights" flops_per_token peak_flops_per_second
done
bench train --shape $shape --weights f32 --tokens 32 --repeat 1
[[ $(value compute) == f32 ]] || fail "f32 weights are trained in $(value compute)"

bench prefill --shape $shape --weights q8_0 --prompt 70 --sequences 2 --repeat 2
[[ $(value compute) == int8 && $(value prompt) == 70 ]] || fail "prefill: $(cat "$out")"
holds prefill "$(value flops_per_token) == 2 * $parameters"
share prefill flops_per_token peak_flops_per_second
holds prefill "$(value fraction_of_peak_blocks) < $(value fraction_of_peak)"

bench decode --shape $shape --weights q8_0 --prompt 3 --gen 9 --sequences 2 --kv f16 --repeat 3
[[ $(value gen) == 9 && $(value sequences) == 2 ]] || fail "decode: $(cat "$out")"
# Weights of 34 bytes a block for both sequences; 8 tokens seen on average, 256 bytes each.
holds decode "$(value bytes_per_token) == $parameters * 34 / 32 / 2 + 8 * 256"
share decode bytes_per_token peak_bytes_per_second

bench gemm --shape $shape --weights q4_0 --tokens 16 --repeat 1
[[ $(wc -l <"$out") == 15 ]] || fail "gemm: $(wc -l <"$out") products, not 5 layers x 3 ways"
# A product's rates fit each other, and products that are computed alike are shares of one limit.
awk '
  function get(key) { match($0, "\"" key "\":[^,}]*"); return substr($0, RSTART + length(key) + 3, RLENGTH - length(key) - 3) }
  function near(a, b) { return a / b > 1 - 1e-6 && a / b < 1 + 1e-6 }
  { limit = get("flops_per_second") / get("fraction_of_peak"); kind = get("compute")
    if (!(kind in limits)) limits[kind] = limit
    if (!near(limit, limits[kind]) || !near(get("flops_per_second"), 2 * get("outputs") * get("inputs") * get("tokens_per_second")))
      { print; bad = 1 } }
  END { exit bad || NR == 0 }' "$out" || fail "gemm: rates and shares that do not fit"
[[ $(grep -c '"compute":"int8"' "$out") == 5 && $(grep -c '"direction":"gradient"' "$out") == 5 ]] || fail "gemm: $(cat "$out")"

# A teacher of the same shape: its 2 N operations count beside the student's 4 N.
bench train --shape $shape --tokens 32 --batch-rows 2 --repeat 1
alone=$(value flops_per_token)
bench train --shape $shape --teacher $shape --tokens 32 --batch-rows 2 --repeat 1
holds teacher "$(value flops_per_token) == $alone * 1.5"
holds teacher "$(value teacher_overhead) > 0"

# A model of files; weights as stored.
folder=$(mktemp -d)
trap 'rm -rf "$out" "$err" "$folder"' EXIT
"$retort" init --shape $shape --out "$folder/m" >/dev/null
bench decode "$folder/m" --gen 4 --repeat 1
[[ $(value weights) == f32 && $(value compute) == f32 ]] || fail "a folder: $(cat "$out")"

# Rows of text: the empty line is none.
printf 'one row\n\ntwo rows\n' >"$folder/rows.txt"
printf '{"prompt": "one", "completion": " row"}\n{"prompt": "two", "completion": " rows"}\n' >"$folder/rows.jsonl"
tokenize() { "$retort" bench tokenize "$@" --repeat 3 --json >"$out" 2>"$err" || fail "tokenize $*: status $?: $(tail -1 "$err")"; }
tokenize "$folder/m" --file "$folder/rows.txt"
[[ $(value rows) == 2 && $(value bytes) == 15 && $(value threads) == 1 ]] || fail "tokenize: $(cat "$out")"
holds tokenize "$(value bytes_per_second_min) <= $(value bytes_per_second) && $(value bytes_per_second) <= $(value bytes_per_second_max)"
holds tokenize "$(value tokens) > 2 && $(value tokens) <= 15"
holds tokenize "$(value tokens_per_second) / $(value bytes_per_second) - $(value tokens) / 15 < 1e-6"
[[ -z $(value times_library) ]] || fail "a library beside byte-level BPE: $(cat "$out")"
tokenize "$folder/m" --file "$folder/rows.txt" --whole
[[ $(value rows) == 1 && $(value bytes) == 18 ]] || fail "tokenize --whole: $(cat "$out")"
tokenize "$folder/m" --file "$folder/rows.jsonl"
[[ $(value rows) == 4 && $(value bytes) == 15 ]] || fail "tokenize of rows: $(cat "$out")"
seq -f 'a row of some length, number %g' 40 >"$folder/rows.txt"
"$retort" tokenizer train --data "$folder/rows.txt" --vocab 300 --kind sentencepiece --out "$folder/sp" >/dev/null
tokenize "$folder/sp" --file "$folder/rows.txt"
holds "tokenize beside the library" "$(value times_library) > 0 && $(value library_bytes_per_second) > 0"

# refuses PATTERN ARGUMENT...
refuses() {
  local pattern=$1 status=0
  shift
  "$retort" bench "$@" >"$out" 2>"$err" || status=$?
  [[ $status == 2 && $(wc -l <"$err") == 1 && ! -s $out ]] || fail "bench $*: status $status: $(cat "$err" "$out")"
  grep -qE -- "$pattern" "$err" || fail "bench $*: '$(cat "$err")' does not match '$pattern'"
}
refuses 'say what' --json
refuses 'http://' serve localhost:8080
refuses '--lengths' serve http://localhost:1 --lengths 5
refuses '--requests 3: fewer than the 8 clients' serve http://localhost:1 --requests 3 --clients 2,8
refuses 'not a folder' serve http://localhost:1 --page "$folder/rows.txt/page.html"
refuses 'model.*--shape' train
refuses 'model.*--shape' gemm
refuses 'model.*--shape' decode "$folder/m" --shape $shape
refuses 'work.*tests' tests --shape $shape
refuses 'six numbers' train --shape 2,64
refuses 'q9' prefill --shape $shape --weights q9
refuses 'nowhere' prefill nowhere
refuses '--file' tokenize "$folder/m"
: >"$folder/empty"
refuses 'no text' tokenize "$folder/m" --file "$folder/empty"
refuses '--file.*tokenize' decode --shape $shape --file x
refuses '--teacher' prefill --shape $shape --teacher $shape
refuses 'int8.*runner' train --shape $shape --compute int8
refuses '--repeat' train --shape $shape --repeat 0
"$retort" init --shape $shape --positions 64 --out "$folder/short" >/dev/null
refuses '65.*64 positions' train "$folder/short" --tokens 65
refuses '64 positions' decode "$folder/short" --prompt 32 --gen 32
refuses 'compute.*fp8' decode --shape $shape --compute fp8
refuses 'block' decode --shape 1,40,2,1,64,300 --weights q8_0

# A served model under load: two levels, two servers that are the same one, and the page.
"$retort" init --shape 1,32,2,1,64,320 --positions 512 --out "$folder/served" >/dev/null
"$retort" serve "$folder/served" --template llama2 --port 0 >"$folder/url" 2>/dev/null &
server=$!
trap 'kill "$server" 2>/dev/null || true; rm -rf "$out" "$err" "$folder"' EXIT
for _ in $(seq 300); do grep -q '^listening' "$folder/url" && break; sleep 0.1; done
url=$(sed 's/^listening on //' "$folder/url")
"$retort" bench serve --clients 1,2 --lengths 5:4,9:2 "$url" "$url/v1/" --requests 6 --ignore-eos --json --seed 5 \
  --page "$folder/load.html" >"$out" 2>"$err" || fail "bench serve: $(cat "$err")"
[[ $(wc -l <"$out") == 4 && $(grep -c '"answered":6.*"failed":0' "$out") == 4 ]] || fail "bench serve: $(cat "$out" "$err")"
[[ $(grep -c '"answer_tokens":3.0' "$out") == 4 ]] || fail "bench serve, tokens: $(cat "$out")"
[[ $(grep -c '"seed":5' "$out") == 4 && $(grep -c '"p95":null,"p99":null' "$out") == 4 ]] || fail "bench serve: $(cat "$out")"
grep -q '2 clients' "$folder/load.html" && grep -q '<svg' "$folder/load.html" || fail "bench serve: no page"
"$retort" bench serve "$url" --rate 50 --lengths 5:4 --requests 6 >"$out" 2>"$err" || fail "bench serve: $(cat "$err")"
grep -q '50 requests/s .* tokens/s .* / - / - s$' "$out" && grep -q '^seed [0-9]' "$err" || fail "bench serve --rate: $(cat "$out")"
kill "$server"
status=0
"$retort" bench serve http://127.0.0.1:1 --model a --clients 1 >"$out" 2>"$err" || status=$?
[[ $status == 1 ]] && grep -q 'answered nothing' "$err" || fail "bench serve without a server: $status: $(cat "$err")"

((failures == 0)) && echo 'every bench says what it should'
