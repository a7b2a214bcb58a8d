// SPDX-License-Identifier: Apache-2.0
#include "model/modules/experts.h"

#include "model/modules/linear.h"

namespace retort {

Experts::Experts(const MlpSpec& spec, LayoutBuilder& builder)
    : rule_{static_cast<int>(spec.experts->used),
            spec.experts->renormalise,
            spec.experts->score,
            static_cast<float>(spec.experts->scale),
            static_cast<int>(spec.experts->groups),
            static_cast<int>(spec.experts->used_groups),
            spec.experts->group_score},
      places_(rule_.used + (spec.experts->shared_gate ? 1 : 0)),
      router_(builder.AddLinear("ffn_gate_inp", spec.experts->count, builder.architecture().width,
                                LinearUse::kRouter)) {
  if (spec.experts->bias) choice_bias_ = builder.AddChoiceBias("exp_probs_b", spec.experts->count);
  for (int64_t e = 0; e < spec.experts->count; ++e)
    experts_.emplace_back(spec, builder, "_exps", e, spec.experts->count);
  if (spec.experts->shared_width == 0) return;
  MlpSpec shared = spec;
  shared.width = spec.experts->shared_width;
  shared_.emplace(shared, builder, "_shexp");
  if (spec.experts->shared_gate) {
    shared_gate_ = builder.AddLinear("ffn_gate_inp_shexp", 1, builder.architecture().width,
                                     LinearUse::kRouter);
  }
}

// A router of one expert gives the sigmoid of its logit.
Var Experts::Weights(const PassContext& run, const Var& x, const Var& routed) const {
  if (shared_gate_ == kNone) return routed;
  const RouteRule sigmoid{1, false, RouteRule::Score::kSigmoid};
  const Var gate = ops::Route(run.context, Project(run, shared_gate_, x), sigmoid).weights;
  return ops::Join(run.context, {&routed, &gate});
}

// Place t * places_ + i is the i-th weight of token t.
std::vector<ops::ExpertRows> Experts::Outputs(const PassContext& run, const Var& x,
                                              const Tensor& chosen) const {
  struct Numbers {
    std::vector<int32_t> rows, places;
  };
  std::vector<Numbers> parts(experts_.size());
  const std::vector<int32_t> experts = run.backend().ToHost<int32_t>(chosen);
  for (size_t i = 0; i < experts.size(); ++i) {
    const auto token = static_cast<int32_t>(i) / rule_.used;
    Numbers& part = parts[static_cast<size_t>(experts[i])];
    part.rows.push_back(token);
    part.places.push_back(token * places_ + static_cast<int32_t>(i) % rule_.used);
  }
  std::vector<ops::ExpertRows> outputs;
  std::vector<AdapterRows> ranges;
  for (size_t e = 0; e < parts.size(); ++e) {
    if (parts[e].rows.empty()) continue;
    const Tensor rows = run.backend().Upload(parts[e].rows);
    const PassContext own = run.With(run.adapters.Of(parts[e].rows, ranges));
    outputs.push_back({experts_[e].Forward(own, ops::Gather(run.context, x, rows)), rows,
                       run.backend().Upload(parts[e].places)});
  }
  if (shared_gate_ == kNone) return outputs;
  Numbers all;
  for (int32_t t = 0; t < x.value.rows(); ++t) {
    all.rows.push_back(t);
    all.places.push_back(t * places_ + rule_.used);
  }
  outputs.push_back(
      {shared_->Forward(run, x), run.backend().Upload(all.rows), run.backend().Upload(all.places)});
  return outputs;
}

Var Experts::Forward(const PassContext& run, const Var& x) const {
  const bool biased = choice_bias_ != kNone, mixed = run.adapters.mixed();
  const auto own = [this](const Adapter& adapter) { return adapter.own_gain(choice_bias_); };
  if (biased && mixed && run.adapters.Any(own)) {
    return ByAdapter(
        run, x, [this](const PassContext& one, const Var& rows) { return Forward(one, rows); });
  }
  RouteRule rule = rule_;
  if (biased) rule.bias = (mixed ? run.With(nullptr) : run).gain(choice_bias_).value;
  const ops::Routing routing = ops::Route(run.context, Project(run, router_, x), rule);
  const Var sum = ops::Combine(run.context, x.value.rows(), Outputs(run, x, routing.experts),
                               Weights(run, x, routing.weights));
  const bool added = shared_ && shared_gate_ == kNone;
  return added ? ops::Add(run.context, sum, shared_->Forward(run, x)) : sum;
}

}  // namespace retort
