// SPDX-License-Identifier: Apache-2.0
// The products of a shape's linear layers and head, one by one: every weight format, forward and
// gradient, from one token to a large batch.
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
  double flops_per_second = 0;       // 2 tokens outputs inputs a call
  double fraction_of_peak = 0;       // of the GEMM peak of the compute type
  double fraction_of_bandwidth = 0;  // weight bytes a second over the bandwidth of reads
  std::string device;
  int threads = 1;
};

// The machine's limits, each measured once when it is first asked for.
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

// With compute auto: as ResolveCompute (model/load.h) says: formats with int8 products in int8
// (forward, the runner) and as bf16 does (forward and gradient, training), the others as for
// training. Weights are read from memory, not from a cache that the call before has filled. Throws
// Error{kInput} on unknown names.
void BenchGemm(const GemmBench& options, const std::function<void(const GemmResult&)>& on_result);

}  // namespace retort
