// SPDX-License-Identifier: Apache-2.0
// Writes a model folder with random weights, to train from scratch or as a stand-in of full size.
#pragma once

#include <string>
#include <vector>

#include "model/spec/architecture.h"
#include "tensor/dtype.h"

namespace retort {

// A named shape (smollm2-135m, llama3.2-1b, llama3.1-8b, llama3.1-70b, qwen3-0.6b, -1.7b, -4b, -8b)
// or "L,D,H,KV,F,V": layers, width, heads, key/value heads, feed-forward width, vocabulary, with an
// untied head.
// Throws Error{kInput} listing the names.
DenseConfig ShapeNamed(const std::string& shape);
// The named shapes that begin with `prefix`, smallest first within a family.
std::vector<std::string> ShapeNames(const std::string& prefix);

struct InitOptions {
  DenseConfig config;
  WeightFormat weights = WeightFormat::kF32;  // f32 or bf16, for matrices and norms
  uint64_t seed = 1;
  Path tokenizer;  // a folder whose tokenizer files are copied; empty: a byte tokenizer is written
};

// Writes config.json, model.safetensors and the tokenizer. Weights are normal with deviation 0.02
// (the projections back into the residual stream 0.02 / sqrt(2 L), as in GPT-2), norms 1, biases 0.
// Writes one row at a time, so that memory does not grow with the model. Throws Error{kInput} when
// the tokenizer has more ids than the shape's vocabulary.
void WriteInitialModel(const Path& out, const InitOptions& options);

}  // namespace retort
