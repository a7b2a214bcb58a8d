// SPDX-License-Identifier: Apache-2.0
#include "train/update_rule.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "tensor/dynamic_map.h"

namespace retort {
namespace {

using RuleState = UpdateRule::State;

constexpr std::string_view kFirst = "first", kSecond = "second", kFirstCodes = "first_codes",
                           kFirstScales = "first_scales", kSecondCodes = "second_codes",
                           kSecondScales = "second_scales", kRows = "rows", kColumns = "columns";

Betas BetasOf(const OptimizerOptions& options) {
  const Betas own = DefaultBetas(options.kind);
  return {options.beta1 > 0 ? options.beta1 : own.first,
          options.beta2 > 0 ? options.beta2 : own.second};
}

class AdamWRule : public UpdateRule {
 public:
  explicit AdamWRule(const OptimizerOptions& options)
      : betas_(BetasOf(options)), epsilon_(options.epsilon) {}

  std::vector<RuleState> StatesOf(const Shape& parameter) const override {
    return {{kFirst, parameter}, {kSecond, parameter}};
  }
  void Update(Backend& backend, const UpdateStep& step, Tensor& parameter, const Tensor& gradient,
              std::span<Tensor> states) const override {
    backend.AdamW(KernelStep(step), step.factor, parameter, gradient, states[0], states[1]);
  }

 protected:
  AdamWStep KernelStep(const UpdateStep& step) const {
    return {.lr = static_cast<float>(step.lr),
            .beta1 = static_cast<float>(betas_.first),
            .beta2 = static_cast<float>(betas_.second),
            .epsilon = static_cast<float>(epsilon_),
            .weight_decay = static_cast<float>(step.weight_decay),
            .step = step.number};
  }

 private:
  Betas betas_;
  double epsilon_;
};

// Small parameters keep whole moments: 8 bits save nothing there, and cost accuracy.
class AdamWBytesRule : public AdamWRule {
 public:
  using AdamWRule::AdamWRule;

  std::vector<RuleState> StatesOf(const Shape& parameter) const override {
    const int64_t n = parameter.elements();
    if (n < kFewest) return AdamWRule::StatesOf(parameter);
    const Shape values{n}, scales{(n + kByteBlock - 1) / kByteBlock};
    return {{kFirstCodes, values, RuleState::Type::kByte},
            {kFirstScales, scales, RuleState::Type::kSingle},
            {kSecondCodes, values, RuleState::Type::kByte},
            {kSecondScales, scales, RuleState::Type::kSingle}};
  }
  void Update(Backend& backend, const UpdateStep& step, Tensor& parameter, const Tensor& gradient,
              std::span<Tensor> states) const override {
    if (parameter.elements() < kFewest)
      return AdamWRule::Update(backend, step, parameter, gradient, states);
    ByteMoment first{states[0], states[1]}, second{states[2], states[3]};
    backend.AdamWBytes(KernelStep(step), step.factor, parameter, gradient, first, second);
  }

 private:
  static constexpr int64_t kFewest = 4096;  // bitsandbytes' min_8bit_size
};

class LionRule : public UpdateRule {
 public:
  explicit LionRule(const OptimizerOptions& options) : betas_(BetasOf(options)) {}

  std::vector<RuleState> StatesOf(const Shape& parameter) const override {
    return {{kFirst, parameter}};
  }
  void Update(Backend& backend, const UpdateStep& step, Tensor& parameter, const Tensor& gradient,
              std::span<Tensor> states) const override {
    const LionStep rule{.lr = static_cast<float>(step.lr),
                        .beta1 = static_cast<float>(betas_.first),
                        .beta2 = static_cast<float>(betas_.second),
                        .weight_decay = static_cast<float>(step.weight_decay)};
    backend.Lion(rule, step.factor, parameter, gradient, states[0]);
  }

 private:
  Betas betas_;
};

class SgdRule : public UpdateRule {
 public:
  explicit SgdRule(const OptimizerOptions& options) : momentum_(options.momentum) {}

