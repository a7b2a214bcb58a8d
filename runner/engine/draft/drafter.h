// SPDX-License-Identifier: Apache-2.0
// Guesses at the next tokens of a stream, for speculative decoding (Leviathan, Kalman and Matias,
// "Fast inference from transformers via speculative decoding", 2023): the model reads several
// guessed tokens in one pass, where it would have read one, and keeps what it would have said.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "model/model.h"
#include "runner/engine/sampling/options.h"

namespace retort {

// How an engine guesses. At most one of `ngram` and `model`.
struct DraftOptions {
  int64_t tokens = 8;  // at most so many guesses for a stream in a step
  bool ngram = false;  // by what followed the last tokens before (NgramDrafter)
  // By a smaller model whose tokenizer agrees with the engine's (ModelDrafter). It and the adapter
  // outlive the engine; nothing else may use its backend in that time but the engine's model.
  const Model* model = nullptr;
  const Adapter* adapter = nullptr;

  bool any() const { return ngram || model; }
};

// What a stream asks of a drafter, and the answer.
struct DraftRequest {
  uint64_t stream = 0;
  std::span<const int32_t> tokens;            // of the prompt and the answer so far
  int64_t prompt_tokens = 0;                  // of these
  int64_t limit = 0;                          // the most tokens that the stream can have
  const SamplingOptions* sampling = nullptr;  // how the stream's tokens are drawn
  int64_t most = 0;                           // guesses that are wanted, at least 1
  std::vector<int32_t> ids = {};              // the guesses; fewer, or none, where there are none
};

// Whatever it guesses, of ids that the engine's model has, the answers are the same; and if it
// throws, too. Not thread-safe.
class Drafter {
 public:
  virtual ~Drafter() = default;

  virtual void Propose(std::span<DraftRequest> requests) = 0;
  // The stream has ended, or waits to be read again: what is kept of it goes.
  virtual void Forget(uint64_t /*stream*/) {}
  virtual int64_t cache_bytes() const { return 0; }
};

}  // namespace retort
