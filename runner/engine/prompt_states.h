// SPDX-License-Identifier: Apache-2.0
// What streams want of the prompts that a step reads, beside their next tokens: log-probabilities
// of the prompts' own tokens, and embeddings.
#pragma once

#include <cstdint>
#include <vector>

#include "model/model.h"
#include "runner/engine/stream.h"

namespace retort {

// Of the current step. Its buffers are kept between steps.
class PromptStates {
 public:
  void Clear();
  // The stream reads `count` tokens from position `first` on, which begin at `row` of the batch.
  void Add(Stream& stream, int64_t first, int64_t count, int64_t row);
  // Gives the streams what they want of the batch's hidden states. adapters: of its rows.
  void Give(const Model& model, Context& context, const RowAdapters& adapters, const Var& hidden);

 private:
  struct Wanted {
    Stream* stream;
    int64_t position;
    int32_t row;
  };
  std::vector<Wanted> scored_, pooled_;
  std::vector<float> logits_;
};

}  // namespace retort
