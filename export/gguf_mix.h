// SPDX-License-Identifier: Apache-2.0
// The types of GGUF files: one weight format throughout, or a mix of formats as llama.cpp's
// llama-quantize chooses it ("q4_k_m": by a tensor's role and layer).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/quant/format.h"

namespace retort {

struct Architecture;

// The layers of a model in which a mix gives a tensor another format.
enum class MixLayers : uint8_t {
  kNone,
  kAll,
  kFirstTwo,
  kFirstFour,
  kFirstSixteenth,
  kFirstEighth,
  kFirstEighthUnweighted,  // if no importance matrix is given
  kMost,                   // the first and the last eighth, and every third layer between them
  kGrouped,                // all, if four or more query heads share a key head
};
struct MixRule {
  MixLayers layers = MixLayers::kNone;
  std::string_view format;
};

// What a tensor gets by its role: the format of the first rule that covers its layer, else
// `format`.
struct GgufMix {
  std::string_view name;
  uint32_t file_type;       // general.file_type of a GGUF
  std::string_view format;  // of most matrices
  // Of an embedding that is not the head too, and of matrices of two dimensions (those of experts
  // have three); "": `format`.
  std::string_view table = {}, flat = {};
  std::string_view head = "q6_k";
  MixRule value[2] = {};      // values, also where one matrix has q, k and v
  MixRule down[2] = {};       // out of the MLP
  MixRule out = {};           // out of attention
  bool out_of_eight = false;  // with eight experts that is q5_k, and not what `out` says
  // llama.cpp treats this architecture by itself: instead of `down` and `out`.
  MixRule falcon_down[2] = {}, falcon_out = {};
};
const GgufMix* FindMix(std::string_view name);  // null: none of that name

// What a user may call a type: the formats that a GGUF may have, and the mixes.
std::vector<std::string> GgufTypeNames();

// Whether the rules of values are for the tensor.
bool IsValueName(std::string_view gguf_name);
// Where a tensor stands in its model.
struct MixPlace {
  std::string_view gguf_name;
  int64_t layer = 0;  // of `layers`; for the rules of values, among the layers that have them
  int64_t layers = 0;
  int64_t cols = 0;       // of its rows in the file
  bool stacked = false;   // three dimensions: the matrices of all experts, or heads
  bool weighted = false;  // an importance matrix is given
};
// The format that `mix` gives to a matrix of the model. Its rows may need another one
// (FormatForRows).
WeightFormat FormatInMix(const GgufMix& mix, const Architecture& model, const MixPlace& place);

}  // namespace retort
