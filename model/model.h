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
  // Losses f64 [N] of the tokens rows[i], i32 [N], of a hidden state (ops::HeadLoss).
  Tensor Losses(Context& context, const Var& hidden, const Tensor& rows,
                const ops::LogitsLoss& loss) const;
  // Logits [N,V] of chosen tokens, whole: for generation, not for training.
  Tensor Logits(Context& context, const Var& hidden, const std::vector<int32_t>& rows) const;
  // Logits [N,V] of N hidden states.
  Tensor LogitsOf(Context& context, const Tensor& hidden) const;
  // Embeddings [T,C] of a batch's tokens, i32 [T], as the first block reads them.
  Var Embed(Context& context, const Tensor& ids) const;

  // Puts a tensor of a file where it belongs: a frozen matrix, which the backend prepares for what
  // its layer does and for `use`, or values that may be trained. A tied head is made of the
  // embedding's too.
  void Set(const Target& target, const Weight& weight, const WeightUse& use = {});
  // What it has become, which may be put into another model of the same backend: there a frozen
  // tied head stays as it is.
  using Value = std::variant<PreparedWeight, Var>;
  void Set(const Target& target, Value value);
  Value Get(const Target& target) const;

  // What each block keeps of a token in a cache.
  std::vector<std::vector<CachePlane>> planes() const;
  // What the blocks' linear layers are computed in, for reports: the first of them, f32 where they
  // are trained.
  Compute compute() const;
  int64_t weight_bytes() const;  // of all frozen weights; a tied head counts once

  const Linear& linear(LinearId id) const { return linears[static_cast<size_t>(id)]; }

  Architecture config;
  Backend& backend;
  Layout layout;
  std::vector<Linear> linears;                         // by LinearId
  std::vector<Var> gains;                              // by GainId
  std::vector<std::unique_ptr<Parameter>> parameters;  // what is trained; empty when frozen

 private:
  ops::HeadTransform head_transform() const;

  std::vector<Block> blocks_;
  std::vector<Tensor> frequencies_;  // by rope: f64
};

}  // namespace retort
