// SPDX-License-Identifier: Apache-2.0
// The parts of a model's name that a GGUF's metadata holds (ggml's docs/gguf.md, "naming
// convention"), taken from the name of its folder as llama.cpp's converter takes them:
// "SmolLM2-135M-Instruct" is SmolLM2, 135M, Instruct.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "formats/gguf.h"
#include "model/layout.h"

namespace retort {

struct GgufName {
  std::string name;  // in words: "SmolLM2 135M Instruct"
  std::string basename, finetune, version,
      size_label;  // "" where the folder's name has no such part
};

// `parameters`: how many the model has. A size in the name that is far from it, such as a length of
// context, is no size.
GgufName NameOfFolder(std::string_view folder, int64_t parameters);

// "135M", or "8x7B" for a mixture of 8 experts: rounded to at least two digits.
std::string SizeLabel(const Layout& layout);

// Writes general.type, .name, .basename, .finetune, .version, .size_label.
void WriteGeneral(std::string_view folder, const Layout& layout, GgufMetadata& metadata);

}  // namespace retort
