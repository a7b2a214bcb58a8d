// SPDX-License-Identifier: Apache-2.0
// One table of kernel cases. It drives the comparison of a fast backend with the double reference,
// of CUDA with the CPU, and the benchmarks. It needs the standard library, base/ and tensor/ alone.
//
// A case makes its inputs from a fixed seed, as floats, so that every backend sees the same values
// and differences are the kernel's own. Outputs that a kernel adds to begin with random values,
// outputs that it overwrites begin as NaN, and every tensor lies between guards (stage.h): adding
// where one should overwrite, the reverse, a place left out and a write or read beyond the end all
// show as a difference.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tensor/backend.h"

namespace retort {

struct OpOutput {
  std::string name;
  std::vector<double> values;
  bool exact = false;  // must agree to the bit whatever the case's tolerance: guards, inputs
};

// A case made ready on one backend, which it borrows.
struct OpRun {
  std::function<void()> call;  // the kernel, once; may be called again (a benchmark does)
  std::function<std::vector<OpOutput>()> outputs;
};

struct OpCase {
  std::string kernel;   // "rms_norm_grad"
  std::string variant;  // "n17_c65"; letters, digits and underscores
  // Of every output: the limit on |got - want| / |want|, norms over the whole output; a single
  // value may be off by kWorstFactor times that limit times the root mean square of the output.
  double tolerance;
  Compute compute = Compute::kF32;  // what the tested backend must have been made for
  double flops = 0, bytes = 0;      // of one call: arithmetic, memory read and written; 0: unsaid
  std::function<OpRun(Backend&)> prepare;

  std::string name() const { return Cat(kernel, "_", variant); }
};
inline constexpr double kWorstFactor = 16;

std::vector<OpCase> AllOpCases();
// By topic; AllOpCases is these joined.
std::vector<OpCase> ElementwiseCases();
std::vector<OpCase> RowCases();
std::vector<OpCase> RoutingCases();
std::vector<OpCase> NormAndRotaryCases();
std::vector<OpCase> LinearCases();
std::vector<OpCase> AdapterCases();
std::vector<OpCase> GemmCases();
std::vector<OpCase> AttentionCases();
std::vector<OpCase> LossAndOptimizerCases();
std::vector<OpCase> DistillCases();
std::vector<OpCase> HiddenCases();

// The case's outputs after one call.
std::vector<OpOutput> OutputsOf(const OpCase& op_case, Backend& backend);

// What is wrong, one line an output, naming it, its error and its worst place; empty when nothing.
// Values that are not finite are wrong, a NaN that an input had apart.
std::string Differences(const std::vector<OpOutput>& got, const std::vector<OpOutput>& want,
                        double tolerance);

}  // namespace retort
