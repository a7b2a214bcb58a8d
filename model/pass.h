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
#include "model/row_adapters.h"

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

// All references are borrowed; the adapters, cache and observer must outlive the tape's Run().
struct ForwardPass {
  const Batch& batch;
  RowAdapters adapters = {};         // of the batch's tokens; one for all unless only computed
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
};

// The context of a pass over one model, passed to its modules.
struct PassContext {
  Context& context;
  const ForwardPass& pass;
  RowAdapters adapters;  // of the rows at hand: all of the pass's, or those that an expert has
  const Layout& layout;
  std::span<const Linear> linears;
  std::span<const Var> gains;
  std::span<const ops::RotaryAngles> angles;  // by rope
  NormSpec::Kind norm_kind;

  Backend& backend() const { return context.backend; }
  // The same for rows with these adapters.
  PassContext With(const RowAdapters& others) const {
    PassContext out = *this;
    out.adapters = others;
    return out;
  }
  // The model's own.
  const Linear& linear(LinearId id) const { return linears[static_cast<size_t>(id)]; }

  // What follows is of rows with one adapter, whose own stand before the model's.
  AdapterSite* site(LinearId id) const {
    const Adapter* adapter = adapters.one();
    return adapter ? adapter->at(id) : nullptr;
  }
  // The trained weight; empty if the layer is frozen.
  Var trained(LinearId id) const {
    const Adapter* adapter = adapters.one();
    if (Parameter* own = adapter ? adapter->own_weight(id) : nullptr) return own->var();
    return linear(id).trained() ? linear(id).var() : Var{};
  }
  Var bias(LinearId id) const {
    const Adapter* adapter = adapters.one();
    Parameter* own = adapter ? adapter->own_bias(id) : nullptr;
    return own ? own->var() : linear(id).bias;
  }
  Var gain(GainId id) const {
    const Adapter* adapter = adapters.one();
    Parameter* own = adapter ? adapter->own_gain(id) : nullptr;
    return own ? own->var() : gains[static_cast<size_t>(id)];
  }
};

}  // namespace retort
