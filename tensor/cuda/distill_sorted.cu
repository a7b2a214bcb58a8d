// SPDX-License-Identifier: Apache-2.0
// The distance between two sorted distributions over different vocabularies. One block a row: it
// sums both softmaxes, sorts the logits of both rows, and compares them rank by rank; the gradient
// of a rank is written at its id. There are as many blocks as multiprocessors, and each takes row
// after row, so that the scratch for sorting is that of as many rows. Bound by the sort.
#include <algorithm>

#include "tensor/cuda/distill.h"
#include "tensor/cuda/row_sort.h"

namespace retort::cuda {
namespace {

struct SortedArguments {
  int64_t rows;
  Global<float> logits;
  int64_t vocab;
  Global<float> teacher;  // each row ends up sorted
  int64_t teacher_vocab;
  // Scratch, rows of one block each: [blocks, teacher_vocab] and twice [blocks, 2, vocab].
  Global<float> teacher_values, values;
  Global<int32_t> ids;
};

__device__ OnlineSum SumOfRow(Global<const float> x, int64_t n, float factor) {
  OnlineSum own{factor};
  for (int64_t i = FirstQuad(); i < n; i += QuadStep()) {
    const Quad quad = LoadQuad(x, i, n, -kInfinity);
    for (int j = 0; j < kQuad; ++j) own.Add(quad.value[j]);
  }
  return own;
}

// Sorts in place.
__device__ void SortValues(Global<float> row, Global<float> other, int64_t n,
                           const SortScratch& scratch) {
  static_assert(kSortPasses % 2 == 0);
  for (int pass = 0; pass < kSortPasses; ++pass) {
    const bool back = pass % 2 != 0;
    SortPass({back ? other : row, {}}, {back ? row : other, {}}, SortIds::kNone, n, pass, scratch);
  }
}
// Leaves the row as it is; the sorted items are in b.
__device__ void SortWithIds(Global<float> row, const SortItems& a, const SortItems& b, int64_t n,
                            const SortScratch& scratch) {
  for (int pass = 0; pass < kSortPasses; ++pass) {
    const bool back = pass % 2 != 0;
    const SortItems from{pass == 0 ? row : back ? a.value : b.value, back ? a.id : b.id};
    SortPass(from, back ? b : a, pass == 0 ? SortIds::kPlaces : SortIds::kGiven, n, pass, scratch);
  }
}

// A row of logits in descending order, as probabilities; 0 beyond its end.
struct SortedRow {
  Global<const float> logits;
  int64_t count;
  float most, factor, scale;
  double log_sum;

  __device__ SortedRow(Global<const float> row, int64_t n, float factor_of,
                       const SoftmaxSum& softmax)
      : logits(row),
        count(n),
        most(softmax.most),
        factor(factor_of),
        scale(static_cast<float>(1 / softmax.sum)),
        log_sum(log(softmax.sum)) {}

