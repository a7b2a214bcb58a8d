#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# npm's openai package against `retort serve`.
#
#   openai_client_test.sh BUILD      called by judge.sh
set -euo pipefail
retort=$(realpath "$1/retort")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
packages=${RETORT_JUDGES:?names the folder of scripts/judges}/node/node_modules

skip() { echo "SKIP: $*"; exit 77; }
command -v node >/dev/null || skip "node is not installed"
[[ -d $packages/openai ]] || skip "needs npm's openai (scripts/judges)"

work=$(mktemp -d)
server=
trap '[[ -z $server ]] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT

# A small tokenizer and a model with random weights: what it says is nonsense, but the
# same nonsense every time.
# The tokenizer's text is one that never changes, so that the nonsense does not either.
"$retort" tokenizer train --data "$here/../../LICENSE" --vocab 512 --kind sentencepiece --out "$work/tokenizer" >/dev/null
"$retort" init --shape 2,64,4,2,160,512 --positions 512 --tokenizer "$work/tokenizer" --out "$work/model" --seed 3 >/dev/null

"$retort" serve "$work/model" --template llama2 --port 0 --parallel 8 --name nonsense --api-key sesame \
  >"$work/out" 2>"$work/err" &
server=$!
for _ in $(seq 300); do
  grep -q '^listening on ' "$work/out" && break
  kill -0 "$server" 2>/dev/null || { cat "$work/err"; exit 1; }
  sleep 0.1
done
url=$(sed -n 's/^listening on //p' "$work/out")
[[ -n $url ]] || { echo "the server did not start in 30 s"; cat "$work/err"; exit 1; }

# Modules are looked for beside the script that imports them.
cp "$here/openai_client_test.mjs" "$work/"
ln -s "$(realpath "$packages")" "$work/node_modules"
status=0
node "$work/openai_client_test.mjs" "$url" sesame || status=$?
kill -TERM "$server"
wait "$server" || { echo "the server exited with $? on SIGTERM"; status=1; }
server=
((status == 0)) || cat "$work/err"
exit "$status"
