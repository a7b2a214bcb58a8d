#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# draft_test.sh RETORT: `retort run --draft` says the same tokens whoever guesses, counts the guesses, and refuses a model
# of other tokens in one line.
set -euo pipefail
retort=$1
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
text=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../../LICENSE")
cd "$stage"

failures=0
fail() {
  printf 'FAILED %s\n' "$*"
  failures=$((failures + 1))
}

for vocab in 512 500; do
  "$retort" tokenizer train --data "$text" --vocab "$vocab" --kind sentencepiece --out "tokenizer$vocab" >/dev/null
done
"$retort" init --shape 2,64,4,2,160,512 --tokenizer tokenizer512 --out model --seed 3 >/dev/null
"$retort" init --shape 1,32,2,1,64,512 --tokenizer tokenizer512 --out student --seed 5 >/dev/null
"$retort" init --shape 1,32,2,1,64,500 --tokenizer tokenizer500 --out stranger --seed 5 >/dev/null

# said FLAGS...: the answer's JSON.
said() {
  "$retort" run model --prompt 'the work and the work and the' --max-tokens 60 --compute f32 --json "$@" 2>err
}
member() { sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p"; }
ids() { sed -n 's/.*"ids":\(\[[0-9,]*\]\).*/\1/p'; }

for sampling in '--temperature 0' '--temperature 0.9 --seed 4 --top-p 0.9'; do
  # shellcheck disable=SC2086
  plain=$(said $sampling)
  [[ $(member drafted_tokens <<<"$plain") == 0 ]] || fail "guesses without --draft: $plain"
  for draft in ngram model student; do
    # shellcheck disable=SC2086
    guessed=$(said $sampling --draft "$draft" --draft-tokens 5)
    [[ -n $(ids <<<"$plain") && $(ids <<<"$guessed") == "$(ids <<<"$plain")" ]] ||
      fail "--draft $draft, $sampling: $guessed, not $plain"
    grep -q "^draft .*$draft.*at most 5 tokens" err || fail "--draft $draft is not noted: $(cat err)"
    [[ $draft != model ]] || (($(member accepted_tokens <<<"$guessed") > 30)) || fail "its own guesses: $guessed"
  done
done

# refuses PATTERN FLAGS...
refuses() {
  local pattern=$1 status=0
  shift
  "$retort" run model --prompt the --quiet "$@" >out 2>err || status=$?
  [[ $status == 2 && ! -s out && $(wc -l <err) == 1 ]] || fail "$*: status $status: $(cat out err)"
  grep -qE -- "$pattern" err || fail "$*: '$(cat err)' does not match '$pattern'"
}
refuses '--draft stranger: cannot draft for model.*same tokenizer, or ngram' --draft stranger
refuses 'nowhere' --draft nowhere

((failures == 0)) || exit 1
