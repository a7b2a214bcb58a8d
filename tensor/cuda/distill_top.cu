// SPDX-License-Identifier: Apache-2.0
// Distillation against a teacher's most probable outcomes and the tail of all others, which is one
// more outcome. The student's tail is a sum over the ids that were not kept, because 1 minus the
// kept ones would lose precision.
//
// One block a row. Its kept logits are moved aside and replaced by -infinity, so that one pass over
// the row sums the tail; the kept ones are added to both softmaxes afterwards. All ids of the tail
// have the same dL/dq: the gradient is one more pass, and a correction for each kept id. Bound by
// memory: 12 bytes a logit with a gradient.
#include "tensor/cuda/cuda_backend.h"
#include "tensor/cuda/distill.h"

namespace retort::cuda {
namespace {

struct TopArguments {
  int64_t kept, shared;
  Global<const int32_t> ids;
  Global<const float> log_probs, tail;
  Global<float> own;  // scratch [N, kept]: the student's logits of the kept ids
};

// One row's kept outcomes. An id that is none counts as a logit of NaN, and is written nowhere.
struct KeptRow {
  int64_t kept, shared;
  Global<const int32_t> ids;
  Global<const float> log_probs;
  Global<float> own, z;

  __device__ bool Known(int32_t id) const { return id >= 0 && id < shared; }
  // Both are followed by a barrier.
  __device__ void SetAside() const {
    for (int64_t k = threadIdx.x; k < kept; k += blockDim.x) {
      const int32_t id = ids[k];
      own[k] = kNotANumber;
      if (!Known(id)) continue;
      own[k] = z[id];
      z[id] = -kInfinity;
    }
  }
  __device__ void PutBack() const {
    for (int64_t k = threadIdx.x; k < kept; k += blockDim.x) {
      const int32_t id = ids[k];
      if (Known(id)) z[id] = own[k];
    }
  }
};

// The sums of the kept outcomes and the tail's, which are given, for a student's two softmaxes.
struct TopSums {
  SoftmaxSum ce, kd;
  double rest;  // the tail's part of kd.sum
};
__device__ TopSums JoinKept(const KeptRow& row, OnlineSum ce, OnlineSum kd,
                            const BlockScratch& scratch) {
  const OnlineSum tail = kd;
  for (int64_t k = threadIdx.x; k < row.kept; k += blockDim.x) {
    const float own = row.own[k];
    ce.Add(own);
    kd.Add(own);
  }
  TopSums sums;
  sums.ce = JoinSums(ce, scratch);
  sums.kd = JoinSums(kd, scratch);
  const float part = tail.sum * expf((tail.most - sums.kd.most) * tail.factor);
  sums.rest = BlockSum(static_cast<double>(part), scratch.doubles);
  return sums;
}

template <Divergence kKind>
__global__ void __launch_bounds__(kLossThreads)
    DistillTopKernel(Global<float> logits, int64_t vocab, TopArguments top,
                     DivergenceArguments settings, TokenArguments tokens, bool gradient) {
  RETORT_SHARED(float, singles, kMostWarps);
  RETORT_SHARED(double, doubles, kMostWarps);
  const BlockScratch scratch{singles, doubles};
  const int64_t row = blockIdx.x, shared = top.shared;
  const Global<float> z = logits + row * vocab;
  const KeptRow kept{top.kept,
                     shared,
                     top.ids + row * top.kept,
                     top.log_probs + row * top.kept,
                     top.own + row * top.kept,
                     z};
  const int32_t target = tokens.targets[row];
  const float at_target = TargetLogit(z, vocab, target);
  __syncthreads();
  kept.SetAside();
  __syncthreads();

  OnlineSum rest_ce, rest_kd{settings.factor};
  for (int64_t i = FirstQuad(); i < vocab; i += QuadStep()) {
    const Quad own = LoadQuad(z, i, vocab, -kInfinity);
    for (int j = 0; j < kQuad; ++j) {
      rest_ce.Add(own.value[j]);
      if (i + j < shared) rest_kd.Add(own.value[j]);
    }
  }
  const TopSums sums = JoinKept(kept, rest_ce, rest_kd, scratch);
  kept.PutBack();

  const LogProbs q(sums.kd, settings.factor);
  const auto log_rest = static_cast<float>(log(sums.rest / sums.kd.sum));
  const float log_tail = top.tail[row];
  const Outcome tail = OutcomeOf<kKind>(settings, AboveLogFloor(log_tail), AboveLogFloor(log_rest));
  float own_value = 0, own_h = 0;
  for (int64_t k = threadIdx.x; k < top.kept; k += blockDim.x) {
    const float own = kept.own[k], log_p = kept.log_probs[k];
    const Outcome outcome = OutcomeOf<kKind>(settings, AboveLogFloor(log_p), q.Of(own));
    own_value += outcome.value;
    own_h += outcome.h;
  }
  const double value = BlockSum(static_cast<double>(own_value), doubles) + tail.value;
  const double sum_h = BlockSum(static_cast<double>(own_h), doubles) + tail.h;
  if (threadIdx.x == 0) tokens.SetLoss(row, CrossEntropyOf(sums.ce, at_target), value);
  if (!gradient) return;

  const StudentGradient dz(tokens, row, settings.factor, sums.ce, sums.kd);
  // dL/dq of the tail, and that less H.
  const double in_tail = sums.rest > 0 ? tail.h * sums.kd.sum / sums.rest : 0;
  const auto slope = static_cast<float>(in_tail - sum_h);
  for (int64_t i = FirstQuad(); i < vocab; i += QuadStep()) {
    Quad own = LoadQuad(z, i, vocab, -kInfinity);
    for (int j = 0; j < kQuad; ++j) {
      float& v = own.value[j];
      v = i + j < shared ? dz.OfBoth(i + j, v, 0, slope) : dz.OfCrossEntropy(i + j, v);
    }
    StoreQuad(z, i, vocab, own);
  }
  __syncthreads();
  for (int64_t k = threadIdx.x; k < top.kept; k += blockDim.x) {
    const int32_t id = kept.ids[k];
    const float log_p = kept.log_probs[k], log_q = q.Of(kept.own[k]);
    const Outcome outcome = OutcomeOf<kKind>(settings, AboveLogFloor(log_p), log_q);
    const float more = outcome.h - expf(log_q) * static_cast<float>(in_tail);
    if (kept.Known(id)) z[id] += dz.kd_weight * more;
  }
}

void CheckTop(const TopOutcomes& top, int64_t rows, int64_t vocab) {
  RETORT_CHECK(top.kept >= 1 && top.kept <= top.vocab && top.vocab <= vocab, top.kept, " kept of ",
               top.vocab, " ids, ", vocab, " logits");
  RETORT_CHECK(top.ids.elements() == rows * top.kept &&
                   top.log_probs.elements() == rows * top.kept && top.tail.elements() == rows,
               top.ids.elements(), " kept ids for ", rows, " rows");
}

}  // namespace

void CudaBackend::DistillTop(const DistillSettings& settings, const DistillTokens& tokens,
                             bool gradient, Tensor& logits, const TopOutcomes& teacher) {
  const int64_t rows = logits.rows();
  CheckDistill(settings, tokens, rows);
  CheckTop(teacher, rows, logits.cols());
  const Tensor own = Tensor::Make(*memory_, {rows, teacher.kept}, DType::kF32);
  const TopArguments top{teacher.kept,
                         teacher.vocab,
                         In<int32_t>(teacher.ids),
                         In<float>(teacher.log_probs),
                         In<float>(teacher.tail),
                         Out<float>(own)};
  WithDivergence(settings.divergence, [&]<Divergence kKind>() {
    Launch(*queue_, RowEach(rows, kLossThreads), DistillTopKernel<kKind>, Out<float>(logits),
           logits.cols(), top, ArgumentsOf(settings), ArgumentsOf(tokens), gradient);
  });
}

}  // namespace retort::cuda
