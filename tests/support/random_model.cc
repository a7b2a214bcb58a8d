// SPDX-License-Identifier: Apache-2.0
#include "tests/support/random_model.h"

#include <cmath>

#include "base/random.h"
#include "model/spec/tensors.h"

namespace retort {
namespace {

class Filler {
 public:
  Filler(uint64_t seed, Backend& backend, double spread)
      : random_(MakeKey(seed, RandomUse::kInit)), backend_(backend), spread_(spread) {}

  Weight Matrix(int64_t rows, int64_t cols) {
    const auto values = std::make_shared<std::vector<float>>(static_cast<size_t>(rows * cols));
    const double deviation = spread_ / std::sqrt(static_cast<double>(cols));
    for (float& v : *values) v = static_cast<float>(random_.Normal() * deviation);
    return Weight(WeightFormat::kF32, rows, cols, std::as_bytes(std::span(*values)), values);
  }
  Var Vector(int64_t size, double mean) {
    std::vector<float> values(static_cast<size_t>(size));
    for (float& v : values) v = static_cast<float>(mean + 0.1 * random_.Normal());
    return {backend_.FromFloats(values, {size})};
  }

 private:
  RandomStream random_;
  Backend& backend_;
  double spread_;
};

}  // namespace

ModelConfig SmallConfig(int64_t vocab) {
  ModelConfig c;
  c.family = "llama";
  c.layers = 2;
  c.width = 24;
  c.heads = 4;
  c.kv_heads = 2;
  c.head_dim = 6;
  c.ffn = 40;
  c.vocab = vocab;
  c.max_positions = 256;
  return c;
}

std::unique_ptr<Model> RandomModel(const ModelConfig& config, uint64_t seed, Backend& backend,
                                   double spread) {
  auto model = std::make_unique<Model>(config, backend);
  Filler fill(seed, backend, spread);
  using Role = TensorSpec::Role;
  for (const TensorSpec& spec : ModelTensors(config)) {
    Layer* layer = spec.layer < 0 ? nullptr : &model->layers[static_cast<size_t>(spec.layer)];
    Projection* projection = layer ? &layer->projections[static_cast<size_t>(spec.slot)] : nullptr;
    switch (spec.role) {
      case Role::kEmbedding:
        model->embedding.frozen = fill.Matrix(spec.shape[0], spec.shape[1]);
        break;
      case Role::kHead:
        model->head.frozen = fill.Matrix(spec.shape[0], spec.shape[1]);
        break;
      case Role::kLinear:
        projection->frozen = fill.Matrix(spec.shape[0], spec.shape[1]);
        break;
      case Role::kBias:
        projection->bias = fill.Vector(spec.shape[0], 0);
        break;
      case Role::kFinalNorm:
        model->final_norm = fill.Vector(spec.shape[0], 1);
        break;
      case Role::kAttentionNorm:
        layer->attention_norm = fill.Vector(spec.shape[0], 1);
        break;
      case Role::kFfnNorm:
        layer->ffn_norm = fill.Vector(spec.shape[0], 1);
        break;
      case Role::kQNorm:
        layer->q_norm = fill.Vector(spec.shape[0], 1);
        break;
      case Role::kKNorm:
        layer->k_norm = fill.Vector(spec.shape[0], 1);
        break;
    }
  }
  if (config.tied) model->head = model->embedding;
  return model;
}

}  // namespace retort
