// SPDX-License-Identifier: Apache-2.0
// Distillation against a teacher's logits. One block a row in three passes: the softmaxes' sums,
// the divergence with H, and the gradient, which computes each outcome's h again rather than
// writing it to memory. Bound by memory: 24 bytes a logit pair with a gradient.
#include "tensor/cuda/cuda_backend.h"
#include "tensor/cuda/distill.h"

namespace retort::cuda {
namespace {

struct Rows {
  Global<float> logits;
  int64_t vocab;
  Global<const float> teacher;
  int64_t teacher_vocab, shared;
};

template <Divergence kKind>
__global__ void __launch_bounds__(kLossThreads)
    DistillKernel(Rows rows, DivergenceArguments settings, TokenArguments tokens, bool gradient) {
  RETORT_SHARED(float, singles, kMostWarps);
  RETORT_SHARED(double, doubles, kMostWarps);
  const BlockScratch scratch{singles, doubles};
  const int64_t row = blockIdx.x, vocab = rows.vocab, shared = rows.shared;
  const Global<float> z = rows.logits + row * vocab;
  const Global<const float> t = rows.teacher + row * rows.teacher_vocab;
  const int32_t target = tokens.targets[row];
  const float at_target = TargetLogit(z, vocab, target);

  const bool one_softmax = settings.factor == 1 && shared == vocab;
  OnlineSum own_ce, own_q{settings.factor}, own_p{settings.factor};
  for (int64_t i = FirstQuad(); i < vocab; i += QuadStep()) {
    const Quad own = LoadQuad(z, i, vocab, -kInfinity);
    for (int j = 0; j < kQuad; ++j) {
      own_ce.Add(own.value[j]);
      if (!one_softmax && i + j < shared) own_q.Add(own.value[j]);
    }
  }
  for (int64_t i = FirstQuad(); i < shared; i += QuadStep()) {
    const Quad theirs = LoadQuad(t, i, shared, -kInfinity);
    for (int j = 0; j < kQuad; ++j) own_p.Add(theirs.value[j]);
  }
  const SoftmaxSum ce = JoinSums(own_ce, scratch);
  const SoftmaxSum kd = one_softmax ? ce : JoinSums(own_q, scratch);
  const LogProbs q(kd, settings.factor), p(JoinSums(own_p, scratch), settings.factor);

  float own_value = 0, own_h = 0;
  for (int64_t i = FirstQuad(); i < shared; i += QuadStep()) {
    const Quad own = LoadQuad(z, i, shared, -kInfinity);
    const Quad theirs = LoadQuad(t, i, shared, -kInfinity);
    for (int j = 0; j < kQuad; ++j) {
      const Outcome outcome = OutcomeOf<kKind>(settings, p.Of(theirs.value[j]), q.Of(own.value[j]));
      own_value += outcome.value;
      own_h += outcome.h;
    }
  }
  const double value = BlockSum(static_cast<double>(own_value), doubles);
  const double sum_h = BlockSum(static_cast<double>(own_h), doubles);
  if (threadIdx.x == 0) tokens.SetLoss(row, CrossEntropyOf(ce, at_target), value);
  if (!gradient) return;

  const StudentGradient dz(tokens, row, settings.factor, ce, kd);
  const auto slope = static_cast<float>(-sum_h);
  for (int64_t i = FirstQuad(); i < vocab; i += QuadStep()) {
    Quad own = LoadQuad(z, i, vocab, -kInfinity);
    const Quad theirs = LoadQuad(t, i, shared, -kInfinity);
    for (int j = 0; j < kQuad; ++j) {
      float& v = own.value[j];
      if (i + j < shared) {
        const Outcome outcome = OutcomeOf<kKind>(settings, p.Of(theirs.value[j]), q.Of(v));
        v = dz.OfBoth(i + j, v, outcome.h, slope);
      } else {
        v = dz.OfCrossEntropy(i + j, v);
      }
    }
    StoreQuad(z, i, vocab, own);
  }
}

}  // namespace

void CudaBackend::Distill(const DistillSettings& settings, const DistillTokens& tokens,
                          bool gradient, Tensor& logits, Tensor& teacher) {
  CheckDistill(settings, tokens, logits.rows());
  RETORT_CHECK(teacher.rows() == logits.rows(), teacher.shape().text(), " for ",
               logits.shape().text());
  if (settings.divergence == Divergence::kSorted) {
    return DistillSorted(*queue_, *memory_, facts_.multiprocessors, settings, tokens, gradient,
                         logits, teacher);
  }
  const Rows rows{Out<float>(logits), logits.cols(), In<float>(teacher), teacher.cols(),
                  std::min(logits.cols(), teacher.cols())};
  WithDivergence(settings.divergence, [&]<Divergence kKind>() {
    Launch(*queue_, RowEach(logits.rows(), kLossThreads), DistillKernel<kKind>, rows,
           ArgumentsOf(settings), ArgumentsOf(tokens), gradient);
  });
}

}  // namespace retort::cuda
