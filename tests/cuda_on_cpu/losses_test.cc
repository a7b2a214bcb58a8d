// SPDX-License-Identifier: Apache-2.0
// Losses of logits that are not numbers, that are infinite or equal, and of targets that are no
// ids.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/random.h"
#include "tensor/cuda/cuda_backend.h"

namespace retort {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN(),
                kInfinity = std::numeric_limits<float>::infinity();
constexpr int64_t kVocab = 37;
constexpr Divergence kAll[] = {Divergence::kForwardKl, Divergence::kReverseKl, Divergence::kJsd,
                               Divergence::kTotalVariation, Divergence::kSorted};

std::vector<float> Normal(int64_t count, uint64_t seed) {
  RandomStream random(MakeKey(seed, RandomUse::kData));
  std::vector<float> values(static_cast<size_t>(count));
  for (float& v : values) v = static_cast<float>(random.Normal());
  return values;
}

struct Losses {
  double ce, kd, loss;
  std::vector<double> gradient;
};

struct Weights {
  float ce = 0.5f, kd = 0.25f;
};

class CudaLosses : public testing::Test {
 protected:
  static DistillTokens Tokens(Backend& b, int32_t target, Weights weights) {
    const auto one = [&] { return b.New({1}, DType::kF64); };
    return {b.Upload(std::vector<int32_t>{target}),
            b.Upload(std::vector<float>{weights.ce}),
            b.Upload(std::vector<float>{weights.kd}),
            0.75f,
            one(),
            one(),
            one()};
  }
  static Losses Result(Backend& b, const DistillTokens& tokens, const Tensor& z) {
    return {b.ToDoubles(tokens.ce)[0], b.ToDoubles(tokens.kd)[0], b.ToDoubles(tokens.losses)[0],
            b.ToDoubles(z)};
  }
  static Losses Distilled(Backend& b, Divergence d, const std::vector<float>& student,
                          const std::vector<float>& teacher, int32_t target = 3,
                          Weights weights = {}) {
    const DistillTokens tokens = Tokens(b, target, weights);
    Tensor z = b.FromFloats(student, {1, std::ssize(student)});
    Tensor t = b.FromFloats(teacher, {1, std::ssize(teacher)});
    b.Distill({d, 0.3f, 2}, tokens, true, z, t);
    return Result(b, tokens, z);
  }
  static Losses DistilledTop(Backend& b, Divergence d, const std::vector<float>& student,
                             const std::vector<int32_t>& ids, const std::vector<float>& log_probs,
                             float tail) {
    const DistillTokens tokens = Tokens(b, 3, {});
    Tensor z = b.FromFloats(student, {1, kVocab});
    b.DistillTop({d, 0.3f, 1}, tokens, true, z,
                 {std::ssize(ids), kVocab, b.Upload(ids), b.Upload(log_probs),
                  b.Upload(std::vector<float>{tail})});
    return Result(b, tokens, z);
  }
  static void ExpectClose(const Losses& got, const Losses& want) {
    EXPECT_NEAR(got.ce, want.ce, 1e-5);
    EXPECT_NEAR(got.kd, want.kd, 1e-5);
    EXPECT_NEAR(got.loss, want.loss, 1e-5);
    for (size_t i = 0; i < want.gradient.size(); ++i)
      EXPECT_NEAR(got.gradient[i], want.gradient[i], 1e-6) << i;
  }

