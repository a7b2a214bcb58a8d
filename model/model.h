// SPDX-License-Identifier: Apache-2.0
// The decoder, written once: training, evaluation, generation and serving run the same block.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "autograd/ops.h"
#include "model/batch.h"
#include "model/lora.h"
#include "model/spec/config.h"

namespace retort {

// One linear layer of a block: frozen in whatever format it is stored, or trained itself.
struct Projection {
  Weight frozen;
  Var trained;  // a value when the layer is trained; then `frozen` is empty
  Var bias;     // [out], or empty
};

struct Layer {
  Var attention_norm, ffn_norm;  // [C]
  Var q_norm, k_norm;            // [D], or empty
  std::array<Projection, kSlots> projections;

  const Projection& operator[](Slot slot) const { return projections[static_cast<size_t>(slot)]; }
};

// A table of V rows of C: the embedding or the head.
struct TokenTable {
  Weight frozen;
  Var trained;
};

// What looks on while a forward pass runs. An empty function is not called; what a function is
// given may be kept, and a Var with a gradient may carry a further loss.
struct PassObserver {
  // The residual stream [T,C] after block `layer`, once a pass, checkpointed or not.
  std::function<void(int64_t layer, const Var& x)> block_output;
  // silu(gate) * up of block `layer`, [T,F]; again whenever a checkpointed block is recomputed.
  std::function<void(int64_t layer, const Tensor& active)> ffn_active;
};

// What one forward pass is given. Everything is borrowed and must outlive the tape's Run().
struct ForwardPass {
  const Batch& batch;
  const Adapter* adapter = nullptr;
  const CacheView* cache = nullptr;  // null: attention within the batch (training)
  bool checkpoint = false;           // recompute each block in the backward pass
  uint64_t dropout_seed = 0;         // of this step; 0: nothing is dropped
  const PassObserver* observer = nullptr;
};

class Model {
 public:
  Model(ModelConfig model_config, Backend& kernels);

  // The last block's output after the final norm: [T,C].
  Var Hidden(Context& context, const ForwardPass& pass) const;
  // Losses of the tokens rows[i] of a hidden state (ops::HeadLoss).
  std::vector<double> Losses(Context& context, const Var& hidden, std::vector<int32_t> rows,
                             const ops::LogitsLoss& loss) const;
  // Logits [N,V] of chosen tokens, whole: for generation, not for training.
  Tensor Logits(Context& context, const Var& hidden, const std::vector<int32_t>& rows) const;
  // Logits [N,V] of N hidden states.
  Tensor LogitsOf(Context& context, const Tensor& hidden) const;

  ModelConfig config;
  Backend& backend;
  TokenTable embedding, head;  // a tied head holds the embedding's own
  Var final_norm;
  std::vector<Layer> layers;
  std::vector<std::unique_ptr<Parameter>> parameters;  // what is trained; empty when frozen

  int64_t weight_bytes() const;  // of all frozen weights

 private:
  Var Block(Context& context, const ForwardPass& pass, const ops::RotaryAngles& angles,
            int64_t index, const Var& x) const;
  // Of the block's second half: (silu(x gate^T) * (x up^T)) down^T.
  Var FeedForward(Context& context, const ForwardPass& pass, int64_t index, const Var& x) const;
  // The projections of x by slots that share it, all frozen or all trained.
  template <size_t N>
  std::array<Var, N> Project(Context& context, const ForwardPass& pass, int64_t index,
                             const std::array<Slot, N>& slots, const Var& x) const;
  std::optional<ops::LowRank> LowRankOf(const ForwardPass& pass, int64_t index, Slot slot) const;

  AttentionShape attention_;
  std::vector<double> frequencies_;
};

}  // namespace retort
