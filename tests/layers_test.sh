#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fails if a file breaks the structure of the tree: a room that includes a higher one, a library outside
# its room or in a header, code other than a program that prints or exits, a file without a target, and
# the other rules of tests/layers.awk.
#
#   tests/layers_test.sh [TREE]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "${1:-$here/..}"

status=0
fault() {
  printf '%s\n' "$1"
  status=1
}

folders=()
for folder in base tensor formats tokenizer template grammar autograd model data runner eval compress export train \
  recipes session bench cli tests; do
  [[ -d $folder ]] && folders+=("$folder")
done
((${#folders[@]})) || { echo "no room of Retort in $PWD"; exit 1; }
mapfile -t files < <(find "${folders[@]}" -name '*.h' -o -name '*.cc' -o -name '*.cu' -o -name '*.cuh' | sort)
((${#files[@]})) || { echo "no source file in $PWD"; exit 1; }

awk -f "$here/layers.awk" "${files[@]}" || status=1

# A source file that no CMakeLists.txt or list beside it (*.cmake) names, by itself or as FOLDER/*.cc, is neither built nor run.
built=$(find "${folders[@]}" \( -name CMakeLists.txt -o -name '*.cmake' \) -exec cat {} +)
for file in "${files[@]}"; do
  [[ $file == *.h || $file == *.cuh ]] && continue
  folder=${file%/*}
  grep -qF "${folder##*/}/*.cc" <<<"$built" && continue
  grep -qE "(^|[[:space:]/(])${file##*/}([[:space:])]|$)" <<<"$built" ||
    fault "$file:1: no CMakeLists.txt names it"
done
for folder in tests/*/CMakeLists.txt; do
  folder=${folder#tests/} folder=${folder%/CMakeLists.txt}
  [[ ! -e tests/CMakeLists.txt || $folder == "*" ]] || grep -q "add_subdirectory($folder)" tests/CMakeLists.txt ||
    fault "tests/$folder/CMakeLists.txt:1: tests/CMakeLists.txt does not add this folder"
done

mapfile -t programs < <(find scripts tests bench .ci -type f -perm -u+x 2>/dev/null | sort)
for file in "${programs[@]}"; do
  [[ $(sed -n 2p "$file") == '# SPDX-License-Identifier: Apache-2.0' ]] ||
    fault "$file:2: the second line must be # SPDX-License-Identifier: Apache-2.0"
  (($(wc -l <"$file") <= 500)) || fault "$file:1: has more than 500 lines"
done

((status)) || echo "${#files[@]} source files and ${#programs[@]} scripts keep the rules"
exit "$status"
