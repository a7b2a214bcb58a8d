// SPDX-License-Identifier: Apache-2.0
// Writes a LoRA adapter as a GGUF file, which llama.cpp's programs take beside the base's (--lora).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "tensor/dtype.h"

namespace retort {

// The format of an adapter's factors by its name. Throws Error{kInput} for what none can have.
WeightFormat AdapterTypeNamed(std::string_view name);

struct GgufAdapterOptions {
  Path adapter;  // a PEFT folder
  Path base;     // empty: the one that the adapter's files name
  Path out;
  WeightFormat type = WeightFormat::kF32;  // AdapterTypeNamed
  int threads = 0;
};

struct GgufAdapterExport {
  int64_t bytes = 0, layers = 0;
  std::vector<std::string> kept_f16;  // factors whose rows cannot be divided into blocks
  std::vector<std::string> notes;     // CheckAdapterBase
};

// The factors of each layer, under the names of the base's tensors in a GGUF: TENSOR.lora_a [R,in]
// and TENSOR.lora_b [out,R], whose rows are reordered as the base's are. A layer's scale is alpha /
// R with R out of its factor, so whatever differs from that (rsLoRA with other ranks, patterns) is
// multiplied into its B. Reads the file back. Throws Error{kInput} for what llama.cpp's format does
// not have: magnitudes, biases, modules or rows trained by themselves, a tied head by itself.
GgufAdapterExport ExportGgufAdapter(const GgufAdapterOptions& options);

}  // namespace retort
