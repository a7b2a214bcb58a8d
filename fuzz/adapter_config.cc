// SPDX-License-Identifier: Apache-2.0
// adapter_config.json, and the modules of a small model that it targets.
#include "fuzz/support.h"
#include "model/adapter_builder.h"
#include "model/adapter_targets.h"
#include "model/layout.h"

namespace retort {
namespace {

const Layout& SmallLayout() {
  static const Layout layout = [] {
    DenseConfig c;
    c.layers = 2, c.width = 8, c.heads = 2, c.kv_heads = 1, c.head_dim = 4, c.ffn = 8, c.vocab = 8;
    return LayoutOf(c);
  }();
  return layout;
}

Backend& SmallBackend() {
  static const auto backend = MakeReferenceBackend();
  return *backend;
}

void Use(const Path& folder) {
  const AdapterConfig config = ReadAdapterConfig(folder);
  LoraScale(config.alpha, config.rank, config.rslora);
  AdapterTargets targets(config);
  AdapterBuilder(config, SmallLayout(), SmallBackend(), "file").Build(AdapterBuilder::For::kFile);
  for (const LinearSpec& linear : SmallLayout().linears)
    targets.Has(linear), targets.RankOf(linear), targets.AlphaOf(linear);
}

}  // namespace
}  // namespace retort

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace retort;
  static const FuzzFolder folder;
  folder.Put("adapter_config.json", TextOf(data, size));
  Accepted([&] { Use(folder.path()); });
  return 0;
}