  std::vector<RuleState> StatesOf(const Shape& parameter) const override {
    if (momentum_ == 0) return {};
    return {{kFirst, parameter}};
  }
  void Update(Backend& backend, const UpdateStep& step, Tensor& parameter, const Tensor& gradient,
              std::span<Tensor> states) const override {
    const SgdStep rule{.lr = static_cast<float>(step.lr),
                       .momentum = static_cast<float>(momentum_),
                       .weight_decay = static_cast<float>(step.weight_decay),
                       .first = step.number == 1};
    Tensor none;
    backend.Sgd(rule, step.factor, parameter, gradient, states.empty() ? none : states[0]);
  }

 private:
  double momentum_;
};

// The constants are those of the paper, without its own rate: the schedule gives the rate.
class AdafactorRule : public UpdateRule {
 public:
  std::vector<RuleState> StatesOf(const Shape& parameter) const override {
    if (parameter.rank() < 2) return {{kRows, parameter}};
    const int64_t columns = parameter[parameter.rank() - 1];
    return {{kRows, {parameter.elements() / columns}}, {kColumns, {columns}}};
  }
  void Update(Backend& backend, const UpdateStep& step, Tensor& parameter, const Tensor& gradient,
              std::span<Tensor> states) const override {
    const AdafactorStep rule{
        .lr = static_cast<float>(step.lr),
        .beta2 = static_cast<float>(1 - std::pow(static_cast<double>(step.number), -0.8)),
        .epsilon = 1e-30f,
        .clip = 1,
        .weight_decay = static_cast<float>(step.weight_decay)};
    Tensor none;
    backend.Adafactor(rule, step.factor, parameter, gradient, states[0],
                      states.size() > 1 ? states[1] : none);
  }
};

struct NamedOptimizer {
  const char* name;
  OptimizerOptions::Kind kind;
};
constexpr NamedOptimizer kOptimizers[] = {{"adamw", OptimizerOptions::Kind::kAdamW},
                                          {"adamw8", OptimizerOptions::Kind::kAdamW8Bit},
                                          {"lion", OptimizerOptions::Kind::kLion},
                                          {"sgd", OptimizerOptions::Kind::kSgd},
                                          {"adafactor", OptimizerOptions::Kind::kAdafactor}};

}  // namespace

const std::vector<std::string>& OptimizerNames() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out;
    for (const NamedOptimizer& k : kOptimizers) out.emplace_back(k.name);
    return out;
  }();
  return names;
}

OptimizerOptions::Kind OptimizerNamed(const std::string& name) {
  const auto found = std::ranges::find(kOptimizers, name, &NamedOptimizer::name);
  if (found != std::end(kOptimizers)) return found->kind;
  throw InputError("train.optimizer '", name, "' is not known; use one of ",
                   Join(OptimizerNames(), ", "));
}

Betas DefaultBetas(OptimizerOptions::Kind kind) {
  return {0.9, kind == OptimizerOptions::Kind::kLion ? 0.99 : 0.999};
}

std::unique_ptr<UpdateRule> MakeUpdateRule(const OptimizerOptions& options) {
  switch (options.kind) {
    case OptimizerOptions::Kind::kAdamW:
      return std::make_unique<AdamWRule>(options);
    case OptimizerOptions::Kind::kAdamW8Bit:
      return std::make_unique<AdamWBytesRule>(options);
    case OptimizerOptions::Kind::kLion:
      return std::make_unique<LionRule>(options);
    case OptimizerOptions::Kind::kSgd:
      return std::make_unique<SgdRule>(options);
    case OptimizerOptions::Kind::kAdafactor:
      return std::make_unique<AdafactorRule>();
  }
  RETORT_CHECK(false, "an optimiser of no kind");
  return nullptr;
}

std::span<const std::string_view> StateNames() {
  static constexpr std::string_view kAll[] = {
      kFirst, kSecond, kFirstCodes, kFirstScales, kSecondCodes, kSecondScales, kRows, kColumns};
  return kAll;
}

}  // namespace retort
