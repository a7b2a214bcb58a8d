// SPDX-License-Identifier: Apache-2.0
// The table of kernel cases. It is used to compare a fast backend with the double reference, and
// CUDA with the CPU, and by the benchmarks. It depends only on the standard library, base/ and
// tensor/.
//
// A case makes its inputs from a fixed seed, as floats, so that every backend gets the same values
// and all differences are due to the kernel. Outputs that a kernel adds to start with random
// values. Outputs that it overwrites start as NaN. Every tensor is between guards (stage.h).
// Therefore adding instead of overwriting, overwriting instead of adding, an element that is not
// written, and a write or read beyond the end all give a difference.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tensor/backend.h"

namespace retort {

struct OpOutput {
  std::string name;
  std::vector<double> values;
  bool exact = false;  // must be equal regardless of the case's tolerance: guards, inputs
};

// A case prepared on one backend, which it borrows.
struct OpRun {
  std::function<void()> call;  // runs the kernel once; may be called again (benchmarks do)
  std::function<std::vector<OpOutput>()> outputs;
};

struct OpCase {
  std::string kernel;   // "rms_norm_grad"
  std::string variant;  // "n17_c65"; letters, digits and underscores
  // For every output: the limit on |got - want| / |want|, with norms over the whole output. The
  // error of a single value is limited to kWorstFactor * tolerance * the output's root mean square.
  double tolerance;
  Compute compute = Compute::kF32;  // of the tested backend
  double flops = 0, bytes = 0;      // per call: arithmetic, memory read and written; 0: not given
  std::function<OpRun(Backend&)> prepare;

  std::string name() const { return Cat(kernel, "_", variant); }
};
inline constexpr double kWorstFactor = 16;

std::vector<OpCase> AllOpCases();
// Their kernels, each once, in order.
std::vector<std::string> KernelsOfCases();
// The cases by topic; AllOpCases joins them.
std::vector<OpCase> ElementwiseCases();
std::vector<OpCase> RowCases();
std::vector<OpCase> RoutingCases();
std::vector<OpCase> NormAndRotaryCases();
std::vector<OpCase> LinearCases();
std::vector<OpCase> AdapterCases();
std::vector<OpCase> AdaptedCases();
std::vector<OpCase> GemmCases();
std::vector<OpCase> AttentionCases();
std::vector<OpCase> LossAndOptimizerCases();
std::vector<OpCase> DistillCases();
std::vector<OpCase> HiddenCases();

// The outputs of the case after one call.
std::vector<OpOutput> OutputsOf(const OpCase& op_case, Backend& backend);

// One line for each output that differs too much: its name, its error and the place of the largest
// error; empty if there is none. Values that are not finite count as different, except a NaN that
// was in an input.
std::string Differences(const std::vector<OpOutput>& got, const std::vector<OpOutput>& want,
                        double tolerance);

}  // namespace retort
