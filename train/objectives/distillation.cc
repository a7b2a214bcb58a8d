// SPDX-License-Identifier: Apache-2.0
#include "train/objectives/distillation.h"

namespace retort {

void Distillation::Run(TrainingPass& pass, float scale, LossSums& sums) {
  const ops::LogitsLoss loss = LossOf(pass.micro(), pass.data(), scale, &sums.parts);
  const Var hidden = pass.Hidden(observer());
  sums.loss += pass.Losses(hidden, loss);
  sums.hidden += HiddenTerms(pass, scale);
}

ops::DistillObjective Distillation::Weighed(const MicroBatch& micro,
                                            const LabelledBatch& data) const {
  const float t = options_.settings.temperature;
  const auto kd = static_cast<float>(options_.weight) * (options_.scale_t2 ? t * t : 1);
  const auto ce = static_cast<float>(1 - options_.weight);
  ops::DistillObjective out{options_.settings, data.targets, {}, {}};
  for (size_t r = 0; r < micro.rows.size(); ++r) {
    const size_t count = data.Of(r, data.rows).size();
    out.ce_weight.insert(out.ce_weight.end(), count, micro.rows[r]->generated ? 0 : ce);
    out.kd_weight.insert(out.kd_weight.end(), count, kd);
  }
  return out;
}

}  // namespace retort
