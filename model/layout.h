// SPDX-License-Identifier: Apache-2.0
// What a model consists of: its linear layers, its gains, and the tensors of files that fill them.
// Made once from an Architecture by the modules themselves (each declares its own weights);
// loading, random weights, merging, pruning, exporting and adapters are loops over it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/spec/architecture.h"
#include "model/spec/families.h"

namespace retort {

// Places in a model's lists of linear layers and of gains; -1: there is none.
using LinearId = int32_t;
using GainId = int32_t;
inline constexpr int32_t kNone = -1;

// What a linear layer does, which decides how it is stored and computed.
enum class LinearUse : uint8_t {
  kEmbedding,
  kHead,
  kAttentionIn,   // q, k, v
  kAttentionOut,  // back into the residual stream
  kMlpIn,         // gate, up
  kMlpOut,        // back into the residual stream
  kRouter,        // which experts a token takes: small, and never quantised
};

struct LinearSpec {
  std::string name;  // Hugging Face's and PEFT's: "model.layers.3.self_attn.q_proj"
  int64_t rows = 0, cols = 0;
  LinearUse use = LinearUse::kHead;
  int64_t layer = -1;   // -1: outside the blocks
  int64_t expert = -1;  // -1: of all tokens

  bool in_block() const { return layer >= 0; }
  // Whether an adapter may stand beside it, and NF4 hold it: not the tables and routers.
  bool adaptable() const { return in_block() && use != LinearUse::kRouter; }
};

// Where a tensor of a file belongs.
struct Target {
  enum class Kind : uint8_t { kLinear, kBias, kGain };
  Kind kind = Kind::kLinear;
  int32_t id = kNone;  // LinearId (kBias too) or GainId
};

// How a GGUF orders the rows of a tensor.
struct RowOrder {
  // Heads within which rows i and i + half of a head are neighbours (rotary pairs side by side); 0:
  // as Hugging Face.
  int64_t interleaved_heads = 0;
  // Where row `gguf_row` of `rows` stands in Hugging Face's order.
  int64_t HuggingFaceRow(int64_t gguf_row, int64_t rows) const;
};

// Where a tensor lies in a file: it is all of one of the file's, or some rows of a larger one.
struct TensorPlace {
  std::string name;  // of the file's tensor; empty: there is none
  std::vector<int64_t> shape;
  int64_t begin = 0;  // the first row, counted over all dimensions but the last
};

// A tensor as a Hugging Face folder has it.
struct TensorSpec {
  std::string name;            // "model.layers.0.self_attn.q_proj.weight"
  std::string gguf_name;       // "blk.0.attn_q.weight"
  std::vector<int64_t> shape;  // [rows, cols], or [size] of a bias or gain
  Target target;
  RowOrder order;
  // A GGUF keeps a layer's experts in one tensor [experts, rows, cols], of which this is slice
  // `expert`; -1: by itself.
  int64_t expert = -1, experts = 0;
  double offset = 0;  // of a gain: a folder stores gain - offset, a GGUF the gain
  TensorPlace stacked =
      {};  // in a folder that keeps a layer's experts together (PartName::stacked)

  bool is_matrix() const { return shape.size() == 2; }
  // As the GGUF declares it.
  std::vector<int64_t> gguf_shape() const;
};

struct Layout {
  std::vector<LinearSpec> linears;  // by LinearId
  std::vector<int64_t> gains;       // by GainId: how many values
  std::vector<TensorSpec> tensors;  // in a fixed order; a tied head is not among them
  LinearId embedding = kNone, head = kNone;
  GainId final_norm = kNone;

  const LinearSpec& of(LinearId id) const { return linears[static_cast<size_t>(id)]; }
  // The linear layer that a weight tensor fills; null for a bias or a gain.
  const LinearSpec* LinearOf(const TensorSpec& tensor) const;
};

Layout LayoutOf(const Architecture& architecture);

// What modules declare their weights to. Names are looked up in the family's table.
class LayoutBuilder {
 public:
  LayoutBuilder(const Architecture& architecture, Layout& layout)
      : architecture_(architecture), family_(FamilyOf(architecture)), layout_(layout) {}

  const Architecture& architecture() const { return architecture_; }
  void SetLayer(int64_t layer) { layer_ = layer; }  // -1: outside the blocks

  struct Options {
    bool bias = false;
    int64_t rotary_heads = 0;  // of q and k: heads whose rows a GGUF may order otherwise
    int64_t expert = -1, experts = 0;
  };
  // part: the GGUF name without "blk.N.": "attn_q".
  LinearId AddLinear(std::string_view part, int64_t rows, int64_t cols, LinearUse use,
                     const Options& options);
  LinearId AddLinear(std::string_view part, int64_t rows, int64_t cols, LinearUse use) {
    return AddLinear(part, rows, cols, use, {});
  }
  // A linear layer without a tensor of its own.
  LinearId AddTied(std::string_view part, int64_t rows, int64_t cols, LinearUse use);
  GainId AddGain(std::string_view part, int64_t size);

 private:
  std::string GgufName(std::string_view part) const;
  TensorPlace StackedPlace(std::string_view part, int64_t rows, int64_t cols,
                           const Options& options) const;

  const Architecture& architecture_;
  const Family& family_;
  Layout& layout_;
  int64_t layer_ = -1;
};

}  // namespace retort
