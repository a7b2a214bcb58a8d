// SPDX-License-Identifier: Apache-2.0
// Timing of dataset preparation: rows of text to ids on one core, as training does it. Beside a
// SentencePiece tokenizer stands the SentencePiece library itself, on the same rows.
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
  Path file;           // *.jsonl: the texts of its rows, each by itself; else every line is a row
  bool whole = false;  // the whole file is one row, whatever it is
  int64_t repeat = 5;
};

struct TokenizeResult {
  int64_t rows = 0, bytes = 0, tokens = 0;  // of one repetition; bytes of UTF-8
  Spread bytes_per_second;
  double tokens_per_second = 0;  // the median
  // SentencePiece alone: the library's speed, and the median of how many times as fast Retort is.
  std::optional<Spread> library_bytes_per_second;
  double times_library = 0;
};

// Every repetition begins with a tokenizer that has met no word before, as a training run does;
// making it is not timed. Throws Error{kInput} on a file without text, and what loading throws;
// Error{kFailure} when the library's ids are others.
TokenizeResult BenchTokenize(
    const TokenizeBench& options,
    const std::function<void(int64_t done, int64_t total, double bytes_per_second)>& on_repeat);

}  // namespace retort
