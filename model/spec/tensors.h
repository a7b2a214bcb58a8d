// SPDX-License-Identifier: Apache-2.0
// The tensors that a model of a configuration consists of, by their Hugging Face and GGUF names.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/spec/config.h"

namespace retort {

// The seven linear layers of a block, in the order in which the paper and the files have them.
enum class Slot : uint8_t { kQ, kK, kV, kO, kGate, kUp, kDown };
inline constexpr int kSlots = 7;
inline constexpr Slot kAllSlots[kSlots] = {Slot::kQ,    Slot::kK,  Slot::kV,   Slot::kO,
                                           Slot::kGate, Slot::kUp, Slot::kDown};

struct TensorSpec {
  enum class Role : uint8_t {
    kEmbedding,
    kHead,
    kLinear,
    kBias,
    kAttentionNorm,
    kFfnNorm,
    kQNorm,
    kKNorm,
    kFinalNorm
  };
  std::string name;       // "model.layers.0.self_attn.q_proj.weight"
  std::string gguf_name;  // "blk.0.attn_q.weight"
  std::vector<int64_t> shape;
  Role role;
  int64_t layer = -1;    // of a block's tensor
  Slot slot = Slot::kQ;  // of a linear layer's weight or bias
  // Heads whose rows GGUF's llama architecture interleaves (its rotary pairs are neighbours, Hugging
  // Face's are half a head apart); 0: same order in both. Holds for q and k, weights and biases.
  int64_t interleaved_heads = 0;
};

// Every tensor of the model, in a fixed order. A tied head is not in the list.
std::vector<TensorSpec> ModelTensors(const ModelConfig& config);

// "model.layers.3.self_attn.q_proj", the module's name in Hugging Face and PEFT.
std::string ModuleName(int64_t layer, Slot slot);

// [out, in] of a slot.
struct SlotShape {
  int64_t rows, cols;
};
SlotShape ShapeOf(const ModelConfig& config, Slot slot);

// Where row `gguf_row` of a tensor in GGUF's interleaved order stands in Hugging Face's.
// rows = heads * head_dim.
int64_t HuggingFaceRow(int64_t gguf_row, int64_t rows, int64_t heads);

// GGUF's general.architecture for a family: llama for llama and mistral.
std::string GgufArchitecture(const ModelConfig& config);

}  // namespace retort
