# SPDX-License-Identifier: Apache-2.0
# Sourced by tests of commands. They name the program in $retort, and end with ((failures == 0)).
failures=0
fail() {
  printf 'FAILED %s\n' "$*"
  failures=$((failures + 1))
}

# ends NAME STATUS PATTERN COMMAND...: the status, and a last line on standard error that matches.
ends() {
  local name=$1 wanted=$2 pattern=$3 status=0
  shift 3
  "$retort" "$@" >out 2>err || status=$?
  [[ $status == "$wanted" ]] || fail "$name: status $status, wanted $wanted: $(tail -1 err)"
  [[ -z $pattern ]] || tail -1 err | grep -qE -- "$pattern" || fail "$name: '$(tail -1 err)' does not match '$pattern'"
}
