#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Checks the syntax of every script, and scripts/setup and scripts/judges on a machine simulated by stubs
# of id, dpkg-query, apt-get and sudo: nothing is done if everything is installed; otherwise one update and
# only the missing packages, with sudo if not root, and a clear error without it. Judges that exist are used
# as they are; those that are not available are named.
# shellcheck disable=SC2016  # the stubs expand their own variables
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

for script in "$root"/scripts/* "$root"/tests/*.sh "$root"/tests/*/*.sh "$root"/.ci/run; do
  [[ $script == *.txt || $script == *.mjs ]] || bash -n "$script"
done

# A copy of what setup reads, so that nothing is installed into the tree under test.
mkdir -p "$stage/scripts" "$stage/bin"
cp "$root"/scripts/setup "$root"/scripts/packages*.txt "$stage/scripts"
stub() { printf '#!/bin/bash\n%s\n' "$2" >"$stage/bin/$1" && chmod +x "$stage/bin/$1"; }
for tool in bash env dirname grep mktemp cat rm; do ln -s "$(command -v $tool)" "$stage/bin/$tool"; done
stub dpkg-query 'grep -qx -- "${@: -1}" "$STAGE/installed" && echo -n installed'
stub apt-get 'echo "apt-get $*" >>"$STAGE/log"; exit "${APT_STATUS:-0}"'
stub id 'echo "${USER_ID:-0}"'

# setup_says INSTALLED ARGUMENTS...: runs setup on the stage; its words go to $said, apt's calls to
# $calls, its status to $status.
setup_says() {
  printf '%s\n' "$1" >"$stage/installed"
  : >"$stage/log"
  status=0
  said=$(env -i STAGE="$stage" PATH="$stage/bin" USER_ID="${user:-0}" APT_STATUS="${apt_status:-0}" \
    "$stage/scripts/setup" "${@:2}" 2>&1) || status=$?
  calls=$(sed 's/-o DPkg::Lock::Timeout=[0-9]* //' "$stage/log")
}

failures=0
expect() {
  [[ $2 == "$3" ]] && return
  printf 'FAILED %s: wanted\n%s\ngot\n%s\n' "$1" "$3" "$2"
  failures=$((failures + 1))
}

list() { grep -hv -e '^#' -e '^$' "$@"; }
all=$(list "$root"/scripts/packages.txt)
judges=$(list "$root"/scripts/packages-judges.txt)
but_two=$(grep -vx -e cmake -e libpcre2-dev <<<"$all")

setup_says "$all"
expect 'all is there' "$status/$said/$calls" '0//'

setup_says "$but_two"
expect 'two are missing' "$status/$said/$calls" "0/setup: installing cmake libpcre2-dev/apt-get update
apt-get install -y --no-install-recommends cmake libpcre2-dev"

setup_says "$but_two" --judges
expect 'one update for both lists' "$status/$calls" "0/apt-get update
apt-get install -y --no-install-recommends cmake libpcre2-dev
apt-get install -y --no-install-recommends ${judges//$'\n'/ }"

user=1000 setup_says "$but_two"
expect 'neither root nor sudo' "$status/$calls/$([[ $said == *'needs root or sudo'* ]] && echo told)" '1//told'

apt_status=100 setup_says "$but_two"
expect 'apt-get fails' "$status" 1

apt_status=100 setup_says "$all" --judges
expect 'judges that cannot be had' "$status/${said##*$'\n'}" "0/setup: going on without ${judges//$'\n'/ }"

setup_says "$all" --what
expect 'a flag that it does not know' "$status/$calls" '2/'

stub sudo 'echo -n "sudo: " >>"$STAGE/log"; exec "$@"'
user=1000 setup_says "$but_two"
expect 'sudo when not root' "$status/$calls" "0/sudo: apt-get update
sudo: apt-get install -y --no-install-recommends cmake libpcre2-dev"

# scripts/judges, in a folder where all is there: Python is a stub that says so, llama.cpp a clone of a bundle.
mkdir -p "$stage/tests/judges" "$stage/judges/python/bin" "$stage/judges/node/node_modules/node-llama-cpp/llama"
cp "$root/scripts/judges" "$stage/scripts"
cp "$root"/tests/judges/{package.json,requirements.txt} "$stage/tests/judges"
for tool in git cmp cut cp mkdir tail touch; do ln -s "$(command -v $tool)" "$stage/bin/$tool"; done
printf '#!/bin/bash\nexit "${PYTHON_STATUS:-0}"\n' >"$stage/judges/python/bin/python"
chmod +x "$stage/judges/python/bin/python"
cp "$root/tests/judges/package.json" "$stage/judges/node/installed.json"
git init -q "$stage/source"
git -C "$stage/source" -c user.name=a -c user.email=a@b commit -q --allow-empty -m a
git -C "$stage/source" bundle create -q "$stage/judges/node/node_modules/node-llama-cpp/llama/gitRelease.bundle" HEAD
git clone -q "$stage/judges/node/node_modules/node-llama-cpp/llama/gitRelease.bundle" "$stage/judges/llama.cpp" 2>/dev/null
mkdir "$stage/judges/llama.cpp/build"
touch "$stage/judges/llama.cpp/build/installed"
printf '%s\n' "$all" "$judges" >"$stage/installed"

# judges_say ARGUMENTS...
judges_say() {
  status=0
  said=$(env -i STAGE="$stage" PATH="$stage/bin" HOME=/home/a RETORT_JUDGES="${folder-$stage/judges}" \
    PYTHON_STATUS="${python_status:-0}" "$stage/scripts/judges" "$@" 2>&1) || status=$?
}
judges_say
expect 'all judges are there' "$status/$said" '0/'
judges_say --folder
expect 'the folder that is named' "$status/$said" "0/$stage/judges"
folder='' judges_say --folder
expect 'the folder when none is named' "$status/$said" '0//home/a/.cache/retort-judges'
judges_say --what
expect 'a flag that judges does not know' "$status/$said" '2/judges: usage: scripts/judges [--folder]'
python_status=1 judges_say
expect 'Python packages that cannot be had' "$status/${said##*$'\n'}" '1/judges: going on without python'
rm "$stage/judges/node/installed.json"
judges_say
expect 'neither npm nor its packages' "$status/$said" '1/judges: needs npm, and node 20 or newer
judges: going on without node'

((failures == 0)) && echo "scripts parse, and setup and judges keep their promises"
