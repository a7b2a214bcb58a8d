// SPDX-License-Identifier: Apache-2.0
// ggml's tensor types by their ids in a GGUF file. Ids, names and block sizes are from ggml's type
// table; ids that ggml has withdrawn (4, 5, 31-33, 36-38) are unknown.
// The types that a weight can have are in the table of tensor/quant/format.h.
#pragma once

#include <cstdint>
#include <string_view>

namespace retort {

struct GgmlType {
  uint32_t id;
  std::string_view name;  // "Q4_K"
  uint32_t block_elements, block_bytes;
};

const GgmlType* FindGgmlType(uint32_t id);  // nullptr when unknown

}  // namespace retort
