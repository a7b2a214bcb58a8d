// SPDX-License-Identifier: Apache-2.0
// Adapters as GGUF files: what the file adds to the base's tensors is what a merge makes of them.
// llama.cpp judges the same in tests/judges/adapters_test.py.
#include "export/gguf_adapter.h"

#include <gtest/gtest.h>

#include <map>

#include "base/random.h"
#include "export/gguf_export.h"
#include "export/merge.h"
#include "formats/gguf.h"
#include "formats/safetensors.h"
#include "model/load.h"
#include "model/store/folders.h"
#include "tensor/quant/quant.h"
#include "tests/support/model_folder.h"

namespace retort {
namespace {

std::vector<float> Values(const TensorTable& table, const std::string& name) {
  const TensorEntry& entry = *table.Find(name);
  const Weight w = table.Load(name, entry.shape);
  std::vector<float> out(static_cast<size_t>(w.rows() * w.cols()));
  for (int64_t r = 0; r < w.rows(); ++r) DecodeRow(w, r, 0, w.cols(), out.data() + r * w.cols());
  return out;
}

class GgufAdapter : public testing::Test {
 protected:
  // An adapter with random factors.
  void PutAdapter(const AdapterConfig& config) {
    const auto backend = MakeCpuBackend(1, Compute::kF32);
    const auto model = LoadModel(files_, {}, *backend);
    const auto adapter = Adapter::Make(config, files_.layout, 3, *backend, {&files_, model.get()});
    RandomStream random(MakeKey(4, RandomUse::kInit));
    for (Parameter* p : adapter->parameters()) {
      std::vector<float> values = backend->ToFloats(p->value);
      for (float& v : values) v = static_cast<float>(v + 0.1 * random.Normal());
      p->value = backend->FromFloats(values, p->value.shape());
    }
    std::filesystem::create_directories(folder_ / "adapter");
    WriteAdapterFiles(folder_ / "adapter", *adapter, files_.layout, *backend);
  }
  GgufAdapterExport Export(WeightFormat type = WeightFormat::kF32) {
    return ExportGgufAdapter({folder_ / "adapter", folder_ / "base", folder_ / "a.gguf", type, 1});
  }

  // Every tensor of the base with alpha / R B A added, against the merged model's.
  void ExpectAddsUpToTheMerge() {
    Merge({folder_ / "base", folder_ / "adapter", folder_ / "merged", "original", 1});
    WriteGguf(files_, folder_ / "base.gguf", {WeightFormat::kF32, true, 1});
    WriteGguf(OpenModel(folder_ / "merged"), folder_ / "merged.gguf",
              {WeightFormat::kF32, true, 1});
    const GgufFile base = ReadGguf(folder_ / "base.gguf"),
                   merged = ReadGguf(folder_ / "merged.gguf"),
                   adapter = ReadGguf(folder_ / "a.gguf");
    const double alpha = adapter.metadata.Number("adapter.lora.alpha");
    EXPECT_EQ(adapter.metadata.Text("general.architecture"),
              base.metadata.Text("general.architecture"));
    size_t adapted = 0;
    for (const TensorEntry& entry : base.tensors.entries()) {
      std::vector<float> sum = Values(base.tensors, entry.name);
      if (const TensorEntry* a = adapter.tensors.Find(entry.name + ".lora_a")) {
        ++adapted;
        const std::vector<float> av = Values(adapter.tensors, a->name),
                                 bv = Values(adapter.tensors, entry.name + ".lora_b");
        const auto rank =
            static_cast<size_t>(adapter.tensors.Find(entry.name + ".lora_b")->shape.back());
        const size_t in = static_cast<size_t>(entry.shape.back());
        const bool table = entry.name == "token_embd.weight";  // a row of A is a token's
        for (size_t i = 0; i < sum.size(); ++i) {
          double change = 0;
          for (size_t r = 0; r < rank; ++r)
            change += table ? double{av[i / in * rank + r]} * bv[i % in * rank + r]
                            : double{bv[i / in * rank + r]} * av[r * in + i % in];
          sum[i] = static_cast<float>(sum[i] + alpha / static_cast<double>(rank) * change);
        }
      }
      EXPECT_LT(LargestDifference(sum, Values(merged.tensors, entry.name)), 1e-6) << entry.name;
    }
    EXPECT_EQ(2 * adapted, adapter.tensors.entries().size());
  }

