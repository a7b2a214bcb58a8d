// SPDX-License-Identifier: Apache-2.0
#include "bench/work.h"

#include <algorithm>

#include "model/spec/tensors.h"

namespace retort {

int64_t BlockParameters(const ModelConfig& config) {
  int64_t sum = 0;
  for (const Slot slot : kAllSlots) {
    const SlotShape shape = ShapeOf(config, slot);
    sum += shape.rows * shape.cols;
  }
  return sum * config.layers;
}

int64_t MatrixParameters(const ModelConfig& config) {
  return BlockParameters(config) + config.vocab * config.width;
}

double DecodeBytes(const Model& model, DType cache_type, int64_t sequences, double context) {
  const ModelConfig& c = model.config;
  // An untied embedding gives a row a token, which is nothing beside the rest.
  const int64_t embedding = c.tied ? 0 : model.embedding.frozen.total_bytes();
  const int64_t token_bytes = 2 * c.kv_width() * c.layers * SizeOf(cache_type);
  const double seen = c.window > 0 ? std::min(context, static_cast<double>(c.window)) : context;
  return static_cast<double>(model.weight_bytes() - embedding) +
         static_cast<double>(sequences * token_bytes) * seen;
}

}  // namespace retort
