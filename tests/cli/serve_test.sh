#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# serve_test.sh RETORT: at SIGTERM, `retort serve` tells every client and exits with 0; a second signal ends it
# at once; SIGHUP has it read its model again; flags that would let in nobody or everybody are refused.
set -euo pipefail
retort=$1
stage=$(mktemp -d)
server=
trap '[[ -z $server ]] || kill -KILL "$server" 2>/dev/null || true; rm -rf "$stage"' EXIT
text=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../../LICENSE")
cd "$stage"

failures=0
fail() {
  printf 'FAILED %s\n' "$*"
  failures=$((failures + 1))
}

"$retort" tokenizer train --data "$text" --vocab 512 --kind sentencepiece --out tokenizer >/dev/null
# Random weights that rarely say an end token, and a context that lasts longer than the test.
"$retort" init --shape 2,64,4,2,160,512 --positions 30000 --tokenizer tokenizer --out model --seed 3 >/dev/null

for flags in "--api-key=" "--allow-host a.example:80" "--allow-host http://a.example" \
  "--listen /tmp/socket" "--listen unix:model/config.json" \
  "--tls-cert model/config.json" "--drift-window 100" "--prefill-tokens 1" "--record-baseline model/config.json"; do
  status=0
  # shellcheck disable=SC2086
  timeout 60 "$retort" serve model --template llama2 --port 0 $flags >out 2>err || status=$?
  [[ $status == 2 && ! -s out ]] || fail "serve $flags: status $status: $(cat err)"
  grep -q -- "${flags%%[ =]*}" err || fail "serve $flags: $(cat err)"
done

start() {  # FLAG...
  rm -f out err  # what the server before said
  "$retort" serve model --template llama2 --port 0 --parallel 32 --context 2000 --prefill-tokens 64 "$@" >out 2>>err 9>&- &
  server=$!
  for _ in $(seq 300); do
    grep -qs '^listening on ' out && break
    kill -0 "$server" 2>/dev/null || { cat err; exit 1; }
    sleep 0.1
  done
  port=$(sed -n 's/^listening on .*://p' out)
}

