// SPDX-License-Identifier: Apache-2.0
// The decoder. Training, evaluation, generation and serving all run the same blocks.
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
  // Parts of Hidden: the output [T,C] of one block for its input, which is Embed's or the output of
  // the block before it; and Hidden's own output for the input of block `layer`, or for the output
  // of the last one.
  Var RunBlock(Context& context, const ForwardPass& pass, int64_t layer, const Var& x) const;
  Var HiddenFrom(Context& context, const ForwardPass& pass, int64_t layer, const Var& x) const;
  // In the following, the adapters are those of the pass that made the hidden states, of all its
  // rows or of those that are given. They must outlive the tape's Run().
  //
  // The losses, f64 [N], at rows[i] (i32 [N]) of hidden (ops::HeadLoss).
  Tensor Losses(Context& context, const Adapter* adapter, const Var& hidden, const Tensor& rows,
                const ops::LogitsLoss& loss) const;
  // The full logits [N,V] of the selected tokens: for generation, not for training.
  // For rows of several adapters, they ascend.
  Tensor Logits(Context& context, const RowAdapters& adapters, const Var& hidden,
                const std::vector<int32_t>& rows) const;
  // Logits [N,V] of N hidden states.
  Tensor LogitsOf(Context& context, const RowAdapters& adapters, const Tensor& hidden) const;
  // Embeddings [T,C] of a batch's tokens, as input of the first block. `ids`: the batch's, on the
  // device.
  Var Embed(Context& context, const RowAdapters& adapters, const Batch& batch,
            const Tensor& ids) const;

  // Sets a frozen matrix, which the backend prepares for its layer's role and for `use`. Setting
  // the embedding also prepares a tied head.
  void Set(const Target& target, const Weight& weight, const WeightUse& use = {});
  // A value that is already prepared or a Var that may be trained, possibly from Get() of another
  // model with the same backend. Setting a trained embedding also sets a tied head; a frozen one
  // does not.
  using Value = std::variant<PreparedWeight, Var>;
  void Set(const Target& target, Value value);
  Value Get(const Target& target) const;

  // What each block stores per token in a cache.
  std::vector<std::vector<CachePlane>> planes() const;
  // The type that the blocks' linear layers are computed in (that of the first one), for reports;
  // f32 if they are trained.
  Compute compute() const;
  int64_t weight_bytes() const;  // of all frozen weights; a tied head counts once

  const Linear& linear(LinearId id) const { return linears[static_cast<size_t>(id)]; }

  Architecture config;
  Backend& backend;
  Layout layout;
  std::vector<Linear> linears;                         // by LinearId
  std::vector<Var> gains;                              // by GainId
  std::vector<std::unique_ptr<Parameter>> parameters;  // the trained tensors; empty if frozen
  // Bytes of frozen weights that are used in place in their file: of those that every pass reads,
  // and of an embedding that is no head too, of which it reads some rows.
  int64_t mapped_bytes = 0, mapped_table_bytes = 0;

 private:
  class Prepared;

  ops::HeadTransform head_transform() const;
  // The embeddings with one adapter before the family's factor, and without the rows that it trains
  // by themselves.
  Var TableRows(Context& context, const Adapter* adapter, const Tensor& ids) const;
  // The embeddings with one adapter. `given`: the ids on the host.
  Var EmbedWith(Context& context, const Adapter* adapter, std::span<const int32_t> given,
                const Tensor& ids) const;
  // The head's raw logits [N,V] with the adapters.
  Var HeadOf(Context& context, const ForwardPass& pass, const Var& hidden) const;
  // The logits with the columns of tokens that the adapter trains by themselves, in place.
  Var WithOwnColumns(Context& context, const Adapter* adapter, const Var& hidden,
                     const Var& logits) const;
  PassContext ContextOf(Context& context, const ForwardPass& pass,
                        std::span<const ops::RotaryAngles> angles) const;
  ops::RotaryAngles Angles(size_t rope, const ForwardPass& pass) const;

  std::vector<Block> blocks_;
  std::vector<Tensor> frequencies_;  // by rope: f64; of short sequences, if the length matters
};

}  // namespace retort
