// SPDX-License-Identifier: Apache-2.0
// The pre-norm transformer decoder of the Llama family (arXiv 2302.13971): RMS norms, rotary
// positions, grouped attention, SwiGLU. Families differ in data (ModelConfig), not in code.
#include <cmath>

#include "base/error.h"
#include "model/model.h"

namespace retort {

namespace {

// Errors of 8 bits move the logits most in queries and keys, as scores grow with both and softmax with scores (values
// have the same x, and the step's first slot is kQ), and in the first layer, as all others carry them on.
bool IsPrecise(int64_t layer, Slot first) { return first == Slot::kQ || layer == 0; }

}  // namespace

Model::Model(ModelConfig model_config, Backend& kernels)
    : config(std::move(model_config)),
      backend(kernels),
      layers(static_cast<size_t>(config.layers)),
      attention_{static_cast<int>(config.heads), static_cast<int>(config.kv_heads),
                 static_cast<int>(config.head_dim),
                 static_cast<float>(1 / std::sqrt(static_cast<double>(config.head_dim))), /*soft_cap=*/0,
                 static_cast<int>(config.window)},
      frequencies_(RotaryFrequencies(config)) {}

Var Model::Hidden(Context& context, const ForwardPass& pass) const {
  const Batch& batch = pass.batch;
  ops::RotaryAngles angles{backend.New({batch.tokens(), config.head_dim / 2}),
                           backend.New({batch.tokens(), config.head_dim / 2})};
  backend.RotaryTable(batch.positions, frequencies_, 1.0, angles.cos, angles.sin);

  Var x = embedding.trained.value ? ops::Embedding(context, embedding.trained, batch.ids)
                                  : ops::Embedding(context, embedding.frozen, batch.ids);
  for (int64_t i = 0; i < config.layers; ++i) {
    const auto block = [this, &pass, angles, i](Context& c, const Var& in) {
      return Block(c, pass, angles, i, in);
    };
    x = pass.checkpoint ? ops::Checkpoint(context, x, block) : block(context, x);
    if (pass.observer && pass.observer->block_output) pass.observer->block_output(i, x);
  }
  return ops::RmsNorm(context, x, final_norm, static_cast<float>(config.norm_epsilon));
}

Var Model::Block(Context& context, const ForwardPass& pass, const ops::RotaryAngles& angles,
                 int64_t index, const Var& x) const {
  const Layer& layer = layers[static_cast<size_t>(index)];
  const auto epsilon = static_cast<float>(config.norm_epsilon);

  const Var normed = ops::RmsNorm(context, x, layer.attention_norm, epsilon);
  auto [q, k, v] = Project(context, pass, index, std::array{Slot::kQ, Slot::kK, Slot::kV}, normed);
  if (config.qk_norm) {
    q = ops::RmsNorm(context, q, layer.q_norm, epsilon);
    k = ops::RmsNorm(context, k, layer.k_norm, epsilon);
  }
  q = ops::Rotary(context, q, angles, attention_.heads);
  k = ops::Rotary(context, k, angles, attention_.kv_heads);
  if (pass.cache) {
    const auto at = static_cast<size_t>(index);
    Tensor keys = pass.cache->keys[at], values = pass.cache->values[at];
    backend.StoreRows(k.value, pass.cache->rows, keys);
    backend.StoreRows(v.value, pass.cache->rows, values);
    k = {keys}, v = {values};
  }
  const Var mixed = ops::Attention(context, attention_, pass.batch.layout, q, k, v);
  const auto [back] = Project(context, pass, index, std::array{Slot::kO}, mixed);
  const Var middle = ops::Add(context, x, back);

  const Var inner = ops::RmsNorm(context, middle, layer.ffn_norm, epsilon);
  return ops::Add(context, middle, FeedForward(context, pass, index, inner));
}

Var Model::FeedForward(Context& context, const ForwardPass& pass, int64_t index, const Var& x) const {
  const Layer& layer = layers[static_cast<size_t>(index)];
  const bool watched = pass.observer && pass.observer->ffn_active;
  const auto bare = [&](Slot slot) {
    return !layer[slot].trained.value && !layer[slot].bias.value && !(pass.adapter && pass.adapter->at(index, slot));
  };
  if (!context.tape && !watched && bare(Slot::kGate) && bare(Slot::kUp) && bare(Slot::kDown)) {
    Tensor y = backend.New(x.shape());
    backend.FeedForward(Activation::kSilu, x.value, layer[Slot::kGate].frozen, layer[Slot::kUp].frozen,
                        layer[Slot::kDown].frozen, IsPrecise(index, Slot::kGate), y);
    return {y};
  }
  const auto [gate, up] = Project(context, pass, index, std::array{Slot::kGate, Slot::kUp}, x);
  const Var active = ops::GatedActivation(context, Activation::kSilu, gate, up);
  if (watched) pass.observer->ffn_active(index, active.value);
  const auto [down] = Project(context, pass, index, std::array{Slot::kDown}, active);
  return down;
}

template <size_t N>
std::array<Var, N> Model::Project(Context& context, const ForwardPass& pass, int64_t index,
                                  const std::array<Slot, N>& slots, const Var& x) const {
  const Layer& layer = layers[static_cast<size_t>(index)];
  std::array<Var, N> y;
  if (layer[slots[0]].trained.value) {  // then all of them are
    for (size_t i = 0; i < N; ++i) {
      const Projection& p = layer[slots[i]];
      y[i] = ops::Linear(context, x, p.trained, p.bias);
    }
    return y;
  }
  std::array<std::optional<ops::LowRank>, N> adapters;
  std::array<ops::FrozenLayer, N> frozen;
  for (size_t i = 0; i < N; ++i) {
    adapters[i] = LowRankOf(pass, index, slots[i]);
    const Projection& p = layer[slots[i]];
    frozen[i] = {&p.frozen, p.bias, adapters[i] ? &*adapters[i] : nullptr, IsPrecise(index, slots[0])};
  }
  ops::Linears(context, x, frozen, y);
  return y;
}

std::optional<ops::LowRank> Model::LowRankOf(const ForwardPass& pass, int64_t index,
                                             Slot slot) const {
  Adapter::Pair* pair = pass.adapter ? pass.adapter->at(index, slot) : nullptr;
  if (!pair) return std::nullopt;
  ops::LowRank low_rank{pair->a.var(), pair->b.var(), pair->scale, {}};
  if (pass.dropout_seed != 0) {
    const auto place = static_cast<uint64_t>(index * kSlots + static_cast<int64_t>(slot));
    const PhiloxKey key = MakeKey(pass.dropout_seed, RandomUse::kDropout, place);
    low_rank.mask = {static_cast<float>(pass.adapter->config().dropout),
                     uint64_t{key[0]} << 32 | key[1], pass.batch.row_index, pass.batch.row_token};
  }
  return low_rank;
}

std::vector<double> Model::Losses(Context& context, const Var& hidden, std::vector<int32_t> rows,
                                  const ops::LogitsLoss& loss) const {
  return head.trained.value ? ops::HeadLoss(context, hidden, std::move(rows), head.trained, loss)
                            : ops::HeadLoss(context, hidden, std::move(rows), head.frozen, loss);
}

Tensor Model::Logits(Context& context, const Var& hidden, const std::vector<int32_t>& rows) const {
  const auto count = static_cast<int64_t>(rows.size());
  Tensor chosen = backend.New({count, config.width});
  backend.GatherRows(hidden.value, rows, chosen);
  return LogitsOf(context, chosen);
}

Tensor Model::LogitsOf(Context& context, const Tensor& hidden) const {
  if (head.trained.value) return ops::Linear(context, {hidden}, head.trained).value;
  const ops::FrozenLayer layer{&head.frozen, {}, nullptr, /*precise=*/true};
  Var logits;
  ops::Linears(context, {hidden}, {&layer, 1}, {&logits, 1});
  return logits.value;
}

int64_t Model::weight_bytes() const {
  int64_t sum = embedding.frozen.total_bytes() + (config.tied ? 0 : head.frozen.total_bytes());
  for (const Layer& layer : layers) {
    for (const Projection& p : layer.projections) sum += p.frozen.total_bytes();
  }
  return sum;
}

}  // namespace retort