# stream FILE: asks for an answer without end; what comes goes into the file.
stream() {
  local body='{"prompt": "Once", "max_tokens": 2000, "temperature": 1, "stream": true}'
  exec {socket}<>"/dev/tcp/127.0.0.1/$port"
  printf 'POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' \
    ${#body} "$body" >&"$socket"
  cat <&"$socket" >"$1" &
  readers+=($!)
  exec {socket}>&-
}

start
readers=()
for i in $(seq 32); do stream "stream$i"; done
for _ in $(seq 100); do
  [[ $(grep -l '^data:' stream* 2>/dev/null | wc -l) == 32 ]] && break
  sleep 0.1
done
kill -TERM "$server"
status=0
wait "$server" || status=$?
server=
[[ $status == 0 ]] || fail "SIGTERM: status $status: $(cat err)"
for reader in "${readers[@]}"; do wait "$reader" || true; done
told=0 ended=0
for i in $(seq 32); do
  grep -qE '^data: (\[DONE\]|\{"error":.*the server is stopping)' "stream$i" && told=$((told + 1))
  [[ $(tail -c 5 "stream$i" | tr -d '\r\n') == 0 ]] && ended=$((ended + 1))
done
[[ $told == 32 && $ended == 32 ]] || fail "SIGTERM: of 32 streams $told had a last event and $ended a last chunk"

start
readers=()
stream again
for _ in $(seq 100); do grep -q '^data:' again && break; sleep 0.1; done
kill -TERM "$server"
sleep 0.2
kill -TERM "$server" 2>/dev/null || true
status=0
wait "$server" || status=$?
server=
[[ $status == 0 ]] || fail "a second SIGTERM: status $status"

# A socket file: for its owner, replaced after a kill, removed at the end.
for signal in KILL TERM; do
  rm -f out
  "$retort" serve model --template llama2 --listen unix:socket --context 2000 >out 2>err &
  server=$!
  for _ in $(seq 300); do
    grep -qs '^listening on ' out && break
    kill -0 "$server" 2>/dev/null || { cat err; exit 1; }
    sleep 0.1
  done
  [[ $(cat out) == 'listening on unix:socket' ]] || fail "unix: $(cat out)"
  [[ -S socket && $(stat -c %a socket) == 600 ]] || fail "unix: $(stat socket)"
  kill "-$signal" "$server"
  wait "$server" 2>/dev/null || true
  server=
  [[ -e socket ]] && left=yes || left=no
  [[ $signal$left == KILLyes || $signal$left == TERMno ]] || fail "unix: $signal, a file left: $left"
done

# A new model takes the place of the old one at SIGHUP: streams end on the old one, and new requests go to it.
call() {  # PATH BODY: the answer's body
  exec {socket}<>"/dev/tcp/127.0.0.1/$port"
  printf 'POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s' \
    "$1" ${#2} "$2" >&"$socket"
  sed '1,/^\r$/d' <&"$socket"
  exec {socket}>&-
}
says() { call /v1/completions '{"prompt": "Once upon", "max_tokens": 12}' | grep -o '"choices":[^]]*'; }
# hang_up LINE: sends SIGHUP, and waits for what the server says of it.
hang_up() {
  : >err
  kill -HUP "$server"
  for _ in $(seq 300); do grep -q "$1" err && return; sleep 0.1; done
  fail "SIGHUP: no '$1': $(cat err)"
}
"$retort" init --shape 2,64,4,2,160,512 --positions 30000 --tokenizer tokenizer --out other --seed 4 >/dev/null
start
old=$(says)
readers=()
for i in $(seq 4); do stream "held$i"; done
for _ in $(seq 100); do
  [[ $(grep -l '^data:' held* 2>/dev/null | wc -l) == 4 ]] && break
  sleep 0.1
done
hang_up 'is as it was'
mv model model-old && mv other model
hang_up 'was read again'
new=$(says)
[[ -n $old && -n $new && $old != "$new" ]] || fail "reload: '$old' before and '$new' behind it"
mv model model-new && mkdir model && echo '{' >model/config.json
hang_up 'the model is kept as it was'
[[ $(grep -c . err) == 1 ]] || fail "reload: more than a line: $(cat err)"
[[ $(says) == "$new" ]] || fail "reload: a faulty file changed the model"
[[ $(call /v1/reload '{}') == *--allow-reload* ]] || fail "reload: for every client"
for reader in "${readers[@]}"; do wait "$reader" || true; done
for i in $(seq 4); do
  grep -q '^data: \[DONE\]' "held$i" || fail "reload: a stream was cut off: $(tail -c 200 "held$i")"
done
kill -TERM "$server"
wait "$server" || fail "reload: status $?"
server=
rm -r model && mv model-new model
start --allow-reload
[[ $(says) == "$new" ]] || fail "reload: another start says '$(says)', not '$new'"
rm -r model && mv model-old model
[[ $(call /v1/reload '{}') == *'"reloaded":true'* && $(says) == "$old" ]] || fail "reload: $(cat err)"
kill -TERM "$server"
wait "$server" || fail "reload: status $?"
server=

# Whoever reads the log may leave.
mkfifo log
exec 9<>log
start --log log
exec 9>&-
exec {socket}<>"/dev/tcp/127.0.0.1/$port"
body='{"prompt": "Once", "max_tokens": 2}'
printf 'POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s' \
  ${#body} "$body" >&"$socket"
grep -q 'HTTP/1.1 200' <&"$socket" || fail "nobody reads the log: no answer"
exec {socket}>&-
sleep 0.5
kill -TERM "$server" || fail "nobody reads the log: the server is gone"
status=0
wait "$server" || status=$?
server=
[[ $status == 0 ]] || fail "nobody reads the log: status $status"

((failures == 0)) && echo "every stream was told, and both ends were in order"
exit $((failures > 0))
