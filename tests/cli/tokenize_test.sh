#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tokenize_test.sh RETORT: a conversation's text and ids, from a list of messages or a row, with tools.
set -euo pipefail
retort=$1
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
text=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../../LICENSE")
cd "$stage"

failures=0
same() {
  [[ $2 == "$3" ]] || { printf 'FAILED %s: %s\n' "$1" "$2"; failures=$((failures + 1)); }
}
refuses() {
  local status=0
  "$retort" "${@:3}" >out 2>err || status=$?
  [[ $status == 2 ]] && grep -q -- "$2" err || { printf 'FAILED %s: %s %s\n' "$1" "$status" "$(cat err)"; failures=$((failures + 1)); }
}

"$retort" tokenizer train --data "$text" --vocab 512 --kind sentencepiece --out t >/dev/null
printf '%s' '{% for t in tools or [] %}{{ t | tojson }}
{% endfor %}{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}' \
  >t/chat_template.jinja
echo '[{"role": "user", "content": "hi"}]' >asks.json
echo '{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}], "tools": [{"name": "f"}]}' >row.json
echo '[{"name": "g"}]' >tools.json

same 'a question' "$("$retort" tokenize t --messages asks.json --render)" '<user>hi</s><assistant>'
same 'a row' "$("$retort" tokenize t --messages row.json --render)" $'{"name": "f"}\n<user>hi</s><assistant>ho</s>'
same 'tools' "$("$retort" tokenize t --messages asks.json --tools tools.json --render --json | tr -d ' \n')" \
  '{"text":"{\"name\":\"g\"}\n<user>hi</s><assistant>"}'
same 'ids' "$("$retort" tokenize t --messages row.json | grep -c '</s>')" 2
same 'a named template' "$("$retort" tokenize t --messages asks.json --template chatml --render)" \
  $'<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant'
refuses 'tools that are not written' "does not write 'tools'" tokenize t --messages row.json --template chatml
refuses 'two inputs' 'give one of' tokenize t --messages row.json --text hi
refuses 'tools alone' 'need --messages' tokenize t --text hi --tools tools.json

((failures == 0)) || exit 1
echo "tokenize: all as expected"
