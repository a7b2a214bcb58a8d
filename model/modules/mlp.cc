// SPDX-License-Identifier: Apache-2.0
#include "model/modules/mlp.h"

#include "base/strings.h"
#include "model/modules/linear.h"

namespace retort {

Mlp::Mlp(const MlpSpec& spec, LayoutBuilder& builder, const char* suffix, int64_t expert,
         int64_t experts)
    : spec_(spec) {
  const int64_t width = builder.architecture().width;
  const LayoutBuilder::Options options{.bias = spec.bias, .expert = expert, .experts = experts};
  const auto in = [&](const char* part, int64_t rows) {
    return builder.AddLinear(Cat(part, suffix), rows, width, LinearUse::kMlpIn, options);
  };
  if (spec.fused) {
    gate_up_ = in("ffn_up", 2 * spec.width);  // the gate's rows first
  } else {
    if (spec.gated) gate_ = in("ffn_gate", spec.width);
    up_ = in("ffn_up", spec.width);
  }
  down_ =
      builder.AddLinear(Cat("ffn_down", suffix), width, spec.width, LinearUse::kMlpOut, options);
}

Var Mlp::Forward(const PassContext& run, const Var& x) const {
  if (!spec_.gated) {
    return Project(run, down_, ops::Activate(run.context, spec_.activation, Project(run, up_, x)));
  }
  if (!spec_.fused && IsBare(run, gate_) && IsBare(run, up_) && IsBare(run, down_)) {
    Tensor y = run.backend().New(x.shape());
    run.backend().FeedForward(spec_.activation, x.value, run.linear(gate_).frozen(),
                              run.linear(up_).frozen(), run.linear(down_).frozen(), y);
    return {y};
  }
  Var parts[2];
  if (spec_.fused) {
    const int64_t widths[] = {spec_.width, spec_.width};
    ops::Split(run.context, Project(run, gate_up_, x), widths, parts);
  } else {
    Project(run, std::array{gate_, up_}, x, parts);
  }
  return Project(run, down_,
                 ops::GatedActivation(run.context, spec_.activation, parts[0], parts[1]));
}

}  // namespace retort
