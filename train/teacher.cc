// SPDX-License-Identifier: Apache-2.0
#include "train/teacher.h"

namespace retort {

TokenWeights WeightsOf(const TeacherOptions& options, const MicroBatch& micro) {
  const float t = options.settings.temperature;
  const auto kd = static_cast<float>(options.weight) * (options.scale_t2 ? t * t : 1);
  const auto ce = static_cast<float>(1 - options.weight);
  TokenWeights out;
  for (const Example* row : micro.rows) {
    const auto count = static_cast<size_t>(row->LossTokens());
    out.ce.insert(out.ce.end(), count, row->generated ? 0 : ce);
    out.kd.insert(out.kd.end(), count, kd);
  }
  return out;
}

ops::DistillObjective ObjectiveOf(const TeacherOptions& options, const TokenWeights& weights,
                                  const std::vector<int32_t>& targets, Backend& backend) {
  return {options.settings, backend.Upload(targets), backend.Upload(weights.ce),
          backend.Upload(weights.kd)};
}

}  // namespace retort
