// SPDX-License-Identifier: Apache-2.0
// A teacher's opinion cut down: the most probable ids of each token and the mass of all the others.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace retort {

// Rows of k outcomes and one more, the tail: everything that was not kept. All row major.
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
  // [n, k]: distinct, by falling probability, the lower id first where two are equal. All of the
  // vocabulary (k = V): 0, 1, 2, ...
  std::vector<int32_t> ids;
  std::vector<float> log_probs;  // [n, k], natural
  std::vector<float> tail;       // [n]: log of the remaining mass; -infinity when k = V
};

// Cuts rows of logits down. One object serves one thread; it owns its scratch space.
class TopSelector {
 public:
  // Keeps min(top_k, vocab) ids; p = softmax(logits / temperature). All must be positive.
  TopSelector(int64_t vocab, int64_t top_k, double temperature);

  int64_t kept() const { return kept_; }

  // Row `row` of `out`, which has kept() columns, from the `vocab` logits after one token.
  //   log_probs[j] = z_j / t - log sum_i exp(z_i / t)
  //   tail = log sum_{i not kept} exp(z_i / t) - log sum_i exp(z_i / t)
  // in double, each sum over ids in order; the tail is a sum of what was left out, so it keeps its
  // relative precision however small it is (-infinity when it is below double's range).
  // O(V), whatever top_k. A logit may be -infinity; throws Error{kFailure} on NaN or +infinity.
  void Select(std::span<const float> logits, TopTokens& out, int64_t row);

 private:
  void SelectIds(std::span<const float> logits, std::span<int32_t> ids);

  int64_t vocab_, kept_;
  double temperature_;
  std::vector<uint64_t> keys_;  // at most 2 * kept_
};

}  // namespace retort
