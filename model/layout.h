// SPDX-License-Identifier: Apache-2.0
// A model's linear layers and gains, and the file tensors that fill them. Built once from an
// Architecture by the modules (each declares its own weights); loading, random initialisation,
// merging, pruning, exporting and adapters iterate over it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/spec/architecture.h"
#include "model/spec/families.h"

namespace retort {

// Indices into a model's lists of linear layers and of gains; -1: none.
using LinearId = int32_t;
using GainId = int32_t;  // of a norm's gain or bias
inline constexpr int32_t kNone = -1;

// The role of a linear layer; it determines how the layer is stored and computed.
enum class LinearUse : uint8_t {
  kEmbedding,
  kHead,
  kAttentionIn,   // q, k, v
  kAttentionOut,  // back into the residual stream
  kMlpIn,         // gate, up
  kMlpOut,        // back into the residual stream
  kRouter,        // selects a token's experts: small, never quantised
};

// A norm's gain and bias, over runs of `width` values.
struct NormLayer {
  GainId gain = kNone, bias = kNone;
  int64_t width = 0;
  float epsilon = 0;

  bool present() const { return gain != kNone; }
};

struct LinearSpec {
  std::string name;  // Hugging Face's and PEFT's: "model.layers.3.self_attn.q_proj"
  int64_t rows = 0, cols = 0;
  LinearUse use = LinearUse::kHead;
  int64_t layer = -1;   // -1: outside the blocks
  int64_t expert = -1;  // -1: not part of an expert

  bool in_block() const { return layer >= 0; }
  // Whether it may have an adapter and be stored as NF4: all but embedding, head and routers.
  bool adaptable() const { return in_block() && use != LinearUse::kRouter; }
};

// The part of a model that a file tensor fills.
struct Target {
  enum class Kind : uint8_t { kLinear, kBias, kGain };
  Kind kind = Kind::kLinear;
  int32_t id = kNone;  // LinearId (kBias too) or GainId
};

// The row order of a tensor in a GGUF.
struct RowOrder {
  // The number of heads in which rows i and i + head_dim / 2 are stored next to each other
  // (interleaved rotary pairs); 0: same order as Hugging Face.
  int64_t interleaved_heads = 0;
  // q, k and v in one matrix, which Hugging Face orders by group (FusedQkv::kByGroup) and a GGUF as
  // q, k, v: the number of groups and of query heads in each; 0: same order.
  int64_t groups = 0, group_heads = 0;

  bool same() const { return interleaved_heads == 0 && groups == 0; }
  // The index in Hugging Face's order of row `gguf_row` of `rows`.
  int64_t HuggingFaceRow(int64_t gguf_row, int64_t rows) const;
};

// A tensor's place in a file: a whole file tensor, or a range of rows of a larger one.
struct TensorPlace {
  std::string name;  // of the file's tensor; empty: none
  std::vector<int64_t> shape;
  int64_t begin = 0;  // the first row, counted over all dimensions but the last
};

// A matrix whose rows are, for each head, `first` and then `second` rows, and which a GGUF may keep
// as two tensors: the first rows of all heads, each head's transposed, [heads, cols, first], and
// the second ones, [heads, second, cols].
struct HeadSplit {
  int64_t heads = 0, first = 0, second = 0;  // 0 heads: it is one matrix everywhere
  std::string first_name, second_name;       // "blk.0.attn_k_b.weight"

  bool present() const { return heads > 0; }
};

// A tensor in the layout of a Hugging Face folder.
struct TensorSpec {
  std::string name;            // "model.layers.0.self_attn.q_proj.weight"
  std::string gguf_name;       // "blk.0.attn_q.weight"
  std::vector<int64_t> shape;  // [rows, cols]; [size] for a bias or gain, or [heads, width]
  Target target;
  RowOrder order;
  // A GGUF stores a layer's experts in one tensor [experts, rows, cols], of which this is slice
  // `expert`; -1: a tensor of its own.
  int64_t expert = -1, experts = 0;
  double offset = 0;  // for a gain: a folder stores gain - offset, a GGUF the gain itself
  // The place in a folder that stores a layer's experts in one tensor (PartName::stacked).
  TensorPlace stacked = {};
  HeadSplit split = {};

  bool is_matrix() const { return target.kind == Target::Kind::kLinear; }
  int64_t elements() const;
  // The shape declared in a GGUF.
  std::vector<int64_t> gguf_shape() const;
};

struct Layout {
  std::vector<LinearSpec> linears;  // by LinearId
  std::vector<int64_t> gains;       // by GainId: number of values
  std::vector<TensorSpec> tensors;  // in a fixed order, without a tied head
  LinearId embedding = kNone, head = kNone;
  NormLayer final_norm;

  const LinearSpec& of(LinearId id) const { return linears[static_cast<size_t>(id)]; }
  int64_t parameters() const;  // of all tensors
  // The linear layer filled by a weight tensor; null for a bias or a gain.
  const LinearSpec* LinearOf(const TensorSpec& tensor) const;
};

Layout LayoutOf(const Architecture& architecture);

// Collects the weights that modules declare. Names are looked up in the family's table.
class LayoutBuilder {
 public:
  LayoutBuilder(const Architecture& architecture, Layout& layout)
      : architecture_(architecture), family_(FamilyOf(architecture)), layout_(layout) {}

  const Architecture& architecture() const { return architecture_; }
  void SetLayer(int64_t layer) { layer_ = layer; }  // -1: outside the blocks

  struct Options {
    bool bias = false;
    int64_t rotary_heads = 0;             // for q and k: heads whose rows a GGUF may interleave
    int64_t groups = 0, group_heads = 0;  // as in RowOrder
    int64_t expert = -1, experts = 0;
    HeadSplit split = {};  // its names are those of parts
  };
  // part: the GGUF name without "blk.N.", for example "attn_q".
  LinearId AddLinear(std::string_view part, int64_t rows, int64_t cols, LinearUse use,
                     const Options& options);
  LinearId AddLinear(std::string_view part, int64_t rows, int64_t cols, LinearUse use) {
    return AddLinear(part, rows, cols, use, {});
  }
  // A linear layer without a tensor of its own.
  LinearId AddTied(std::string_view part, int64_t rows, int64_t cols, LinearUse use);
  // A norm of the architecture's kind over `width` values, or over each of `heads` runs of them
  // with a gain of its own.
  NormLayer AddNorm(std::string_view part, int64_t width, int64_t heads = 1);
  // A router's bias for its choice. Its Hugging Face name has no suffix, a GGUF's has ".bias".
  GainId AddChoiceBias(std::string_view part, int64_t size);

 private:
  GainId AddGain(std::string name, std::string gguf_name, int64_t width, int64_t heads,
                 double offset);
  std::string GgufName(std::string_view part) const;
  TensorPlace StackedPlace(std::string_view part, int64_t rows, int64_t cols,
                           const Options& options) const;

  const Architecture& architecture_;
  const Family& family_;
  Layout& layout_;
  int64_t layer_ = -1;
};

}  // namespace retort
