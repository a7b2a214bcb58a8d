# SPDX-License-Identifier: Apache-2.0
# Functions for scripts that run several steps and, in a second call, only the unfinished ones. Sourced in the
# repository's root by a script that sets `steps`, the number of steps.

step=0
title() { printf '\n[%d/%d] %s\n' "$((++step))" "$steps" "$1"; }

# make TITLE PRODUCT COMMAND...: runs the command, unless PRODUCT.done shows that an earlier call was successful.
make() {
  local product=$2 start=$SECONDS
  title "$1"
  if [[ -e $product.done ]]; then
    echo "      done before: ${product#"$PWD"/}"
    return
  fi
  "${@:3}"
  [[ -e $product ]] || { echo "${0##*/}: ${product#"$PWD"/} was not made" >&2; exit 1; }
  touch "$product.done"
  echo "      ${product#"$PWD"/}, $((SECONDS - start)) s"
}

# afresh PATH COMMAND...: removes what an interrupted call left at PATH, then runs the command.
afresh() {
  rm -rf "$1"
  "${@:2}"
}

# keep_or_start_over FOLDER SOURCE...: empties FOLDER if it was made by other recipes, generators or scripts.
keep_or_start_over() {
  local folder=$1 now
  now=$(find "${@:2}" -type f -print0 | sort -z | xargs -0 sha256sum)
  if [[ -e $folder && $(cat "$folder/made-by.sha256" 2>/dev/null) != "$now" ]]; then
    echo "${0##*/}: the recipes changed since the last run; starting over"
    rm -rf "$folder"
  fi
  mkdir -p "$folder"
  printf '%s\n' "$now" >"$folder/made-by.sha256"
}

# number KEY RESULT.json: the number of KEY in the output of a command's --json.
number() {
  sed -n "s/.*\"$1\": *\([0-9.eE+-]*\).*/\1/p" "$2" | head -n 1
}

# percent RESULT.json: the value of an evaluation in percent.
percent() { awk -v x="$(number value "$1")" 'BEGIN { printf "%.1f", 100 * x }'; }

# holds 97.5 '>=' 95: compares two numbers.
holds() { awk -v a="$1" -v b="$3" "BEGIN { exit !(a $2 b) }"; }
