// SPDX-License-Identifier: Apache-2.0
#include "session/defaults.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "base/rounding.h"
#include "train/update_rule.h"

namespace retort {
namespace {

constexpr int64_t kFewestRows = 8, kMostRows = 16;  // per step
constexpr int64_t kStepsAnEpoch = 200;              // if the limits on rows permit
constexpr int64_t kMostTokens = 8192;               // per step
constexpr double kRowsOfOneEpoch = 40000, kMostEpochs = 10;
constexpr int64_t kMostPreferenceEpochs = 3;  // pairs are soon learnt by heart
constexpr double kLionShare = 5;  // Lion's steps are of full size: 3 to 10 (arXiv 2302.06675)

// What the rate of plain training is divided by. Published runs of models of width 4,096 with LoRA
// use 5e-6 with DPO (Zephyr's QLoRA recipe) and 8e-6 with ORPO (the paper's own).
double PreferenceShare(const Recipe& recipe) {
  const std::string& method = recipe.preference.method;
  if (recipe.reward.given()) return 40;
  return method.empty() ? 1 : method == "orpo" ? 25 : 40;
}
double TwoDigits(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1e", value);
  return std::strtod(text, nullptr);
}

}  // namespace

double DefaultRate(int64_t width, bool lora) {
  const double rate = 2e-4 * std::pow(4096 / static_cast<double>(width), 0.8);
  return TwoDigits(std::clamp(rate, 1e-4, 3e-3) / (lora ? 1 : 10));
}

int64_t DefaultBatchTokens(const RunFacts& facts) {
  const int64_t rows = std::clamp(facts.rows / kStepsAnEpoch, kFewestRows, kMostRows);
  return std::min(kMostTokens, CeilDiv(facts.tokens * rows, facts.rows));
}

int64_t DefaultEpochs(int64_t rows) {
  const double passes = std::round(std::sqrt(kRowsOfOneEpoch / static_cast<double>(rows)));
  return static_cast<int64_t>(std::clamp(passes, 1.0, kMostEpochs));
}

Recipe WithDefaults(Recipe recipe, const RunFacts& facts) {
  TrainRecipe& t = recipe.train;
  const bool lion = t.optimizer == "lion";
  const bool preference = !recipe.preference.method.empty() || recipe.reward.given();
  const Betas betas = DefaultBetas(OptimizerNamed(t.optimizer));
  if (t.beta1 == 0) t.beta1 = betas.first;
  if (t.beta2 == 0) t.beta2 = betas.second;
  if (t.lr == 0) {
    const double rate = DefaultRate(facts.width, recipe.adapter.kind == "lora");
    t.lr = std::max(t.min_lr, TwoDigits(rate / (lion ? kLionShare : 1) / PreferenceShare(recipe)));
  }
  if (t.batch_rows == 0 && t.batch_tokens == 0) t.batch_tokens = DefaultBatchTokens(facts);
  if (t.steps == 0 && t.epochs == 0) {
    const int64_t epochs = DefaultEpochs(facts.rows);
    t.epochs = static_cast<double>(preference ? std::min(kMostPreferenceEpochs, epochs) : epochs);
  }
  return recipe;
}

}  // namespace retort
