// SPDX-License-Identifier: Apache-2.0
// An engine's guesses: which streams guess how much in a step, and what that may take.
//
// A step reads the guesses behind the tokens that it reads anyway, each as a run of one query, as
// it would be read if it had been said. Then the stream's next token is chosen from the logits of
// its last token in the very way as without guesses: by its options, its grammar, its random
// number. If it is the first guess, the logits behind that are those of the next step, and so on.
// So nothing shows but the time: no answer's distribution changes, and where the logits of a token
// have the same bits beside others (Engine), neither does a single token.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "runner/engine/draft/drafter.h"
#include "runner/engine/scheduler.h"

namespace retort {

class Speculation {
 public:
  // Guesses fill up a step to so many tokens. Products of fewer wait for the weights, so that more
  // tokens take little more time; beyond, each takes its own, and products in f32 and bf16 may add
  // in another order.
  static constexpr int64_t kFullStep = 16;

  // tokens: at most, for a stream in a step.
  Speculation(std::unique_ptr<Drafter> drafter, int64_t tokens)
      : drafter_(std::move(drafter)), tokens_(tokens) {}

  // Gives guesses to the streams among the planned ones that will have read all they have said, and
  // takes free pages of the cache for them.
  void Plan(std::span<const Scheduler::Piece> pieces, KvCache& cache);
  void Forget(const Stream& stream) { drafter_->Forget(stream.id()); }
  int64_t cache_bytes() const { return drafter_->cache_bytes(); }

 private:
  // Of which streams guesses are asked, and how many.
  void Ask(std::span<const Scheduler::Piece> pieces);
  // False if the drafter fails: then there are no guesses for any of these streams, ever.
  bool Propose();

  std::unique_ptr<Drafter> drafter_;
  const int64_t tokens_;
  // Of the current step.
  std::vector<DraftRequest> requests_;
  std::vector<Stream*> streams_;  // whose these are
};

}  // namespace retort
