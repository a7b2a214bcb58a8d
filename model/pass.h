// SPDX-License-Identifier: Apache-2.0
// One forward pass: its inputs, and the context passed to the modules.
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

// A linear layer's weights: frozen and prepared by the backend, or trained.
struct Linear {
  std::variant<PreparedWeight, Var> weight;
  Var bias;  // [rows], or empty

  bool trained() const { return std::holds_alternative<Var>(weight); }
  const PreparedWeight& frozen() const { return std::get<PreparedWeight>(weight); }
  const Var& var() const { return std::get<Var>(weight); }
};

// Callbacks during a forward pass; empty functions are not called. They may retain their arguments,
// and a Var with a gradient may be used for an additional loss.
struct Observer {
  // The residual stream [T,C] after block `layer`; called once per pass, checkpointed or not.
  std::function<void(int64_t layer, const Var& x)> block_output;
  // The input [T,in] of a block's linear layer; for an expert, only the tokens routed to it. Called
  // again when a checkpointed block is recomputed.
  std::function<void(LinearId id, const Tensor& x)> linear_input;
};

// All references are borrowed; the adapter, cache and observer must outlive the tape's Run().
struct ForwardPass {
  const Batch& batch;
  const Adapter* adapter = nullptr;
  const CacheView* cache = nullptr;  // null: attention within the batch (training)
  bool checkpoint = false;           // recompute each block in the backward pass
  uint64_t dropout_seed = 0;         // of this step; 0: no dropout
  // NEFTune (arXiv 2310.05914): uniform noise of +- noise / sqrt(L C) on the embeddings of a row of
  // L tokens; 0: none.
  double noise = 0;
  uint64_t noise_seed = 0;  // of this step
  const Observer* observer = nullptr;
  DeviceBatch on_device = {};  // filled by Model::Hidden

  bool observes_linears() const { return observer && observer->linear_input; }
  AdapterSite* site(LinearId id) const { return adapter ? adapter->at(id) : nullptr; }
  Parameter* own_weight(LinearId id) const { return adapter ? adapter->own_weight(id) : nullptr; }
  Parameter* own_bias(LinearId id) const { return adapter ? adapter->own_bias(id) : nullptr; }
  Parameter* own_gain(GainId id) const { return adapter ? adapter->own_gain(id) : nullptr; }
};

// The context of a pass over one model, passed to its modules.
struct PassContext {
  Context& context;
  const ForwardPass& pass;
  const Layout& layout;
  std::span<const Linear> linears;
  std::span<const Var> gains;
  std::span<const ops::RotaryAngles> angles;  // by rope
  NormSpec::Kind norm_kind;

  Backend& backend() const { return context.backend; }
  // The model's; the adapter's own stand before it (weight, bias, gain).
  const Linear& linear(LinearId id) const { return linears[static_cast<size_t>(id)]; }
  // The trained weight; empty if the layer is frozen.
  Var trained(LinearId id) const {
    if (Parameter* own = pass.own_weight(id)) return own->var();
    return linear(id).trained() ? linear(id).var() : Var{};
  }
  Var bias(LinearId id) const {
    Parameter* own = pass.own_bias(id);
    return own ? own->var() : linear(id).bias;
  }
  Var gain(GainId id) const {
    Parameter* own = pass.own_gain(id);
    return own ? own->var() : gains[static_cast<size_t>(id)];
  }
};

}  // namespace retort
