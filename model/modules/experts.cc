// SPDX-License-Identifier: Apache-2.0
#include "model/modules/experts.h"

#include "model/modules/linear.h"

namespace retort {

Experts::Experts(const MlpSpec& spec, LayoutBuilder& builder)
    : rule_{static_cast<int>(spec.experts->used), spec.experts->renormalise},
      router_(builder.AddLinear("ffn_gate_inp", spec.experts->count, builder.architecture().width,
                                LinearUse::kRouter)) {
  for (int64_t e = 0; e < spec.experts->count; ++e)
    experts_.emplace_back(spec, builder, e, spec.experts->count);
}

Var Experts::Forward(const PassContext& run, const Var& x) const {
  const int64_t tokens = x.value.rows();
  const ops::Routing routing = ops::Route(run.context, Project(run, router_, x), rule_);

  // The tokens of each expert. Place t * used + i is the i-th choice of token t.
  struct Numbers {
    std::vector<int32_t> rows, places;
  };
  std::vector<Numbers> parts(experts_.size());
  for (size_t place = 0; place < routing.experts.size(); ++place) {
    Numbers& part = parts[static_cast<size_t>(routing.experts[place])];
    part.rows.push_back(static_cast<int32_t>(place) / rule_.used);
    part.places.push_back(static_cast<int32_t>(place));
  }
  std::vector<ops::ExpertRows> taken;
  for (size_t e = 0; e < parts.size(); ++e) {
    if (parts[e].rows.empty()) continue;
    const Tensor rows = run.backend().Upload(parts[e].rows);
    taken.push_back({experts_[e].Forward(run, ops::Gather(run.context, x, rows)), rows,
                     run.backend().Upload(parts[e].places)});
  }
  return ops::Combine(run.context, tokens, std::move(taken), routing.weights);
}

}  // namespace retort
