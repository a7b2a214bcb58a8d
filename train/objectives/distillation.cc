// SPDX-License-Identifier: Apache-2.0
#include "train/objectives/distillation.h"

namespace retort {

void Distillation::Run(TrainingPass& pass, float scale, LossSums& sums) {
  const ops::LogitsLoss loss = LossOf(pass.micro(), pass.data(), scale, sums.parts);
  const Var hidden = pass.Hidden(observer());
  backend_.AddSum(pass.Losses(hidden, loss), 1, sums.loss);
  HiddenTerms(pass, scale, sums.hidden);
}

ops::DistillObjective Distillation::Weighed(const MicroBatch& micro, const LabelledBatch& data,
                                            const std::vector<bool>& matched) const {
  const float t = options_.settings.temperature;
  const auto kd = static_cast<float>(options_.weight) * (options_.scale_t2 ? t * t : 1);
  const auto ce = static_cast<float>(1 - options_.weight);
  std::vector<float> ce_weight, kd_weight;
  for (size_t r = 0; r < micro.rows.size(); ++r) {
    const size_t count = data.Of(r, data.rows).size();
    ce_weight.insert(ce_weight.end(), count, micro.rows[r]->generated ? 0 : ce);
    kd_weight.insert(kd_weight.end(), count, kd);
  }
  for (size_t i = 0; i < matched.size(); ++i) {
    if (!matched[i]) kd_weight[i] = 0;
  }
  return {options_.settings, backend_.Upload(data.targets), backend_.Upload(ce_weight),
          backend_.Upload(kd_weight)};
}

}  // namespace retort
