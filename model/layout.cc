// SPDX-License-Identifier: Apache-2.0
#include "model/layout.h"

#include <functional>
#include <numeric>

#include "base/strings.h"
#include "model/block.h"

namespace retort {

int64_t RowOrder::HuggingFaceRow(int64_t gguf_row, int64_t rows) const {
  if (groups > 0) {
    const int64_t q_heads = groups * group_heads, width = rows / (q_heads + 2 * groups);
    const int64_t head = gguf_row / width, kv = head - q_heads;
    const int64_t group = kv < 0 ? head / group_heads : kv % groups;
    const int64_t place = kv < 0 ? head % group_heads : group_heads + kv / groups;
    return (group * (group_heads + 2) + place) * width + gguf_row % width;
  }
  if (interleaved_heads == 0) return gguf_row;
  const int64_t width = rows / interleaved_heads, head = gguf_row / width,
                within = gguf_row % width;
  return head * width + within % 2 * (width / 2) + within / 2;
}

int64_t TensorSpec::elements() const {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

std::vector<int64_t> TensorSpec::gguf_shape() const {
  if (expert < 0) return shape;
  return {experts, shape[0], shape[1]};
}

const LinearSpec* Layout::LinearOf(const TensorSpec& tensor) const {
  return tensor.target.kind == Target::Kind::kLinear ? &of(tensor.target.id) : nullptr;
}

int64_t Layout::parameters() const {
  int64_t sum = 0;
  for (const TensorSpec& spec : tensors) sum += spec.elements();
  return sum;
}

std::string LayoutBuilder::GgufName(std::string_view part) const {
  const std::string_view name = GgufPartName(family_, part);
  return layer_ < 0 ? std::string(name) : Cat("blk.", layer_, ".", name);
}

LinearId LayoutBuilder::AddLinear(std::string_view part, int64_t rows, int64_t cols, LinearUse use,
                                  const Options& options) {
  const LinearId id = AddTied(part, rows, cols, use);
  LinearSpec& linear = layout_.linears.back();
  linear.name = HuggingFaceName(family_, part, layer_, options.expert);
  linear.expert = options.expert;
  const RowOrder order{family_.interleaved_rows ? options.rotary_heads : 0, options.groups,
                       options.group_heads};
  layout_.tensors.push_back({linear.name + ".weight",
                             GgufName(part) + ".weight",
                             {rows, cols},
                             {Target::Kind::kLinear, id},
                             order,
                             options.expert,
                             options.experts,
                             0,
                             StackedPlace(part, rows, cols, options),
                             options.split});
  for (std::string* name :
       {&layout_.tensors.back().split.first_name, &layout_.tensors.back().split.second_name}) {
    if (options.split.present()) *name = Cat("blk.", layer_, ".", *name, ".weight");
  }
  if (options.bias) {
    layout_.tensors.push_back({linear.name + ".bias",
                               GgufName(part) + ".bias",
                               {rows},
                               {Target::Kind::kBias, id},
                               order,
                               -1,
                               0,
                               0});
  }
  return id;
}

TensorPlace LayoutBuilder::StackedPlace(std::string_view part, int64_t rows, int64_t cols,
                                        const Options& options) const {
  const StackedPart stacked = StackedPartOf(family_, part, layer_);
  if (options.expert < 0) return {stacked.name, {rows, cols}, 0};
  const int64_t expert_rows = stacked.count * rows;
  return {stacked.name,
          {options.experts, expert_rows, cols},
          options.expert * expert_rows + stacked.index * rows};
}

LinearId LayoutBuilder::AddTied(std::string_view part, int64_t rows, int64_t cols, LinearUse use) {
  const auto id = static_cast<LinearId>(layout_.linears.size());
  layout_.linears.push_back({HuggingFaceName(family_, part, layer_), rows, cols, use, layer_, -1});
  return id;
}

GainId LayoutBuilder::AddGain(std::string name, std::string gguf_name, int64_t width, int64_t heads,
                              double offset) {
  const auto id = static_cast<GainId>(layout_.gains.size());
  layout_.gains.push_back(heads * width);
  std::vector<int64_t> shape{width};
  if (heads > 1) shape.insert(shape.begin(), heads);
  layout_.tensors.push_back({std::move(name),
                             std::move(gguf_name),
                             std::move(shape),
                             {Target::Kind::kGain, id},
                             {},
                             -1,
                             0,
                             offset});
  return id;
}

NormLayer LayoutBuilder::AddNorm(std::string_view part, int64_t width, int64_t heads) {
  const NormSpec& spec = architecture_.norm;
  NormLayer norm;
  const std::string name = HuggingFaceName(family_, part, layer_), gguf_name = GgufName(part);
  norm.gain = AddGain(name + ".weight", gguf_name + ".weight", width, heads, spec.gain_offset);
  if (spec.bias) norm.bias = AddGain(name + ".bias", gguf_name + ".bias", width, heads, 0);
  norm.width = width;
  norm.epsilon = static_cast<float>(spec.epsilon);
  return norm;
}

GainId LayoutBuilder::AddChoiceBias(std::string_view part, int64_t size) {
  return AddGain(HuggingFaceName(family_, part, layer_), GgufName(part) + ".bias", size, 1, 0);
}

Layout LayoutOf(const Architecture& architecture) {
  std::vector<Block> blocks;
  return MakeModules(architecture, blocks);
}

}  // namespace retort
