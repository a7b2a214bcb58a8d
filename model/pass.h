// SPDX-License-Identifier: Apache-2.0
// One forward pass: what it is given, and how the modules see it.
#pragma once

#include <functional>
#include <span>
#include <variant>
#include <vector>

#include "autograd/ops.h"
#include "model/adapter.h"
#include "model/batch.h"
#include "model/layout.h"

namespace retort {

// A linear layer's weights: frozen, as the backend has prepared them, or trained.
struct Linear {
  std::variant<PreparedWeight, Var> weight;
  Var bias;  // [rows], or empty

  bool trained() const { return std::holds_alternative<Var>(weight); }
  const PreparedWeight& frozen() const { return std::get<PreparedWeight>(weight); }
  const Var& var() const { return std::get<Var>(weight); }
};

// What looks on while a forward pass runs. An empty function is not called; what a function is
// given may be kept, and a Var with a gradient may carry a further loss.
struct Observer {
  // The residual stream [T,C] after block `layer`, once a pass, checkpointed or not.
  std::function<void(int64_t layer, const Var& x)> block_output;
  // The input [T,in] of a block's linear layer, of an expert's only the tokens that take it; again
  // whenever a checkpointed block is recomputed.
  std::function<void(LinearId id, const Tensor& x)> linear_input;
};

// Everything is borrowed; the adapter, cache and observer must outlive the tape's Run().
struct ForwardPass {
  const Batch& batch;
  const Adapter* adapter = nullptr;
  const CacheView* cache = nullptr;  // null: attention within the batch (training)
  bool checkpoint = false;           // recompute each block in the backward pass
  uint64_t dropout_seed = 0;         // of this step; 0: nothing is dropped
  const Observer* observer = nullptr;
  DeviceBatch on_device = {};  // filled by Model::Hidden

  bool observes_linears() const { return observer && observer->linear_input; }
  AdapterSite* site(LinearId id) const { return adapter ? adapter->at(id) : nullptr; }
};

// A pass over one model, as its modules see it.
struct PassContext {
  Context& context;
  const ForwardPass& pass;
  const Layout& layout;
  std::span<const Linear> linears;
  std::span<const Var> gains;
  std::span<const ops::RotaryAngles> angles;  // by rope
  float norm_epsilon;

  Backend& backend() const { return context.backend; }
  const Linear& linear(LinearId id) const { return linears[static_cast<size_t>(id)]; }
  const Var& gain(GainId id) const { return gains[static_cast<size_t>(id)]; }
};

}  // namespace retort