  struct Entry {
    float p;
    double log_p;
  };
  __device__ Entry At(int64_t rank) const {
    if (rank >= count) return {0, -kInfinity};
    const float logit = logits[rank];
    return {expf((logit - most) * factor) * scale,
            (static_cast<double>(logit) - most) * factor - log_sum};
  }
};

// The term of a rank. Which of the two is larger is told by the logarithms in double: many ranks of
// close distributions differ by less than an f32's rounding.
__device__ Outcome OutcomeOfRank(const SortedRow& teacher, const SortedRow& student, int64_t rank) {
  const SortedRow::Entry p = teacher.At(rank), q = student.At(rank);
  return {fabsf(q.p - p.p), q.log_p > p.log_p ? q.p : q.log_p < p.log_p ? -q.p : 0.0f};
}

__global__ void __launch_bounds__(kSortThreads)
    DistillSortedKernel(SortedArguments rows, DivergenceArguments settings, TokenArguments tokens,
                        bool gradient) {
  RETORT_SHARED(float, singles, kMostWarps);
  RETORT_SHARED(double, doubles, kMostWarps);
  RETORT_SHARED(uint32_t, counts, kSortCounts);
  RETORT_SHARED(uint32_t, totals, kDigits);
  const BlockScratch scratch{singles, doubles};
  const SortScratch sort{counts, totals};
  const int64_t block = blockIdx.x, vocab = rows.vocab, teacher_vocab = rows.teacher_vocab;
  const int64_t even = 2 * block * vocab, odd = even + vocab;
  const SortItems unsorted{rows.values + even, rows.ids + even};
  const SortItems sorted{rows.values + odd, rows.ids + odd};
  for (int64_t row = block; row < rows.rows; row += gridDim.x) {
    const Global<float> z = rows.logits + row * vocab, t = rows.teacher + row * teacher_vocab;
    const int32_t target = tokens.targets[row];
    const float at_target = TargetLogit(z, vocab, target);
    const SoftmaxSum ce = JoinSums(SumOfRow(z, vocab, 1), scratch);
    const SoftmaxSum kd = JoinSums(SumOfRow(z, vocab, settings.factor), scratch);
    const SoftmaxSum theirs = JoinSums(SumOfRow(t, teacher_vocab, settings.factor), scratch);
    SortValues(t, rows.teacher_values + block * teacher_vocab, teacher_vocab, sort);
    SortWithIds(z, unsorted, sorted, vocab, sort);

    const SortedRow teacher(t, teacher_vocab, settings.factor, theirs);
    const SortedRow student(sorted.value, vocab, settings.factor, kd);
    float own_value = 0, own_h = 0;
    const int64_t longest = vocab > teacher_vocab ? vocab : teacher_vocab;
    for (int64_t i = threadIdx.x; i < longest; i += blockDim.x) {
      const Outcome outcome = OutcomeOfRank(teacher, student, i);
      own_value += outcome.value;
      own_h += outcome.h;
    }
    const double value = BlockSum(static_cast<double>(own_value), doubles);
    const double sum_h = BlockSum(static_cast<double>(own_h), doubles);
    if (threadIdx.x == 0) tokens.SetLoss(row, CrossEntropyOf(ce, at_target), value);
    if (!gradient) continue;
    const StudentGradient dz(tokens, row, settings.factor, ce, kd);
    for (int64_t i = threadIdx.x; i < vocab; i += blockDim.x) {
      const int32_t id = sorted.id[i];
      const float logit = sorted.value[i];
      const Outcome outcome = OutcomeOfRank(teacher, student, i);
      z[id] = dz.OfBoth(id, logit, outcome.h, static_cast<float>(-sum_h));
    }
    __syncthreads();  // the next row is sorted in the same scratch
  }
}

}  // namespace

void DistillSorted(Queue& queue, Memory& memory, int64_t most_blocks,
                   const DistillSettings& settings, const DistillTokens& tokens, bool gradient,
                   const Tensor& logits, const Tensor& teacher) {
  const int64_t rows = logits.rows(), vocab = logits.cols(), teacher_vocab = teacher.cols();
  const int64_t blocks = std::min(rows, most_blocks);
  const Tensor teacher_values = Tensor::Make(memory, {blocks, teacher_vocab}, DType::kF32);
  const Tensor values = Tensor::Make(memory, {blocks, 2, vocab}, DType::kF32);
  const Tensor ids = Tensor::Make(memory, {blocks, 2, vocab}, DType::kI32);
  const SortedArguments arguments{rows,
                                  Out<float>(logits),
                                  vocab,
                                  Out<float>(teacher),
                                  teacher_vocab,
                                  Out<float>(teacher_values),
                                  Out<float>(values),
                                  Out<int32_t>(ids)};
  Launch(queue, Grid{blocks, kSortThreads}, DistillSortedKernel, arguments, ArgumentsOf(settings),
         ArgumentsOf(tokens), gradient);
}

}  // namespace retort::cuda