  TemporaryFolder folder_;
  ModelFiles files_ = [this] {
    MakeModelFolder(folder_ / "base", FolderConfig("llama"));  // whose q and k are interleaved
    return OpenModel(folder_ / "base");
  }();
};

TEST_F(GgufAdapter, AddsUpToTheMerge) {
  PutAdapter({.rank = 4, .alpha = 6});
  EXPECT_EQ(Export().layers, 14);
  ExpectAddsUpToTheMerge();
}

TEST_F(GgufAdapter, FoldsScalesThatDiffer) {
  AdapterConfig c{.rank = 4, .alpha = 6, .rslora = true};
  c.ranks = {{"up_proj", 2}, {"q_proj", 8}}, c.alphas = {{"k_proj", 1}};
  PutAdapter(c);
  Export();
  ExpectAddsUpToTheMerge();
}

// llama.cpp takes an alpha of 0 for none, and a scale of 1.
TEST_F(GgufAdapter, AnAlphaOfZeroScalesByZero) {
  AdapterConfig c{.rank = 4, .alpha = 0};
  c.alphas = {{"v_proj", 6}};
  PutAdapter(c);
  Export();
  EXPECT_NE(ReadGguf(folder_ / "a.gguf").metadata.Number("adapter.lora.alpha"), 0);
  ExpectAddsUpToTheMerge();
}

TEST_F(GgufAdapter, HoldsEmbeddingAndHead) {
  AdapterConfig c{.rank = 4, .alpha = 6};
  c.targets = {"embed_tokens", "lm_head", "v_proj"};
  PutAdapter(c);
  EXPECT_EQ(Export().layers, 4);
  ExpectAddsUpToTheMerge();
}

TEST_F(GgufAdapter, HoldsWhatWasTakenOutOfTheBase) {
  AdapterConfig c{.rank = 4, .alpha = 6};
  c.start = "pissa";
  PutAdapter(c);
  Export();
  ExpectAddsUpToTheMerge();
}

TEST_F(GgufAdapter, RowsThatDoNotDivideAreF16) {
  PutAdapter({.rank = 4, .alpha = 6});
  const GgufAdapterExport done = Export(WeightFormat::kQ8_0);
  EXPECT_EQ(done.kept_f16.size(), 14u);  // every B, whose rows have 4 values
  const GgufFile file = ReadGguf(folder_ / "a.gguf");
  EXPECT_EQ(file.tensors.Find("blk.1.attn_q.weight.lora_a")->format, WeightFormat::kQ8_0);
  EXPECT_EQ(file.tensors.Find("blk.1.attn_q.weight.lora_b")->format, WeightFormat::kF16);
}

TEST_F(GgufAdapter, RefusesWhatTheFormatLacks) {
  AdapterConfig c{.rank = 4, .alpha = 6};
  c.dora = true;
  PutAdapter(c);
  try {
    Export();
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), Error::Kind::kInput);
    EXPECT_NE(std::string(e.what()).find("lora_magnitude_vector"), std::string::npos) << e.what();
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "a.gguf"));
  EXPECT_THROW(Export(WeightFormat::kQ4_0), Error);
  EXPECT_EQ(AdapterTypeNamed("bf16"), WeightFormat::kBF16);
  for (const char* name : {"q4_k_m", "q4_k", "nf4", "f33"})
    EXPECT_THROW(AdapterTypeNamed(name), Error) << name;
}

}  // namespace
}  // namespace retort
