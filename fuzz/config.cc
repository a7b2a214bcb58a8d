// SPDX-License-Identifier: Apache-2.0
// config.json and, after a NUL, generation_config.json of a model folder.
#include "fuzz/support.h"
#include "model/layout.h"
#include "model/spec/config_reader.h"
#include "model/spec/gguf_config.h"

namespace retort {
namespace {

void Use(const Path& folder) {
  const Architecture model = ReadConfig(folder);
  LayoutOf(model);
  for (const RopeSpec& rope : model.ropes) RopeFrequencies(rope);
  Accepted([&] {
    GgufMetadata written("written");
    ConfigToGguf(model, "model", written);
  });
}

}  // namespace
}  // namespace retort

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace retort;
  static const FuzzFolder folder;
  const auto [config, generation] = Cut(TextOf(data, size), std::string_view("\0", 1));
  folder.Put("config.json", config);
  generation.empty() ? folder.Remove("generation_config.json")
                     : void(folder.Put("generation_config.json", generation));
  Accepted([&] { Use(folder.path()); });
  return 0;
}
