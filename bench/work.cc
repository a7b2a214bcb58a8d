// SPDX-License-Identifier: Apache-2.0
#include "bench/work.h"

#include <algorithm>

namespace retort {

int64_t BlockParameters(const Architecture& architecture) {
  int64_t sum = 0;
  for (const LinearSpec& linear : LayoutOf(architecture).linears) {
    if (!linear.in_block()) continue;
    const auto& experts = architecture.blocks[static_cast<size_t>(linear.layer)].mlp.experts;
    if (linear.expert < 0 || linear.expert < experts->used) sum += linear.rows * linear.cols;
  }
  return sum;
}

int64_t MatrixParameters(const Architecture& architecture) {
  return BlockParameters(architecture) + architecture.vocab * architecture.width;
}

double DecodeBytes(const Model& model, DType cache_type, int64_t sequences, double context) {
  // Of an untied embedding only one row per token is read, which is negligible.
  const int64_t embedding =
      model.config.head.tied ? 0 : model.linear(model.layout.embedding).frozen().bytes();
  double bytes = static_cast<double>(model.weight_bytes() - embedding);
  for (const BlockSpec& block : model.config.blocks) {
    const AttentionSpec& a = block.attention;
    const double seen = a.window > 0 ? std::min(context, static_cast<double>(a.window)) : context;
    bytes += static_cast<double>(sequences * 2 * a.kv_width() * SizeOf(cache_type)) * seen;
  }
  return bytes;
}

}  // namespace retort
