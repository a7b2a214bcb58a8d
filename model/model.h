// SPDX-License-Identifier: Apache-2.0
// The decoder, written once: training, evaluation, generation and serving run the same blocks.
#pragma once

#include <memory>
#include <variant>
#include <vector>

#include "model/block.h"

namespace retort {

class Model {
 public:
  Model(Architecture architecture, Backend& kernels);

  // The last block's output after the final norm: [T,C].
  Var Hidden(Context& context, const ForwardPass& pass) const;
  // Losses of the tokens rows[i] of a hidden state (ops::HeadLoss).
  std::vector<double> Losses(Context& context, const Var& hidden, std::vector<int32_t> rows,
                             const ops::LogitsLoss& loss) const;
  // Logits [N,V] of chosen tokens, whole: for generation, not for training.
  Tensor Logits(Context& context, const Var& hidden, const std::vector<int32_t>& rows) const;
  // Logits [N,V] of N hidden states.
  Tensor LogitsOf(Context& context, const Tensor& hidden) const;
  // Embeddings [T,C] of a batch's tokens, as the first block reads them.
  Var Embed(Context& context, const std::vector<int32_t>& ids) const;

  // What a tensor of a file becomes: a frozen matrix, or values that may be trained.
  using Value = std::variant<Weight, Var>;
  // Puts it where it belongs; a tied head shares the embedding's.
  void Set(const Target& target, Value value);
  Value Get(const Target& target) const;

  // What each block keeps of a token in a cache.
  std::vector<std::vector<CachePlane>> planes() const;
  int64_t weight_bytes() const;  // of all frozen weights; a tied head counts once

  const Linear& linear(LinearId id) const { return linears[static_cast<size_t>(id)]; }

  Architecture config;
  Backend& backend;
  Layout layout;
  std::vector<Linear> linears;  // by LinearId
  std::vector<Var> gains;       // by GainId
  std::vector<std::unique_ptr<Parameter>> parameters;  // what is trained; empty when frozen

 private:
  ops::HeadTransform head_transform() const;

  std::vector<Block> blocks_;
  std::vector<std::vector<double>> frequencies_;  // by rope
};

}  // namespace retort
