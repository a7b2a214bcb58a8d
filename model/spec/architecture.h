// SPDX-License-Identifier: Apache-2.0
// The description of a model: plain data, layer by layer. Families (families.h) fill it in, modules
// (model/modules/) compute from it. Code above them checks these traits, never a family's name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tensor/backend.h"

namespace retort {

// How rotary frequencies are scaled for long contexts.
//   linear   every frequency divided by `factor`
//   llama3   frequencies of wavelengths below original / high_freq_factor are unchanged, those
//   above
//            original / low_freq_factor are divided by `factor`, between them the two are blended
//   factors  frequency i divided by factors[i] (a GGUF's rope_freqs, times its linear factor)
//   yarn     (arXiv 2309.00071) pairs that turn more than beta_fast times over the original length
//            are unchanged, those that turn less than beta_slow times are divided by `factor`,
//            between them the two are blended
//   longrope (arXiv 2402.13753) frequency i divided by factors[i], in a sequence of more than the
//            original length by long_factors[i]
//   dynamic  in a sequence of n tokens, more than the original length L, the base is multiplied by
//            (factor n / L - (factor - 1))^(dims / (dims - 2))
struct RopeScaling {
  enum class Kind : uint8_t { kNone, kLinear, kLlama3, kFactors, kYarn, kLongRope, kDynamic };
  Kind kind = Kind::kNone;
  double factor = 1, low_freq_factor = 1, high_freq_factor = 4;
  int64_t original_max_positions = 8192;
  std::vector<float> factors, long_factors;
  double beta_fast = 32, beta_slow = 1;
  bool truncate = true;  // yarn: the blended range begins and ends at whole pairs
  double amplitude = 1;  // of the rotated values: cos and sin are multiplied by it

  // Whether a sequence's length changes its frequencies.
  bool by_length() const { return kind == Kind::kLongRope || kind == Kind::kDynamic; }
  bool operator==(const RopeScaling&) const = default;
};

// Rotary position embedding (arXiv 2104.09864): pair i of the first `dims` values of a head is
// rotated by position * base^(-2i / dims), scaled.
struct RopeSpec {
  double base = 10000;
  int64_t dims = 0;  // even, at most the head's width
  RopeScaling scaling;
  RotaryPairs pairs = RotaryPairs::kHalves;

  bool operator==(const RopeSpec&) const = default;
};

// The frequencies of the dims / 2 pairs, with scaling applied, in a sequence of `length` tokens.
std::vector<double> RopeFrequencies(const RopeSpec& rope, int64_t length = 0);
// The divisors of the frequencies (GGUF's rope_freqs.weight). All 1 without scaling; linear scaling
// is not included.
std::vector<float> RopeFactors(const RopeSpec& rope);

inline constexpr int kNoRope = -1;

// Norms of q and k before the rope.
enum class QkNorm : uint8_t {
  kNone,
  kHeads,     // over each head, one gain for all heads (Qwen3)
  kEachHead,  // over each head, a gain of its own (Command R+)
  kWhole,     // over all heads together (OLMo 2)
};

// Whether q, k and v are one matrix, and the order of its rows.
enum class FusedQkv : uint8_t {
  kNo,
  kJoined,   // those of q, k, v (Phi-3)
  kByGroup,  // for each key head: its query heads, its key, its value (Falcon)
};

// Latent attention (DeepSeek-V2, arXiv 2405.04434): keys and values come out of one narrow row, and
// queries may. The last rope_dim values of a head are rotated; those of the keys are the same for
// all heads.
struct LatentSpec {
  int64_t q_rank = 0;  // 0: queries come from x
  int64_t kv_rank = 0;
  int64_t rope_dim = 0, value_dim = 0;  // of a head, at most its head_dim
  double norm_epsilon = 1e-6;           // of the norms of the narrow rows

  bool operator==(const LatentSpec&) const = default;
};

// Causal attention with grouped heads.
struct AttentionSpec {
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  double scale = 0;     // of the scores
  double soft_cap = 0;  // scores s become soft_cap tanh(s / soft_cap); 0: no cap
  int64_t window = 0;   // keys visible to a query, including its own; 0: all preceding keys
  int rope = 0;         // index into Architecture::ropes; kNoRope: positions are not told
  bool qkv_bias = false, o_bias = false;
  QkNorm qk_norm = QkNorm::kNone;
  FusedQkv fused = FusedQkv::kNo;
  std::optional<LatentSpec> latent;

