#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# foreign_hdf5_test.sh RETORT: HDF5 files of other users and machines are refused, inspected and converted without
# a signal, and a full disk is exit status 1 and one line, however much room there is.
set -euo pipefail
retort=$1
stage=$(mktemp -d)
trap 'umount "$stage/small" 2>/dev/null || true; rm -rf "$stage"' EXIT
cd "$stage"
export XDG_STATE_HOME=$stage/maker

failures=0
fail() {
  printf 'FAILED %s\n' "$*"
  failures=$((failures + 1))
}
# ends NAME STATUS PATTERN COMMAND...: the command ends with the status; its last line on standard error, which is the
# only one that begins with "retort: ", matches.
ends() {
  local name=$1 wanted=$2 pattern=$3 status=0
  shift 3
  "$retort" "$@" >out 2>err || status=$?
  [[ $status == "$wanted" ]] || fail "$name: status $status, wanted $wanted: $(tail -1 err)"
  [[ $status == 0 || $(grep -c '^retort: ' err) == 1 ]] || fail "$name: not one error: $(cat err)"
  [[ -z $pattern ]] || tail -1 err | grep -qE -- "$pattern" || fail "$name: '$(tail -1 err)' does not match '$pattern'"
}

"$retort" init --shape 2,32,2,1,64,300 --out model --seed 3 >/dev/null
"$retort" init --shape 2,32,2,1,64,300 --out teacher --seed 4 >/dev/null
for i in 1 2 3 4; do echo '{"prompt": "one two", "completion": " three '$i'"}'; done >rows.jsonl
cat >teach.json <<'END'
{"model": {"path": "model", "compute": "f32"}, "data": {"train": "rows.jsonl"},
 "teacher": {"path": "teacher", "mode": "cached", "cache": "cache", "weights": "f32", "compute": "f32"},
 "train": {"steps": 4, "checkpoint_every": 2}}
END
"$retort" teach teach.json >/dev/null 2>&1 || fail 'teach'
"$retort" train teach.json --run whole >/dev/null 2>&1 || fail 'train from the cache'
[[ $(stat -c %a maker/retort/secret) == 600 ]] || fail "the secret's mode is $(stat -c %a maker/retort/secret)"

# Another user: the same files with another secret.
export XDG_STATE_HOME=$stage/user
ends "another user's cache" 2 \
  "^retort: $PWD/cache/shard-00000.h5: has no seal .*\`retort trust $PWD/cache\`" train teach.json --run run
ends 'trust a cache' 0 '' trust cache
[[ $(cat out) == 'cache: 1 file converted and sealed' ]] || fail "trust said $(cat out)"
ends 'trust it again' 0 '' trust cache
grep -q 'nothing to convert' out || fail "trust said $(cat out)"
[[ ! -e run ]] || fail "a refused cache left $(find run)"
ends 'train from the converted cache' 0 '' train teach.json --run run
cmp -s whole/adapter/adapter_model.safetensors run/adapter/adapter_model.safetensors || fail 'another adapter from the converted cache'

# A run that is continued elsewhere.
cp -r whole moved
rm -r moved/checkpoints/step-4 moved/summary.json moved/adapter
ends "another user's checkpoint" 2 \
  "^retort: moved/checkpoints/step-2/trainer.h5: has no seal .*\`retort trust moved/checkpoints/step-2\`" train teach.json --run moved --resume
ends 'trust a run' 0 '' trust moved
[[ $(cat out) == 'moved: 1 file converted and sealed' ]] || fail "trust said $(cat out)"
ends 'go on with the converted checkpoint' 0 '' train teach.json --run moved --resume
cmp -s whole/adapter/adapter_model.safetensors moved/adapter/adapter_model.safetensors || fail 'another adapter from the converted checkpoint'
ends 'trust what holds nothing' 2 'model: holds no teacher-cache.json' trust model
ends 'trust nothing' 2 'nowhere: holds no' trust nowhere

