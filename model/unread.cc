// SPDX-License-Identifier: Apache-2.0
#include "model/unread.h"

#include <algorithm>

namespace retort {
namespace {

WeightFormat FormatOf(const TensorSpec& spec, WeightFormat stored) {
  if (!spec.is_matrix()) return WeightFormat::kF32;
  return spec.shape.back() % TraitsOf(stored).block_elements == 0 ? stored : WeightFormat::kF16;
}

uint64_t BytesOf(const TensorSpec& spec, WeightFormat format) {
  const int64_t cols = spec.shape.back();
  return static_cast<uint64_t>(spec.elements() / cols * RowBytes(format, cols));
}

}  // namespace

ModelFiles UnreadModel(const Architecture& architecture, WeightFormat stored) {
  ModelFiles files;
  files.config = architecture;
  files.layout = LayoutOf(architecture);
  files.path = files.config.family;
  uint64_t most = 0;
  for (const TensorSpec& spec : files.layout.tensors)
    most = std::max(most, BytesOf(spec, FormatOf(spec, stored)));
  const auto zeros = MappedFile::Zeros(most);  // all tensors are the same zeros
  files.tensors = TensorTable(files.path.string());
  for (const TensorSpec& spec : files.layout.tensors) {
    const WeightFormat format = FormatOf(spec, stored);
    files.tensors.Add({.name = spec.name,
                       .shape = spec.shape,
                       .format = format,
                       .bytes = zeros->bytes().first(BytesOf(spec, format)),
                       .file = zeros});
  }
  return files;
}

}  // namespace retort
