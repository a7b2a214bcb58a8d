#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# thoughts_test.sh RETORT: what 'retort run' does with what a model thinks before it answers.
set -euo pipefail
retort=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() { echo "FAILED: $*"; exit 1; }

"$retort" init --shape 1,32,2,1,64,320 --out "$work/model" --seed 3 >/dev/null 2>&1

template() { # PROMPT: the end of what the model is asked with
  printf '%s' "{%- for m in messages -%}{{ m.role + ': ' + m.content + eos_token }}{%- endfor -%}{%- if add_generation_prompt -%}{{ '$1' }}{%- endif -%}" \
    >"$work/model/chat_template.jinja"
}
answer() { "$retort" run "$work/model" --chat hello --max-tokens 12 "$@" >"$work/out" 2>"$work/err"; }

# A prompt that has opened the thought: all that this model says is thought.
template 'assistant: <think>'
answer --quiet
[[ $(cat "$work/out") == '' ]] || fail "thoughts are on standard output: $(cat "$work/out")"
grep -q '^\[thought\]$' "$work/err" || fail "thoughts are not marked: $(cat "$work/err")"
grep -q '^\[end of thought\]$' "$work/err" || fail "thoughts do not end: $(cat "$work/err")"
answer --quiet --hide-thoughts
[[ ! -s $work/err ]] || fail "hidden thoughts are shown: $(cat "$work/err")"
answer --quiet --json
grep -q '"text":"","reasoning_content":"' "$work/out" || fail "thoughts are no part of the object: $(cat "$work/out")"

# The same model without a thought: all is the answer.
template 'assistant: '
answer --quiet
[[ -n $(cat "$work/out") ]] || fail "the answer is not on standard output"
[[ ! -s $work/err ]] || fail "something is on standard error: $(cat "$work/err")"
answer --quiet --json
grep -q '"reasoning_content":null' "$work/out" || fail "an answer without thoughts: $(cat "$work/out")"
echo ok
