// SPDX-License-Identifier: Apache-2.0
// ggml's tensor types by their ids in a GGUF file. Ids, names and block sizes are those of ggml's
// type table; ids that ggml has withdrawn (4, 5, 31-33, 36-38) are unknown.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "tensor/dtype.h"

namespace retort {

struct GgmlType {
  uint32_t id;
  std::string_view name;  // "Q4_K"
  uint32_t block_elements, block_bytes;
  std::optional<WeightFormat> format;  // when a weight can have it
};

const GgmlType* FindGgmlType(uint32_t id);  // nullptr when unknown
// nullptr for NF4, which GGUF does not have.
const GgmlType* FindGgmlType(WeightFormat format);

}  // namespace retort
