// SPDX-License-Identifier: Apache-2.0
#include "train/update_rule.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "tensor/dynamic_map.h"

namespace retort {
namespace {

using State = UpdateRule::State;
using Kind = OptimizerOptions::Kind;

constexpr std::string_view kFirst = "first", kSecond = "second", kFirstCodes = "first_codes",
                           kFirstScales = "first_scales", kSecondCodes = "second_codes",
                           kSecondScales = "second_scales", kRows = "rows", kColumns = "columns";

double Or(double value, double otherwise) { return value > 0 ? value : otherwise; }

class AdamWRule : public UpdateRule {
 public:
  explicit AdamWRule(const OptimizerOptions& options) : options_(options) {}

  std::vector<State> StatesOf(const Shape& parameter) const override {
    return {{kFirst, parameter}, {kSecond, parameter}};
  }
  void Update(Backend& backend, const UpdateStep& step, Tensor& parameter, const Tensor& gradient,
              std::span<Tensor> states) const override {
    backend.AdamW(KernelStep(step), step.factor, parameter, gradient, states[0], states[1]);
  }

 protected:
  AdamWStep KernelStep(const UpdateStep& step) const {
    return {.lr = static_cast<float>(step.lr),
            .beta1 = static_cast<float>(Or(options_.beta1, 0.9)),
            .beta2 = static_cast<float>(Or(options_.beta2, 0.999)),
            .epsilon = static_cast<float>(options_.epsilon),
            .weight_decay = static_cast<float>(step.weight_decay),
            .step = step.number};
  }

 private:
  OptimizerOptions options_;
};

// Small parameters keep whole moments: 8 bits save nothing there, and cost accuracy.
class AdamWBytesRule : public AdamWRule {
 public:
  using AdamWRule::AdamWRule;

  std::vector<State> StatesOf(const Shape& parameter) const override {
    const int64_t n = parameter.elements();
    if (n < kFewest) return AdamWRule::StatesOf(parameter);
    const Shape values{n}, scales{(n + kByteBlock - 1) / kByteBlock};
    return {{kFirstCodes, values, State::Type::kByte},
            {kFirstScales, scales, State::Type::kSingle},
            {kSecondCodes, values, State::Type::kByte},
            {kSecondScales, scales, State::Type::kSingle}};
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
  explicit LionRule(const OptimizerOptions& options) : options_(options) {}

  std::vector<State> StatesOf(const Shape& parameter) const override {
    return {{kFirst, parameter}};
  }
  void Update(Backend& backend, const UpdateStep& step, Tensor& parameter, const Tensor& gradient,
              std::span<Tensor> states) const override {
    const LionStep rule{.lr = static_cast<float>(step.lr),
                        .beta1 = static_cast<float>(Or(options_.beta1, 0.9)),
                        .beta2 = static_cast<float>(Or(options_.beta2, 0.99)),
                        .weight_decay = static_cast<float>(step.weight_decay)};
    backend.Lion(rule, step.factor, parameter, gradient, states[0]);
  }

 private:
  OptimizerOptions options_;
};

class SgdRule : public UpdateRule {
 public:
  explicit SgdRule(const OptimizerOptions& options) : momentum_(options.momentum) {}

  std::vector<State> StatesOf(const Shape& parameter) const override {
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
  std::vector<State> StatesOf(const Shape& parameter) const override {
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

struct NamedKind {
  const char* name;
  Kind kind;
};
constexpr NamedKind kKinds[] = {{"adamw", Kind::kAdamW},
                                {"adamw8", Kind::kAdamW8Bit},
                                {"lion", Kind::kLion},
                                {"sgd", Kind::kSgd},
                                {"adafactor", Kind::kAdafactor}};

}  // namespace

const std::vector<std::string>& OptimizerNames() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out;
    for (const NamedKind& k : kKinds) out.emplace_back(k.name);
    return out;
  }();
  return names;
}

OptimizerOptions::Kind OptimizerNamed(const std::string& name) {
  const auto found = std::ranges::find(kKinds, name, &NamedKind::name);
  if (found != std::end(kKinds)) return found->kind;
  throw InputError("train.optimizer '", name, "' is not known; use one of ",
                   Join(OptimizerNames(), ", "));
}

std::unique_ptr<UpdateRule> MakeUpdateRule(const OptimizerOptions& options) {
  switch (options.kind) {
    case Kind::kAdamW:
      return std::make_unique<AdamWRule>(options);
    case Kind::kAdamW8Bit:
      return std::make_unique<AdamWBytesRule>(options);
    case Kind::kLion:
      return std::make_unique<LionRule>(options);
    case Kind::kSgd:
      return std::make_unique<SgdRule>(options);
    case Kind::kAdafactor:
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