# Inspecting needs neither a manifest nor a seal.
mkdir alone
cp cache/shard-00000.h5 alone/x.h5
ends 'inspect' 0 '' inspect alone/x.h5
grep -q 'rows/values *u16' out || fail "inspect said $(cat out)"
head -c 3000 alone/x.h5 >alone/cut.h5
ends 'inspect a cut file' 2 'alone/cut.h5: ' inspect alone/cut.h5
ends 'inspect a checkpoint' 0 '' inspect whole/checkpoints/step-4/trainer.h5
if [[ -d ${RETORT_SHARED:-}/cases/hostile ]]; then
  for file in "$RETORT_SHARED"/cases/hostile/*.h5; do
    status=0
    "$retort" inspect "$file" >out 2>err || status=$?
    [[ $status == 0 || ($status == 2 && $(wc -l <err) == 1) ]] || fail "inspect ${file##*/}: status $status: $(cat err)"
  done
fi
# Every so many bytes of a shard changed, its maker's checksum beside it.
cp -r cache hostile
size=$(stat -c %s cache/shard-00000.h5)
for ((at = 1; at < size; at += size / 24)); do
  for byte in '\000' '\377'; do
    cp cache/shard-00000.h5 hostile/shard-00000.h5
    printf "$byte" | dd of=hostile/shard-00000.h5 bs=1 seek="$at" conv=notrunc status=none
    sum=$(sha256sum hostile/shard-00000.h5 | cut -d' ' -f1)
    sed "s/\"sha256\": \"[0-9a-f]*\"/\"sha256\": \"$sum\"/" cache/teacher-cache.json >hostile/teacher-cache.json
    cmp -s cache/shard-00000.h5 hostile/shard-00000.h5 && continue
    for command in trust inspect; do
      status=0
      target=hostile
      [[ $command == inspect ]] && target=hostile/shard-00000.h5
      "$retort" "$command" "$target" >out 2>err || status=$?
      [[ $status == 0 || ($status == 2 && $(wc -l <err) == 1) ]] || fail "$command, byte $at: status $status: $(cat err)"
    done
  done
done

# The secret.
chmod 644 user/retort/secret
ends 'a secret that others may read' 2 'user/retort/secret: .*by others.*XDG_STATE_HOME' train teach.json --run run2
chmod 600 user/retort/secret
touch flat
XDG_STATE_HOME=$stage/flat ends 'no place for a secret' 1 'flat.*cannot be made.*XDG_STATE_HOME' train teach.json --run run3

# A full disk, at every few KB of room.
mkdir small
full() {
  local name=$1 least=$2 most=$3 step=$4 room status
  shift 4
  for ((room = least; room <= most; room += step)); do
    mount -t tmpfs -o "size=${room}k" none small 2>/dev/null || return 1
    status=0
    "$retort" "$@" >out 2>err || status=$?
    if [[ $status != 0 ]]; then
      [[ $status == 1 ]] || fail "$name, ${room} KB of room: status $status: $(tail -1 err)"
      [[ $(grep -c '^retort: ' err) == 1 ]] || fail "$name, ${room} KB of room: not one error: $(cat err)"
      tail -1 err | grep -qE '^retort: ([^ ]*/)?small/.{1,150}: .{0,60}No space left on device.{0,40}$' || fail "$name, ${room} KB of room: $(tail -1 err)"
      [[ -z $(find small -name '*.partial*') ]] || fail "$name, ${room} KB of room: left $(find small -name '*.partial*')"
    fi
    umount small
    [[ $status != 0 ]] || return 0
  done
  fail "$name: $most KB are not enough"
}
if mount -t tmpfs -o size=64k none small 2>/dev/null; then
  umount small
  full 'train' 8 1000 20 train teach.json --run small/run
  full 'teach' 4 200 4 teach teach.json --set teacher.cache=small/cache
else
  echo 'SKIP the full disk: mounting a small file system needs root'
fi

((failures == 0)) && echo 'HDF5 files of strangers do no harm'
