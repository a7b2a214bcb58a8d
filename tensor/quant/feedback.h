// SPDX-License-Identifier: Apache-2.0
// Rounding of a matrix with error feedback, so that its products with given inputs change little
// (GPTQ, arXiv 2210.17323): codes are chosen column by column, and later columns make up for what
// earlier ones got wrong. The blocks are those of any weight format that has a grid.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/threads.h"
#include "tensor/weight.h"

namespace retort {

// What the inputs' second moments H = sum x x^T say of rounding. With H = M M^T, M upper
// triangular, a row w rounded to q has the squared output error
//   (w - q) H (w - q)^T = sum_k M_kk^2 (t_k - q_k)^2,
//   t_k = w_k + sum_{i < k} (w_i - q_i) M_ik / M_kk,
// so that q_k is chosen nearest to t_k, from the first column on.
class FeedbackFactor {
 public:
  // moments [n,n], symmetric. `damping` times the mean of the diagonal is added to it, which stands
  // for inputs that were not seen; where the sum has no factor, tenfold as much. In double; the
  // same bits for any number of threads. Throws Error{kFailure} for moments that have none at all.
  FeedbackFactor(std::span<const float> moments, int64_t n, double damping, ThreadPool& pool);

  int64_t size() const { return size_; }
  // M_ik / M_kk of the columns i < k.
  const float* feedback(int64_t k) const { return feedback_.data() + k * (k + 1) / 2; }
  const float* weights() const { return weights_.data(); }  // M_kk^2, [n]

 private:
  int64_t size_;
  std::vector<float> feedback_;  // row k after row k - 1, k + 1 values each
  std::vector<float> weights_;
};

// Encodes `count` rows of factor.size() values, one after the other, into `out`. Blocks choose
// their scales as BlockFormat::encode does, for the values that are wanted of them then; of some
// scales around these the one with the smallest error is taken. Formats without a grid are encoded
// with the factor's weights as importance.
void EncodeRowsWithFeedback(WeightFormat format, const FeedbackFactor& factor, const float* rows,
                            int64_t count, std::byte* out);

// The same for blocks of a format that is in no table; it has a grid.
void EncodeRowsWithFeedback(const BlockFormat& format, const FeedbackFactor& factor,
                            const float* rows, int64_t count, std::byte* out);

// A copy of `source` in another format, as above, allocated from `memory`.
Weight RoundedWithFeedback(const Weight& source, WeightFormat format, const FeedbackFactor& factor,
                           Memory& memory, ThreadPool& pool);

}  // namespace retort
