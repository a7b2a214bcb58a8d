// SPDX-License-Identifier: Apache-2.0
// A GGUF file: its metadata and tensors, the model and the tokenizer that they describe.
#include "formats/gguf.h"

#include "fuzz/support.h"
#include "fuzz/tokenizers.h"
#include "model/spec/gguf_config.h"
#include "tokenizer/load_tokenizer.h"

namespace retort {
namespace {

void Use(const Path& path) {
  const GgufFile file = ReadGguf(path);
  for (const auto& [key, value] : file.metadata.entries()) ValueText(value);
  for (const TensorEntry& entry : file.tensors.entries()) Touch(entry.bytes);
  Accepted([&] {
    const Architecture model = ConfigFromGguf(file);
    for (const RopeSpec& rope : model.ropes) RopeFrequencies(rope);
    GgufMetadata written("written");
    ConfigToGguf(model, "model", written);
  });
  Accepted([&] { UseTokenizer(*Tokenizer::FromSpec(SpecFromGguf(file.metadata, "m"), "m")); });
}

}  // namespace
}  // namespace retort

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace retort;
  static const FuzzFolder folder;
  const Path path = folder.Put("m.gguf", TextOf(data, size));
  Accepted([&] { Use(path); });
  return 0;
}
