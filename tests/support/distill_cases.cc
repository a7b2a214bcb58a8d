// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/support/stage.h"

namespace retort {
namespace {

struct Variant {
  int64_t rows, vocab, teacher_vocab;
  int size;
  float temperature;
  bool gradient;

  std::string name(Divergence divergence) const {
    static constexpr const char* kNames[] = {"forward", "reverse", "jsd", "tv", "sorted"};
    return Cat(kNames[static_cast<size_t>(divergence)], "_n", rows, "_v", vocab, "_u",
               teacher_vocab, "_z", size, "_t", std::lround(temperature * 10),
               gradient ? "_grad" : "");
  }
  double tolerance() const { return size == 1 ? 2e-6 : 2e-5; }  // twice that of cross_entropy
};

// The tokens of a case: targets, different weights (one of them 0), outputs. A divergence is
// computed from differences of probabilities that sum to 1. For close distributions, f32 therefore
// limits its absolute error (relative to 1), not its relative error.
DistillTokens MakeTokens(Stage& stage, const Variant& v) {
  std::vector<int32_t> targets = stage.Below(v.rows, v.vocab);
  std::vector<float> ce_weight(static_cast<size_t>(v.rows)), kd_weight(ce_weight.size());
  for (float& w : ce_weight) w = static_cast<float>(stage.random().Uniform());
  for (float& w : kd_weight) w = static_cast<float>(stage.random().Uniform()) + 0.1f;
  targets.back() = static_cast<int32_t>(v.vocab - 1);
  if (v.rows > 2) ce_weight[1] = 0, kd_weight[2] = 0;
  return {.targets = stage.Indices(targets),
          .ce_weight = stage.Singles("ce weight", ce_weight),
          .kd_weight = stage.Singles("kd weight", kd_weight),
          .scale = 0.75f,
          .ce = stage.Doubles("ce", v.rows),
          .kd = stage.Doubles("kd", v.rows, 1),
          .losses = stage.Doubles("losses", v.rows, 1)};
}

OpCase DistillCase(Divergence divergence, const Variant& v) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    const DistillTokens tokens = MakeTokens(*stage, v);
    Tensor logits =
        stage->InOut("logits", {v.rows, v.vocab}, stage->Normal(v.rows * v.vocab, v.size));
    Tensor teacher = stage->Scratch("teacher", {v.rows, v.teacher_vocab},
                                    stage->Normal(v.rows * v.teacher_vocab, v.size));
    return RunOn(stage, [=, &b]() mutable {
      b.Distill({divergence, 0.3f, v.temperature}, tokens, v.gradient, logits, teacher);
    });
  };
  const double elements = static_cast<double>(v.rows) * static_cast<double>(v.vocab);
  return {"distill",     v.name(divergence), v.tolerance(), Compute::kF32,
          20 * elements, 12 * elements,      prepare};
}

// A teacher's kept outcomes, computed from random logits of the first `vocab` ids, most probable
// first.
struct Kept {
  Kept(Stage& stage, int64_t rows, int64_t vocab, int64_t kept, double size) {
    for (int64_t i = 0; i < rows; ++i) {
      const std::vector<float> z = stage.Normal(vocab, size);
      std::vector<int32_t> order(z.size());
      std::iota(order.begin(), order.end(), 0);
      std::ranges::sort(order, std::greater<>(),
                        [&](int32_t id) { return z[static_cast<size_t>(id)]; });
      double sum = 0, rest = 0;
      for (size_t k = 0; k < z.size(); ++k) {
        const double e = std::exp(static_cast<double>(z[static_cast<size_t>(order[k])]));
        sum += e;
        if (static_cast<int64_t>(k) >= kept) rest += e;
      }
      for (int64_t k = 0; k < kept; ++k) {
        const int32_t id = order[static_cast<size_t>(k)];
        ids.push_back(id);
        log_probs.push_back(static_cast<float>(z[static_cast<size_t>(id)] - std::log(sum)));
      }
      tail.push_back(static_cast<float>(std::log(rest / sum)));
    }
  }
  std::vector<int32_t> ids;
  std::vector<float> log_probs, tail;
};

// The teacher's outcomes cover the first teacher_vocab ids.
OpCase DistillTopCase(Divergence divergence, const Variant& v, int64_t kept) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    const DistillTokens tokens = MakeTokens(*stage, v);
    const Kept top(*stage, v.rows, v.teacher_vocab, kept, v.size);
    const TopOutcomes outcomes{kept, v.teacher_vocab, stage->Indices(top.ids),
                               stage->Singles("log_probs", top.log_probs),
                               stage->Singles("tail", top.tail)};
    Tensor logits =
        stage->InOut("logits", {v.rows, v.vocab}, stage->Normal(v.rows * v.vocab, v.size));
    return RunOn(stage, [=, &b]() mutable {
      b.DistillTop({divergence, 0.3f, v.temperature}, tokens, v.gradient, logits, outcomes);
    });
  };
  const double elements = static_cast<double>(v.rows) * static_cast<double>(v.vocab);
  return {"distill_top", Cat(v.name(divergence), "_k", kept),
          v.tolerance(), Compute::kF32,
          12 * elements, 8 * elements,
          prepare};
}

}  // namespace

std::vector<OpCase> DistillCases() {
  std::vector<OpCase> cases;
  for (const Divergence d : {Divergence::kForwardKl, Divergence::kReverseKl, Divergence::kJsd,
                             Divergence::kTotalVariation, Divergence::kSorted}) {
    for (const Variant& v : {Variant{17, 512, 512, 1, 1, true},
                             {17, 512, 512, 1, 1, false},
                             {5, 105, 105, 8, 2, true},
                             {5, 105, 113, 1, 1, true},
                             {5, 107, 99, 1, 0.7f, true},
                             {3, 32000, 32000, 1, 2, true},
                             {4, 2, 3, 1, 1, true}}) {
      cases.push_back(DistillCase(d, v));
      if (d == Divergence::kSorted || v.teacher_vocab > v.vocab) continue;
      for (const int64_t kept : {int64_t{1}, v.teacher_vocab / 3, v.teacher_vocab}) {
        if (kept > 0 && kept <= 1024) cases.push_back(DistillTopCase(d, v, kept));
      }
    }
  }
  return cases;
}

}  // namespace retort
