// SPDX-License-Identifier: Apache-2.0
#include "tests/runner/engine/scripted_model.h"

#include "tests/support/random_model.h"

namespace retort {
namespace {

Weight ScriptMatrix(int64_t rows, int64_t cols,
                    const std::vector<std::pair<int64_t, int64_t>>& ones) {
  const auto values = std::make_shared<std::vector<float>>(static_cast<size_t>(rows * cols));
  for (const auto& [row, col] : ones) (*values)[static_cast<size_t>(row * cols + col)] = 1;
  return Weight(WeightFormat::kF32, rows, cols, std::as_bytes(std::span(*values)), values);
}

}  // namespace

std::unique_ptr<Model> ScriptedModel(const ScriptTokenizer& tokenizer, int32_t begin, int32_t end,
                                     Backend& backend) {
  const int64_t vocab = tokenizer.vocab_size();
  DenseConfig config = SmallConfig(vocab);
  config.layers = 1;
  config.width = vocab;  // a token's embedding is its own unit vector, which nothing adds to
  config.max_positions = 8192;
  std::vector<std::pair<int64_t, int64_t>> same, next;
  for (int64_t id = 0; id < vocab; ++id) {
    same.emplace_back(id, id);
    if (id != begin) next.emplace_back(id + 1 == vocab ? end : id + 1, id);
  }
  next.emplace_back(tokenizer.first(), begin);
  auto model = std::make_unique<Model>(config, backend);
  for (const TensorSpec& spec : model->layout.tensors) {
    if (!spec.is_matrix()) {
      const std::vector<float> ones(static_cast<size_t>(spec.elements()), 1.0f);
      model->Set(spec.target, Var{backend.FromFloats(ones, {spec.elements()})});
      continue;
    }
    const LinearUse use = model->layout.linears[static_cast<size_t>(spec.target.id)].use;
    model->Set(spec.target, ScriptMatrix(spec.shape[0], spec.shape[1],
                                         use == LinearUse::kEmbedding ? same
                                         : use == LinearUse::kHead    ? next
                                                                      : decltype(same)()));
  }
  return model;
}

}  // namespace retort
