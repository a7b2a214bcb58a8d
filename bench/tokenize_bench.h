// SPDX-License-Identifier: Apache-2.0
// Timing of dataset preparation: rows of text to ids on one core, as in training. A SentencePiece
// tokenizer is compared with the SentencePiece library itself on the same rows.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/file.h"
#include "bench/timing.h"

namespace retort {

struct TokenizeBench {
  std::string model;   // a folder with tokenizer files, or a GGUF
  Path file;           // *.jsonl: each text of its rows is a row; other files: each line is a row
  bool whole = false;  // treat the whole file as one row
  int64_t repeat = 5;
};

struct TokenizeResult {
  int64_t rows = 0, bytes = 0, tokens = 0;  // per repetition; bytes of UTF-8
  Spread bytes_per_second;
  double tokens_per_second = 0;  // the median
  // Only for SentencePiece: the library's speed, and the median of Retort's speed relative to it.
  std::optional<Spread> library_bytes_per_second;
  double times_library = 0;
};

// Every repetition uses a new tokenizer with an empty cache, as a training run does; creating it is
// not timed. Throws Error{kInput} on a file without text, the errors of loading, and
// Error{kFailure} when the library's ids differ.
TokenizeResult BenchTokenize(
    const TokenizeBench& options,
    const std::function<void(int64_t done, int64_t total, double bytes_per_second)>& on_repeat);

}  // namespace retort
