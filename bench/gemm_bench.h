// SPDX-License-Identifier: Apache-2.0
// Timing of the products of a shape's linear layers and head, one by one: every weight format,
// forward and gradient, from one token to a large batch.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "bench/machine.h"
#include "model/layout.h"
#include "tensor/backend.h"

namespace retort {

struct GemmBench {
  Architecture config;
  std::string weights;  // one format; empty: all
  std::string device = "auto", compute = "auto";
  int threads = 0;
  int64_t tokens = 0;  // 0: 1, 16, 512 and 2048
  int64_t repeat = 5;
};

struct GemmResult {
  std::string layer;  // "q", "kv", "gate_up", "down" or "head"
  WeightFormat format;
  bool gradient;  // dx += dy w, else y = x w^T
  Compute compute;
  int64_t tokens, outputs, inputs;
  double tokens_per_second = 0;      // the median
  double flops_per_second = 0;       // 2 * tokens * outputs * inputs per call
  double fraction_of_peak = 0;       // of the GEMM peak of the compute type
  double fraction_of_bandwidth = 0;  // weight bytes per second over the bandwidth of reads
  std::string device;
  int threads = 1;
};

// The machine's limits, each measured once, on first use.
class Limits {
 public:
  explicit Limits(int threads) : threads_(threads) {}
  double Gemm(Compute compute);
  double Bandwidth();

 private:
  int threads_;
  std::map<Compute, double> gemm_;
  double bandwidth_ = 0;
};

// Each format is timed in the arithmetic that the backend chooses for training (forward and
// gradient) and, if it differs, in the one for the runner (forward): with compute auto, int8 for
// formats that have int8 products. Weights are read from memory, not from a cache filled by the
// previous call. Throws Error{kInput} on unknown names.
void BenchGemm(const GemmBench& options, const std::function<void(const GemmResult&)>& on_result);

}  // namespace retort
