// SPDX-License-Identifier: Apache-2.0
#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace retort {
namespace {

struct NamedSchedule {
  const char* name;
  Schedule::Kind kind;
};
constexpr NamedSchedule kSchedules[] = {{"cosine", Schedule::Kind::kCosine},
                                        {"linear", Schedule::Kind::kLinear},
                                        {"constant", Schedule::Kind::kConstant},
                                        {"wsd", Schedule::Kind::kWarmupStableDecay},
                                        {"inverse_sqrt", Schedule::Kind::kInverseSqrt}};

// Hugging Face's time scale of the inverse square root when there is no warm-up.
constexpr int64_t kTimeScale = 10000;

// How far step s is through the steps from `begin` to `end`: 0 ... 1.
double Progress(int64_t s, int64_t begin, int64_t end) {
  const auto length = static_cast<double>(std::max<int64_t>(1, end - begin));
  return std::clamp(static_cast<double>(s - begin) / length, 0.0, 1.0);
}

double CosineShare(double progress) { return (1 + std::cos(std::numbers::pi * progress)) / 2; }

}  // namespace

double Schedule::RateOf(int64_t step) const {
  const int64_t s = step - 1, w = warmup_steps;
  if (s < w) return peak * static_cast<double>(s + 1) / static_cast<double>(w + 1);
  const auto falling = [&](double share) { return least + (peak - least) * share; };
  switch (kind) {
    case Schedule::Kind::kConstant:
      return peak;
    case Schedule::Kind::kCosine:
      return falling(CosineShare(Progress(s, w, total_steps)));
    case Schedule::Kind::kLinear:
      return falling(1 - Progress(s, w, total_steps));
    case Schedule::Kind::kWarmupStableDecay:
      return falling(CosineShare(Progress(s, std::max(w, total_steps - decay_steps), total_steps)));
    case Schedule::Kind::kInverseSqrt: {
      const auto scale = static_cast<double>(w > 0 ? w : kTimeScale);
      return peak * std::sqrt(scale / (scale + static_cast<double>(s - w)));
    }
  }
  return peak;
}

const std::vector<std::string>& ScheduleNames() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out;
    for (const NamedSchedule& k : kSchedules) out.emplace_back(k.name);
    return out;
  }();
  return names;
}

Schedule::Kind ScheduleNamed(const std::string& name) {
  const auto found = std::ranges::find(kSchedules, name, &NamedSchedule::name);
  if (found != std::end(kSchedules)) return found->kind;
  throw InputError("train.schedule '", name, "' is not known; use one of ",
                   Join(ScheduleNames(), ", "));
}

int64_t StepsOf(double count, int64_t total_steps) {
  if (count >= 1) return static_cast<int64_t>(count);
  return static_cast<int64_t>(std::ceil(static_cast<double>(total_steps) * count));
}

}  // namespace retort
