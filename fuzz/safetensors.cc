// SPDX-License-Identifier: Apache-2.0
// A safetensors file, its matrices of 4 bits, and the same bytes as the index of a folder of
// shards.
#include "formats/safetensors.h"

#include "formats/bitsandbytes.h"
#include "formats/safetensors_header.h"
#include "fuzz/support.h"
#include "tensor/quant/quant.h"

namespace retort {
namespace {

void Use(const Path& path) {
  const SafetensorsFile file = ReadSafetensors(path);
  for (const TensorEntry& entry : file.tensors.entries()) {
    Touch(entry.bytes);
    Accepted([&] { Touch(file.tensors.Load(entry.name, {1}).bytes()); });
  }
  const TensorTable joined = JoinBitsandbytes(file.tensors);
  for (const TensorEntry& entry : joined.entries()) {
    if (!entry.is_weight() || !TraitsOf(entry.format).flattened || entry.shape.size() != 2)
      continue;
    const Weight w = joined.Load(entry.name, entry.shape);
    std::vector<float> row(static_cast<size_t>(w.cols()));
    DecodeRow(w, w.rows() - 1, 0, w.cols(), row.data());
  }
}

}  // namespace
}  // namespace retort

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace retort;
  static const FuzzFolder folder;
  const std::string_view text = TextOf(data, size);
  if (text.starts_with("{")) {
    Accepted([&] { ParseSafetensorsIndex(text, "index"); });
    Accepted([&] { ParseSafetensorsHeader(text, "header"); });
    return 0;
  }
  const Path path = folder.Put("m.safetensors", text);
  Accepted([&] { Use(path); });
  return 0;
}
