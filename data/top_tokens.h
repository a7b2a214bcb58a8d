// SPDX-License-Identifier: Apache-2.0
// A teacher's truncated output distribution: each token's most probable ids and the mass of all
// other ids.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace retort {

// Rows of k outcomes plus the tail, which is all other ids together. Row major.
struct TopTokens {
  TopTokens() = default;
  TopTokens(int64_t rows, int64_t kept) { Resize(rows, kept); }
  void Resize(int64_t rows, int64_t kept) {
    n = rows;
    k = kept;
    ids.resize(static_cast<size_t>(n * k));
    log_probs.resize(static_cast<size_t>(n * k));
    tail.resize(static_cast<size_t>(n));
  }

  int64_t n = 0, k = 0;
  // [n, k]: distinct, in descending order of probability, equal ones by ascending id. If k = V (the
  // whole vocabulary): 0, 1, 2, ...
  std::vector<int32_t> ids;
  std::vector<float> log_probs;  // [n, k], natural logarithms
  std::vector<float> tail;       // [n]: log of the remaining mass; -infinity when k = V
};

// Truncates rows of logits. Use one object per thread; it owns its scratch space.
class TopSelector {
 public:
  // Keeps min(top_k, vocab) ids; p = softmax(logits / temperature). All must be positive.
  TopSelector(int64_t vocab, int64_t top_k, double temperature);

  int64_t kept() const { return kept_; }

  // Fills row `row` of `out`, which has kept() columns, from the `vocab` logits after one token.
  //   log_probs[j] = z_j / t - log sum_i exp(z_i / t)
  //   tail = log sum_{i not kept} exp(z_i / t) - log sum_i exp(z_i / t)
  // in double, each sum over ids in ascending order. The tail is summed directly rather than as 1 -
  // sum, so it keeps its relative precision even when tiny (-infinity if below double's range).
  // O(V) for any top_k. A logit may be -infinity; throws Error{kFailure} on NaN or +infinity.
  void Select(std::span<const float> logits, TopTokens& out, int64_t row);

 private:
  void SelectIds(std::span<const float> logits, std::span<int32_t> ids);

  int64_t vocab_, kept_;
  double temperature_;
  std::vector<uint64_t> keys_;  // at most 2 * kept_
};

}  // namespace retort