  cuda::CudaBackend cuda_{0, 1, Compute::kF32};
  std::unique_ptr<Backend> reference_ = MakeReferenceBackend();
};

TEST_F(CudaLosses, CrossEntropyLetsNansAndInfinitiesThrough) {
  for (const float odd : {kNan, kInfinity}) {
    for (size_t at = 0; at < kVocab; ++at) {
      std::vector<float> logits = Normal(kVocab, 5);
      logits[at] = odd;
      Tensor x = cuda_.FromFloats(logits, {1, kVocab});
      Tensor loss = cuda_.New({1}, DType::kF64);
      cuda_.CrossEntropy(x, cuda_.Upload(std::vector<int32_t>{5}), {}, 0, loss);
      EXPECT_TRUE(std::isnan(cuda_.ToDoubles(loss)[0])) << odd << " at " << at;
    }
  }
}

TEST_F(CudaLosses, OfATargetThatIsNoIdAreNan) {
  for (const int32_t target : {-100, static_cast<int32_t>(kVocab)}) {
    Tensor x = cuda_.FromFloats(Normal(kVocab, 5), {1, kVocab});
    Tensor loss = cuda_.New({1}, DType::kF64);
    cuda_.CrossEntropy(x, cuda_.Upload(std::vector<int32_t>{target}),
                       cuda_.Upload(std::vector<float>{1}), 0, loss);
    EXPECT_TRUE(std::isnan(cuda_.ToDoubles(loss)[0]));
    for (const Divergence d : kAll) {
      const Losses got = Distilled(cuda_, d, Normal(kVocab, 5), Normal(kVocab, 6), target);
      EXPECT_TRUE(std::isnan(got.ce) && std::isfinite(got.kd) && std::isnan(got.loss));
    }
  }
}

TEST_F(CudaLosses, ATeachersNanMakesTheDivergenceNan) {
  const auto expect_nan = [](const Losses& got) {
    EXPECT_TRUE(std::isfinite(got.ce));
    EXPECT_TRUE(std::isnan(got.kd));
    EXPECT_TRUE(std::isnan(got.loss));
  };
  for (const Divergence d : kAll) {
    for (size_t at = 0; at < kVocab; ++at) {
      std::vector<float> teacher = Normal(kVocab, 6);
      teacher[at] = kNan;
      expect_nan(Distilled(cuda_, d, Normal(kVocab, 5), teacher));
    }
    if (d == Divergence::kSorted) continue;
    expect_nan(DistilledTop(cuda_, d, Normal(kVocab, 5), {4, 30}, {kNan, -1.5f}, -1.3f));
    expect_nan(DistilledTop(cuda_, d, Normal(kVocab, 5), {4, 30}, {-1.0f, kNan}, -1.3f));
    expect_nan(DistilledTop(cuda_, d, Normal(kVocab, 5), {4, 30}, {-1.0f, -1.5f}, kNan));
  }
}

TEST_F(CudaLosses, AWeightOfZeroRemovesItsTerm) {
  std::vector<float> odd = Normal(kVocab, 6);
  odd[7] = kNan;
  for (const Divergence d : kAll) {
    const Losses got = Distilled(cuda_, d, Normal(kVocab, 5), odd, 3, {.ce = 0.5f, .kd = 0});
    EXPECT_TRUE(std::isnan(got.kd));
    EXPECT_DOUBLE_EQ(got.loss, 0.5 * got.ce);
  }
}

// Tokens that cannot be: -infinity in both rows, in the teacher's alone; a teacher that is sure.
TEST_F(CudaLosses, TakeTokensThatCannotBe) {
  std::vector<float> student = Normal(kVocab, 5), teacher = Normal(kVocab, 6);
  student[11] = teacher[11] = teacher[12] = -kInfinity;
  std::vector<float> sure(kVocab, -kInfinity);
  sure[4] = 1;
  for (const Divergence d : kAll) {
    if (d != Divergence::kReverseKl) {  // infinite, or the floor of its logarithm
      ExpectClose(Distilled(cuda_, d, student, teacher),
                  Distilled(*reference_, d, student, teacher));
      ExpectClose(Distilled(cuda_, d, student, sure), Distilled(*reference_, d, student, sure));
    }
  }
}

TEST_F(CudaLosses, ATailOfMinusInfinityIsNone) {
  const std::vector<float> student = Normal(kVocab, 5);
  for (const Divergence d : kAll) {
    if (d == Divergence::kSorted || d == Divergence::kReverseKl) continue;
    const std::vector<float> half(2, std::log(0.5f));
    ExpectClose(DistilledTop(cuda_, d, student, {4, 30}, half, -kInfinity),
                DistilledTop(*reference_, d, student, {4, 30}, half, -kInfinity));
  }
}

TEST_F(CudaLosses, AKeptIdThatIsNoneMakesTheTokenNan) {
  for (const int32_t id : {-1, static_cast<int32_t>(kVocab)}) {
    const Losses got = DistilledTop(cuda_, Divergence::kForwardKl, Normal(kVocab, 5), {4, id},
                                    {-1.0f, -1.5f}, -1.3f);
    EXPECT_TRUE(std::isnan(got.loss));
  }
}

// Equal logits are ranked by their ids, as in the reference.
TEST_F(CudaLosses, SortedRowsWithTies) {
  for (const int64_t vocab : {int64_t{64}, int64_t{3000}}) {
    std::vector<float> student = Normal(vocab, 5), teacher = Normal(vocab + 9, 6);
    for (float& v : student) v = std::round(2 * v) / 2;  // zeros of both signs among them
    ExpectClose(Distilled(cuda_, Divergence::kSorted, student, teacher),
                Distilled(*reference_, Divergence::kSorted, student, teacher));
  }
}

// The mean of the logits is taken off in double.
TEST_F(CudaLosses, SmoothingOfLargeLogits) {
  std::vector<float> logits = Normal(kVocab, 5);
  for (float& v : logits) v += 3e4f;
  const auto run = [&](Backend& b) {
    Tensor x = b.FromFloats(logits, {1, kVocab});
    Tensor loss = b.New({1}, DType::kF64);
    b.CrossEntropy(x, b.Upload(std::vector<int32_t>{36}), b.Upload(std::vector<float>{0.5f}), 0.1f,
                   loss);
    return b.ToDoubles(loss)[0];
  };
  EXPECT_NEAR(run(cuda_), run(*reference_), 1e-5);
}

}  // namespace
}  // namespace retort
