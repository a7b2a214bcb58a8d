// SPDX-License-Identifier: Apache-2.0
// What a model is: families as data. Nothing above asks for a family's name; it asks for its traits.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"

namespace retort {

// How rotary frequencies are stretched for long texts. Llama 3's rule: wavelengths below
// original / high_freq_factor stay, above original / low_freq_factor are divided by factor, between
// them the two are blended.
struct RotaryScaling {
  enum class Kind { kNone, kLinear, kLlama3, kFactors };
  Kind kind = Kind::kNone;
  double factor = 1, low_freq_factor = 1, high_freq_factor = 4;
  int64_t original_max_positions = 8192;
  std::vector<float>
      factors;  // kFactors: what each of the D/2 frequencies is divided by (a GGUF's rope_freqs)
};

struct ModelConfig {
  std::string family;  // Hugging Face's model_type: llama, mistral, qwen2, qwen3
  int64_t layers = 0, width = 0, heads = 0, kv_heads = 0, head_dim = 0, ffn = 0, vocab = 0;
  int64_t max_positions = 2048;
  int64_t window = 0;  // sliding attention; 0: none
  double norm_epsilon = 1e-6;
  double rotary_base = 10000;
  RotaryScaling rotary;
  bool qkv_bias = false, o_bias = false, mlp_bias = false;
  bool qk_norm = false;  // RMS norms on each head of q and k
  bool tied = false;     // the head is the embedding
  int32_t bos = -1;
  std::vector<int32_t> ends;  // every id that ends a generation

  int64_t attention_width() const { return heads * head_dim; }
  int64_t kv_width() const { return kv_heads * head_dim; }
};

// From a Hugging Face folder's config.json and, where present, generation_config.json. Throws
// Error{kInput} naming the file and key for what is missing, out of range or not supported.
ModelConfig ReadConfig(const Path& folder);

// config.json's object for a model that Retort makes itself.
Json ConfigJson(const ModelConfig& config, const std::string& torch_dtype);

// Checks that the sizes fit each other; `where` begins the error.
void ValidateConfig(const ModelConfig& config, const std::string& where);

// Rotary frequencies of the D/2 pairs, scaling applied: base^(-2i/D).
std::vector<double> RotaryFrequencies(const ModelConfig& config);
// What llama3's scaling divides each frequency by: GGUF's rope_freqs.weight. All 1 without it.
std::vector<float> RotaryFactors(const ModelConfig& config);

}  // namespace retort
