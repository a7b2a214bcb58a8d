// SPDX-License-Identifier: Apache-2.0
// The JSON of safetensors: a file's header and a folder's index, parsed as a stream of events. No
// tree is built, so memory use stays close to the size of the result, and duplicate names are
// detected.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "formats/safetensors.h"

namespace retort {

struct SafetensorsHeader {
  struct Tensor {
    std::string name, dtype;
    std::vector<int64_t> shape;
    uint64_t begin, end;  // from the end of the header
  };
  std::vector<Tensor> tensors;
  TextPairs metadata;
};

// Both functions throw Error{kInput} that begins with `where`.
SafetensorsHeader ParseSafetensorsHeader(std::string_view json, const std::string& where);
// The pairs (tensor, shard) of "weight_map".
TextPairs ParseSafetensorsIndex(std::string_view json, const std::string& where);

}  // namespace retort
