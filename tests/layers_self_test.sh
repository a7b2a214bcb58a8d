#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Shows that tests/layers_test.sh can fail: a small tree that follows the rules passes, and with one bad
# file at a time the test fails with exactly that file, line and reason.
set -euo pipefail
check=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/layers_test.sh
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

licence='// SPDX-License-Identifier: Apache-2.0'
failures=0
cases=0

# write FILE LINE...: a file of the tree, named in its folder's CMakeLists.txt.
write() {
  local file=$tree/$1 folder=$tree/${1%/*}
  mkdir -p "$folder"
  printf '%s\n' "${@:2}" >"$file"
  [[ $1 == *.cc || $1 == *.cu ]] && echo "x(${1##*/})" >>"$folder/CMakeLists.txt"
  return 0
}

good_tree() {
  rm -rf "${tree:?}"/*
  write base/error.h "$licence" '#pragma once' '#include <string>'
  write base/json.h "$licence" '#pragma once' '#include <nlohmann/json_fwd.hpp>'
  write tensor/cpu/gemm.cc "$licence" '#include <cblas.h>' '#include <omp.h>' '#include "base/error.h"'
  write tensor/isa.cc "$licence" 'auto a = std::getenv("RETORT_ISA");'
  write tensor/cuda/gemm.h "$licence" '#pragma once' '#include <cuda_runtime.h>'
  write data/words.cc "$licence" '#include <sys/mman.h>' '#include <nlohmann/json.hpp>' \
    '// an assert(x) in a comment' 'auto a = "exit(1) // printf(";  /* abort(); ' 'abort(); */' \
    'auto b = R"x(" getenv("A") )" )x"; int c = 1'"'"'000; static_assert(true); snprintf(p, 1, "");' \
    '#ifdef __linux__' "char d = '\"'; std::exit_code(e); on_exit();"
  write recipes/make_main.cc "$licence" 'int main() {' '  std::printf("rows"); exit(1);' '}'
  write cli/main.cc "$licence" '#include "data/words.h"' '#include <CLI/CLI.hpp>' 'void f() { exit(2); }'
  write tests/base/error_test.cc "$licence" '#include <gtest/gtest.h>' '#include <dnnl.hpp>' 'abort();'
}

# expect NAME TEXT: the tree fails with one fault, in which TEXT occurs.
expect() {
  local said
  cases=$((cases + 1))
  if said=$("$check" "$tree" 2>&1); then
    echo "FAILED $1: passed"
  elif [[ $said != *"$2"* || $(wc -l <<<"$said") != 1 ]]; then
    printf 'FAILED %s: wanted one fault with "%s", got:\n%s\n' "$1" "$2" "$said"
  else
    return 0
  fi
  failures=$((failures + 1))
}

# bad NAME FILE TEXT LINE...: the good tree and one file whose lines follow the licence.
bad() {
  good_tree
  write "$2" "$licence" "${@:4}"
  expect "$1" "$3"
}

good_tree
"$check" "$tree" || { echo "FAILED: a tree that keeps the rules does not pass"; exit 1; }

bad 'a room above' base/up.cc 'base/up.cc:3: base/ includes "tensor/tensor.h"' '' '#include "tensor/tensor.h"'
bad 'a room above, in angles' train/up.cc 'train/up.cc:2: train/ includes' '#include <cli/main.h>'
bad 'the tests, from a room' cli/up.cc 'cli/ includes "tests/a.h"' '#include "tests/a.h"'
bad 'a command, from the bench' bench/up.cc 'bench/ includes "cli/flags.h", but cli/ is above it' '#include "cli/flags.h"'
bad 'a model, from a tokenizer' tokenizer/up.cc 'tokenizer/ includes "model/load.h"' '#include "model/load.h"'
bad 'a session, from its schema' recipes/up.cc 'recipes/ includes "session/session.h"' '#include "session/session.h"'
bad 'the neighbour above' runner/up.cc 'runner/ includes "eval/eval.h"' '  #  include "eval/eval.h"'
bad 'a part above' runner/http/up.cc 'runner/http/ includes "runner/engine/engine.h"' '#include "runner/engine/engine.h"'
bad 'a path that is not from the root' data/b.cc '"words.h" is not written from the root' '#include "words.h"'
bad 'a path that climbs' base/b.cc 'is not written from the root' '#include "../cli/main.h"'

