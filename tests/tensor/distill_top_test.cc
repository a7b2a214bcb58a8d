// SPDX-License-Identifier: Apache-2.0
// How much of the gradient remains if only a teacher's 64 most probable ids of 32,000 are kept.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tensor/backend.h"

namespace retort {
namespace {

constexpr int64_t kTopRows = 64, kVocab = 32000, kKept = 64;

// Logits whose probabilities fall as Zipf's law does (rank to the -exponent), each with noise, ids
// in random order: a teacher's, and a student's that agrees with it but for noise of its own.
struct Pair {
  std::vector<double> teacher, student;
};
Pair MakePair(double exponent, double disagreement) {
  Pair out;
  for (int64_t r = 0; r < kTopRows; ++r) {
    RandomStream random(MakeKey(11, RandomUse::kData, static_cast<uint64_t>(r)));
    const std::vector<int64_t> rank =
        Permutation(kVocab, MakeKey(12, RandomUse::kData, static_cast<uint64_t>(r)));
    for (int64_t v = 0; v < kVocab; ++v) {
      const double z =
          -exponent * std::log(1.0 + static_cast<double>(rank[static_cast<size_t>(v)])) +
          0.5 * random.Normal();
      out.teacher.push_back(z);
      out.student.push_back(z + disagreement * random.Normal());
    }
  }
  return out;
}

struct Tops {
  std::vector<int32_t> ids;
  std::vector<float> log_probs, tail;
};
Tops TopsOf(const std::vector<double>& logits) {
  Tops out;
  for (int64_t r = 0; r < kTopRows; ++r) {
    const double* z = logits.data() + r * kVocab;
    std::vector<int32_t> order(static_cast<size_t>(kVocab));
    std::iota(order.begin(), order.end(), 0);
    std::ranges::sort(order, std::greater<>(), [&](int32_t id) { return z[id]; });
    double sum = 0, rest = 0;
    for (size_t i = 0; i < order.size(); ++i) {
      sum += std::exp(z[order[i]]);
      if (static_cast<int64_t>(i) >= kKept) rest += std::exp(z[order[i]]);
    }
    for (size_t i = 0; i < static_cast<size_t>(kKept); ++i) {
      out.ids.push_back(order[i]);
      out.log_probs.push_back(static_cast<float>(z[order[i]] - std::log(sum)));
    }
    out.tail.push_back(static_cast<float>(std::log(rest / sum)));
  }
  return out;
}

double Cosine(const std::vector<double>& a, const std::vector<double>& b) {
  const auto dot = [](const auto& x, const auto& y) {
    return std::inner_product(x.begin(), x.end(), y.begin(), 0.0);
  };
  return dot(a, b) / std::sqrt(dot(a, a) * dot(b, b));
}

TEST(DistillTop, KeepsTheGradientsDirection) {
  const auto backend = MakeReferenceBackend();
  const std::vector<int32_t> targets(static_cast<size_t>(kTopRows), 0);
  const std::vector<float> none(targets.size(), 0), one(targets.size(), 1);
  const Shape all{kTopRows};
  const Tensor ce = backend->New(all), losses = backend->New(all), exact = backend->New(all),
               kept = backend->New(all);
  const auto tokens = [&](const Tensor& kd) {
    return DistillTokens{
        backend->Upload(targets), backend->Upload(none), backend->Upload(one), 1, ce, kd, losses};
  };
  struct Case {
    double exponent, disagreement, at_least;
  };
  for (const Case& c : {Case{1.0, 1, 0.99}, {1.5, 1, 0.999}, {2.0, 1, 0.9999}}) {
    const Pair pair = MakePair(c.exponent, c.disagreement);
    const Tops tops = TopsOf(pair.teacher);
    Tensor full = backend->FromDoubles(pair.student, {kTopRows, kVocab});
    Tensor cut = backend->FromDoubles(pair.student, {kTopRows, kVocab});
    Tensor teacher = backend->FromDoubles(pair.teacher, {kTopRows, kVocab});
    backend->Distill({}, tokens(exact), true, full, teacher);
    backend->DistillTop({}, tokens(kept), true, cut,
                        {kKept, kVocab, backend->Upload(tops.ids), backend->Upload(tops.log_probs),
                         backend->Upload(tops.tail)});
    const std::vector<double> kd = backend->ToDoubles(exact), kd_top = backend->ToDoubles(kept);
    const double cosine = Cosine(backend->ToDoubles(full), backend->ToDoubles(cut));
    double tail = 0, sum = 0, sum_top = 0;
    for (size_t i = 0; i < kd.size(); ++i)
      tail += std::exp(tops.tail[i]) / kTopRows, sum += kd[i] / kTopRows,
          sum_top += kd_top[i] / kTopRows;
    std::cout << "probabilities falling as rank^-" << c.exponent << ": tail " << tail << ", KL "
              << sum << ", of the kept " << sum_top << ", cosine of the gradients " << cosine
              << "\n";
    EXPECT_GE(cosine, c.at_least);
    EXPECT_LE(sum_top, sum);
  }
}

}  // namespace
}  // namespace retort
