// SPDX-License-Identifier: Apache-2.0
// A quantised matrix as the tensors of a folder: the other way round of formats/packed_folder.h and
// formats/bitsandbytes.h.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "tensor/quant/group_integers.h"

namespace retort {

// One of a matrix's tensors.
struct FolderPart {
  std::string name;
  std::string_view dtype;  // "I32", "I8", "U8", "F16" or "F32"
  std::vector<int64_t> shape;
  std::vector<std::byte> bytes;
};

// LAYER.qweight, .qzeros, .scales and .g_idx. qweight: the codes of an output's inputs as a stream
// of words; qzeros: those of a group's outputs, less 1 in the first version of the format.
std::vector<FolderPart> GptqParts(const std::string& layer, const GroupIntegers& matrix);
// LAYER.qweight, .qzeros and .scales: a word has eight outputs of an input.
std::vector<FolderPart> AwqParts(const std::string& layer, const GroupIntegers& matrix);
// LAYER.weight, .SCB and .weight_format: codes of 8 bits by the largest magnitude of each row.
std::vector<FolderPart> Int8Parts(const std::string& layer, const Weight& matrix);

// The quantization_config by which transformers reads such folders. `plain`: the layers that are
// not quantised. GPTQ's readers need none: they take those of the blocks alone.
Json GptqSettings(const GroupKind& kind);
Json AwqSettings(const GroupKind& kind, const std::vector<std::string>& plain);
Json Int8Settings(const std::vector<std::string>& plain);

}  // namespace retort
