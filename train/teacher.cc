// SPDX-License-Identifier: Apache-2.0
#include "train/teacher.h"

namespace retort {

ops::DistillObjective ObjectiveOf(const TeacherOptions& options, const MicroBatch& micro,
                                  std::vector<int32_t> targets) {
  const float t = options.settings.temperature;
  const auto kd = static_cast<float>(options.weight) * (options.scale_t2 ? t * t : 1);
  const auto ce = static_cast<float>(1 - options.weight);
  ops::DistillObjective out{options.settings, std::move(targets), {}, {}};
  for (const Example* row : micro.rows) {
    const auto count = static_cast<size_t>(row->LossTokens());
    out.ce_weight.insert(out.ce_weight.end(), count, row->generated ? 0 : ce);
    out.kd_weight.insert(out.kd_weight.end(), count, kd);
  }
  return out;
}

}  // namespace retort
