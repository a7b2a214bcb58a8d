// SPDX-License-Identifier: Apache-2.0
// A safetensors file, and the same bytes as the index of a folder of shards.
#include "formats/safetensors.h"

#include "formats/safetensors_header.h"
#include "fuzz/support.h"

namespace retort {
namespace {

void Use(const Path& path) {
  const SafetensorsFile file = ReadSafetensors(path);
  for (const TensorEntry& entry : file.tensors.entries()) {
    Touch(entry.bytes);
    Accepted([&] { Touch(file.tensors.Load(entry.name, {1}).bytes()); });
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