  int64_t q_width() const { return heads * head_dim; }
  int64_t kv_width() const { return kv_heads * head_dim; }
  bool operator==(const AttentionSpec&) const = default;
};

// A mixture of experts: each token goes through the `used` MLPs with the highest router
// probability.
struct ExpertsSpec {
  int64_t count = 0, used = 0;
  bool renormalise = true;  // the chosen scores are divided by their sum
  // An MLP of this width beside the experts, which sees every token; 0: none. `shared_gate`: its
  // output is multiplied by the sigmoid of a product of x with a row of weights (Qwen2-MoE).
  int64_t shared_width = 0;
  bool shared_gate = false;
  // As in RouteRule. `bias`: the file has a bias for the choice.
  RouteRule::Score score = RouteRule::Score::kSoftmax;
  double scale = 1;
  int64_t groups = 1, used_groups = 1;
  RouteRule::GroupScore group_score = RouteRule::GroupScore::kBest;
  bool bias = false;

  bool operator==(const ExpertsSpec&) const = default;
};

// An MLP: down(activation(gate x) * up x), or down(activation(up x)) without a gate. With experts,
// `width` is the width of one expert.
struct MlpSpec {
  int64_t width = 0;
  bool gated = true;
  Activation activation = Activation::kSilu;
  bool bias = false;
  bool fused = false;  // gate and up are one matrix
  std::optional<ExpertsSpec> experts;

  bool operator==(const MlpSpec&) const = default;
};

enum class ResidualOrder : uint8_t {
  kPre,       // x + f(norm(x))
  kPrePost,   // x + norm(f(norm(x)))
  kPost,      // x + norm(f(x))
  kParallel,  // x + attention(norm(x)) + mlp(norm(x)), one norm for both
  kParallelTwoNorms,
};

struct BlockSpec {
  ResidualOrder order = ResidualOrder::kPre;
  AttentionSpec attention;
  MlpSpec mlp;

  bool operator==(const BlockSpec&) const = default;
};

// RMSNorm, x / rms(x) * gain, or LayerNorm: the same of x - mean(x), with a bias or without.
struct NormSpec {
  enum class Kind : uint8_t { kRms, kLayer };
  Kind kind = Kind::kRms;
  bool bias = false;
  double epsilon = 1e-6;
  double gain_offset = 0;  // a Hugging Face folder stores gain - offset (Gemma: 1)
};

// logits = soft_cap tanh(z / soft_cap), z = scale x head^T; soft cap 0: z itself.
struct HeadSpec {
  bool tied = false;  // the head is the embedding
  double scale = 1;
  double soft_cap = 0;
};

struct Architecture {
  std::string family;  // Hugging Face's model_type: "llama", "gemma3_text"
  int64_t width = 0, vocab = 0, max_positions = 2048;
  int64_t stated_width = 0;  // see dense_width()
  // Whether the files state the width of a head also where it follows from the others.
  bool states_head_dim = false;
  std::vector<BlockSpec> blocks;
  std::vector<RopeSpec> ropes;
  NormSpec norm;  // of every norm
  double embedding_scale = 1;
  double residual_scale = 1;  // of what attention and MLP add to the residual stream
  HeadSpec head;
  int32_t bos = -1;
  std::vector<int32_t> ends;  // every id that ends a generation

  int64_t layers() const { return static_cast<int64_t>(blocks.size()); }
  // Of the first block.
  int64_t mlp_width() const { return blocks.empty() ? 0 : blocks.front().mlp.width; }
  // The width of the MLPs that are no experts; where all are, what the model's files state for it.
  int64_t dense_width() const;
};

// The traits of a decoder whose blocks are all alike, in the form most files use.
struct DenseConfig {
  std::string family = "llama";
  int64_t layers = 0, width = 0, heads = 0, kv_heads = 0, head_dim = 0, ffn = 0, vocab = 0;
  int64_t max_positions = 2048;
  int64_t window = 0;
  double norm_epsilon = 1e-6;
  double rotary_base = 10000;
  int64_t rotary_dims = 0;       // 0: whole heads
  bool states_head_dim = false;  // as in Architecture
  RopeScaling rotary;
  bool qkv_bias = false, o_bias = false, mlp_bias = false;
  QkNorm qk_norm = QkNorm::kNone;
  bool tied = false;
  int32_t bos = -1;
  std::vector<int32_t> ends;

  // Pre-norm blocks with silu, scores scaled by 1 / sqrt(head_dim), one rope.
  operator Architecture() const;  // NOLINT(google-explicit-constructor): same model
};

// Checks that sizes and numbers are in range (numbers.h) and consistent. Throws Error{kInput}
// beginning with `where`.
void Validate(const Architecture& architecture, const std::string& where);

}  // namespace retort