bad 'JSON in a header' data/b.h 'nlohmann-json (nlohmann/json.hpp) in a header' '#pragma once' '#include <nlohmann/json.hpp>'
bad 'JSON in the header that names it' base/b.h 'in a header' '#pragma once' '#include <nlohmann/json.hpp>'
bad 'Boost in a header' runner/b.h 'Boost (boost/beast.hpp) in a header' '#pragma once' '#include <boost/beast.hpp>'
bad 'oneDNN in a header' tensor/b.h 'oneDNN (dnnl.hpp) in a header' '#pragma once' '#include <dnnl.hpp>'
bad 'SentencePiece in a header' tokenizer/b.h 'in a header' '#pragma once' '#include <sentencepiece_processor.h>'
bad 'JSON in a header of the tests' tests/support/b.h 'in a header' '#pragma once' '#include <nlohmann/json.hpp>'

bad 'declarations of JSON outside base' data/b.h 'belongs in base/ only' '#pragma once' '#include <nlohmann/json_fwd.hpp>'
bad 'OpenBLAS outside tensor' model/b.cc 'OpenBLAS (cblas.h) belongs in tensor/ only' '#include <cblas.h>'
bad 'oneDNN outside tensor' autograd/b.cc 'oneDNN (dnnl.hpp) belongs in' '#include "dnnl.hpp"'
bad 'OpenMP outside tensor' train/b.cc 'OpenMP (omp.h) belongs in' '#include <omp.h>'
bad 'an OpenMP pragma outside tensor' train/b.cc 'OpenMP belongs in' '#pragma omp parallel for'
bad 'CUDA outside its folder' tensor/cpu/b.cc 'belongs in tensor/cuda/ only' '#include <cuda_runtime.h>'
bad 'HDF5 outside formats' data/b.cc 'HDF5 (H5Cpp.h) belongs in formats/ only' '#include <H5Cpp.h>'
bad 'SentencePiece outside tokenizer' cli/b.cc 'belongs in tokenizer/ only' '#include <sentencepiece_trainer.h>'
bad 'PCRE2 outside tokenizer' data/b.cc 'PCRE2 (pcre2.h) belongs in' '#include <pcre2.h>'
bad 'Boost outside runner' cli/b.cc 'Boost (boost/asio.hpp) belongs in' '#include <boost/asio.hpp>'
bad 'CLI11 outside cli' recipes/b.cc 'CLI11 (CLI/CLI.hpp) belongs in' '#include <CLI/CLI.hpp>'
bad 'GoogleTest outside the tests' base/b.cc 'GoogleTest (gtest/gtest.h) belongs in' '#include <gtest/gtest.h>'
bad 'a library that nobody chose' data/b.cc '<fmt/core.h> is of no library' '#include <fmt/core.h>'

bad 'a device by the preprocessor' tensor/b.cc 'picked by the preprocessor' '#ifdef RETORT_CUDA' '#endif'
bad 'a precision by the preprocessor' model/b.cc 'picked by the preprocessor' '# if defined(USE_BF16)' '#endif'

for call in 'assert(x);' 'std::abort();' 'if (x) exit (1);' 'std::printf("x");' 'fprintf(stderr, "");' \
  'return getenv("A");' 'std::terminate();' 'a = "//"; puts("x");' '/* x */ abort();'; do
  bad "a library: $call" data/b.cc 'data/b.cc:3: ' '' "$call"
done
bad 'another call where the environment may be read' tensor/isa.cc 'setenv() in a library' 'setenv("A", "", 1);'
bad 'the environment, from another room' base/isa.cc 'getenv() in a library' 'auto a = std::getenv("RETORT_ISA");'
bad 'a library that prints' eval/b.cc 'a library does not print' 'std::cerr << 1;'
bad 'a bench that prints' bench/b.cc 'a library does not print' 'std::cout << 1;'
bad 'after a raw text' data/b.cc 'abort()' 'auto a = R"(" )"; abort();'

good_tree
write base/b.cc '// Copyright' 'int a;'
expect 'no licence' 'base/b.cc:1: the first line'
bad 'no #pragma once' base/b.h 'without #pragma once' '#ifndef B_H' '#endif'
mapfile -t long < <(yes 'int a;' | head -500)
bad 'a long file' base/b.cc 'base/b.cc:501: has 501 lines' "${long[@]}"
good_tree
write base/b.h "$licence" '#pragma once'
mv "$tree/base/b.h" "$tree/base/b.cc"
expect 'a file of no target' 'base/b.cc:1: no CMakeLists.txt names it'
good_tree
echo 'add_subdirectory(data)' >"$tree/tests/CMakeLists.txt"
expect 'a folder of tests that nobody adds' 'tests/base/CMakeLists.txt:1: tests/CMakeLists.txt does not'
good_tree
write scripts/run '#!/bin/sh' 'true'
chmod +x "$tree/scripts/run"
expect 'a script without licence' 'scripts/run:2: the second line'
good_tree
rm -rf "${tree:?}"/*
expect 'an empty tree' 'no room of Retort'

echo "$((cases - failures)) of $cases bad trees are caught"
((failures == 0))
