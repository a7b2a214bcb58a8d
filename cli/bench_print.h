// SPDX-License-Identifier: Apache-2.0
// The flags of `retort bench`, and printing its results as lines or as JSON.
#pragma once

#include <cstdint>
#include <string>

#include "bench/attention_bench.h"
#include "bench/bench.h"
#include "bench/gemm_bench.h"
#include "bench/tokenize_bench.h"
#include "cli/flags.h"

namespace retort {

struct BenchFlags {
  std::string work, model, shape, weights, teacher, teacher_weights, file;
  int64_t rank = 16, batch_rows = 4, tokens = 0, sequences = 1, prompt = 0, gen = 128, repeat = 5,
          part_tokens = 512;
  ComputeFlags compute;
  SamplingOptions sampling;  // temperature and top_p
  bool whole = false, json = false;
};

// Print the results of train, prefill and decode; gemm; attention; and tokenize.
void PrintWork(const BenchFlags& f, const Subject& subject, const BenchResult& r);
void PrintProduct(const BenchFlags& f, const GemmResult& r);
void PrintAttention(const BenchFlags& f, const AttentionResult& r);
void PrintTokenize(const BenchFlags& f, const TokenizeResult& r);

std::string MegabytesText(double bytes_per_second);  // "12.34 MB/s"

}  // namespace retort
