// SPDX-License-Identifier: Apache-2.0
#include "export/merge.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "formats/safetensors.h"
#include "model/store/fingerprint.h"
#include "model/store/folders.h"
#include "tensor/quant/quant.h"
#include "tests/support/model_folder.h"
#include "tests/support/shared_data.h"
#include "tokenizer/load_tokenizer.h"

namespace retort {
namespace {

std::vector<float> ValuesOf(const TensorTable& tensors, const std::string& name) {
  const TensorEntry* entry = tensors.Find(name);
  if (!entry) throw InputError(name, " is missing");
  const Weight w = tensors.Load(name, entry->shape);
  std::vector<float> out(static_cast<size_t>(w.rows() * w.cols()));
  for (int64_t r = 0; r < w.rows(); ++r) DecodeRow(w, r, 0, w.cols(), out.data() + r * w.cols());
  return out;
}

// W + s B A in double, B [out,R] and A [R,in] read from the adapter's own file.
std::vector<double> Merged(const std::vector<float>& base, const TensorTable& adapter,
                           const std::string& module, double scale, int64_t rank) {
  const auto a = ValuesOf(adapter, "base_model.model." + module + ".lora_A.weight");
  const auto b = ValuesOf(adapter, "base_model.model." + module + ".lora_B.weight");
  const int64_t cols = std::ssize(a) / rank, rows = std::ssize(b) / rank;
  std::vector<double> out(base.begin(), base.end());
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < cols; ++j) {
      double sum = 0;
      for (int64_t r = 0; r < rank; ++r)
        sum += double{b[static_cast<size_t>(i * rank + r)]} * a[static_cast<size_t>(r * cols + j)];
      out[static_cast<size_t>(i * cols + j)] += scale * sum;
    }
  }
  return out;
}

// The distance between a type's neighbouring values at v, halved: what one rounding may cost.
double HalfStep(double v, int mantissa_bits) {
  return std::ldexp(1.0, std::ilogb(v) - mantissa_bits - 1);
}

class Merging : public ::testing::Test {
 protected:
  // Every linear layer of `merged` against double arithmetic over `base` (by default the original
  // weights), and every other tensor's bytes against the base's.
  void ExpectMerged(const ModelFiles& original, const Path& merged_folder, int mantissa_bits,
                    const std::function<std::vector<float>(const Weight&)>& onto) {
    const TensorTable merged = ReadSafetensorsFolder(merged_folder);
    const TensorTable adapter =
        ReadSafetensors(folder_ / "adapter/adapter_model.safetensors").tensors;
    ASSERT_EQ(merged.entries().size(), original.tensors.entries().size());
    int linear = 0;
    for (const TensorEntry& entry : original.tensors.entries()) {
      SCOPED_TRACE(entry.name);
      const TensorEntry* written = merged.Find(entry.name);
      ASSERT_NE(written, nullptr);
      EXPECT_EQ(written->type_name(), entry.type_name());
      const std::string module = entry.name.substr(0, entry.name.rfind(".weight"));
      if (!adapter.Find("base_model.model." + module + ".lora_A.weight")) {
        EXPECT_TRUE(std::ranges::equal(written->bytes, entry.bytes));
        continue;
      }
      ++linear;
      const auto want =
          Merged(onto(original.tensors.Load(entry.name, entry.shape)), adapter, module, 6.0 / 4, 4);
      const auto got = ValuesOf(merged, entry.name);
      ASSERT_EQ(want.size(), got.size());
      size_t off = 0;
      // The sum itself is in f32: a value that lies between two may fall to the other one.
      for (size_t i = 0; i < want.size(); ++i)
        off += std::abs(got[i] - want[i]) > HalfStep(want[i], mantissa_bits) + 1e-6;
      EXPECT_EQ(off, 0u);
    }
    EXPECT_EQ(linear, 14);
  }

  static std::vector<float> AsIs(const Weight& w) {
    std::vector<float> out(static_cast<size_t>(w.rows() * w.cols()));
    for (int64_t r = 0; r < w.rows(); ++r) DecodeRow(w, r, 0, w.cols(), out.data() + r * w.cols());
    return out;
  }

  TemporaryFolder folder_;
};

TEST_F(Merging, EqualsDoubleArithmetic) {
  MakeModelFolder(folder_ / "base", FolderConfig("llama"));
  const ModelFiles base = OpenModel(folder_ / "base");
  MakeAdapterFolder(folder_ / "adapter", base, nullptr);
  const MergeReport report =
      Merge({folder_ / "base", folder_ / "adapter", folder_ / "out", "original", 2});
  EXPECT_EQ(report.matrices, 14);
  EXPECT_EQ(report.changed, 14);
  EXPECT_GT(report.relative, 0.01);
  ExpectMerged(base, folder_ / "out", 23, AsIs);
  EXPECT_EQ(ReadText(folder_ / "out/tokenizer.json"), ReadText(folder_ / "base/tokenizer.json"));
}

TEST_F(Merging, Bf16IsRoundedOnceToNearest) {
  MakeModelFolder(folder_ / "base", FolderConfig("qwen2"), {WeightFormat::kBF16});
  const ModelFiles base = OpenModel(folder_ / "base");
  MakeAdapterFolder(folder_ / "adapter", base, nullptr);
  Merge({folder_ / "base", folder_ / "adapter", folder_ / "out", "", 2});
  ExpectMerged(base, folder_ / "out", 7, AsIs);
}

TEST_F(Merging, OntoNf4StandsOnTheRoundedBase) {
  MakeModelFolder(folder_ / "base", FolderConfig("llama"));
  const ModelFiles base = OpenModel(folder_ / "base");
  for (const bool double_quant : {false, true}) {
    SCOPED_TRACE(double_quant);
    const BaseRecord record{(folder_ / "base").string(), Fingerprint(base), "nf4", double_quant,
                            ""};
    std::filesystem::remove_all(folder_ / "adapter");
    std::filesystem::remove_all(folder_ / "out");
    MakeAdapterFolder(folder_ / "adapter", base, &record);
    const MergeReport report =
        Merge({"", folder_ / "adapter", folder_ / "out", "", 2});  // both from retort.json
    EXPECT_EQ(report.onto, "nf4");
    EXPECT_GT(report.quantisation, 0.01);
    const auto memory = MakeHostMemory();
    ThreadPool pool(1);
    ExpectMerged(base, folder_ / "out", 23, [&](const Weight& w) {
      return AsIs(Requantised(w, WeightFormat::kNF4, double_quant, *memory, pool));
    });
  }
}

TEST_F(Merging, ShardsStayShards) {
  MakeModelFolder(folder_ / "base", FolderConfig("qwen3"), {WeightFormat::kF32, 3});
  const ModelFiles base = OpenModel(folder_ / "base");
  MakeAdapterFolder(folder_ / "adapter", base, nullptr);
  Merge({folder_ / "base", folder_ / "adapter", folder_ / "out", "", 1});
  EXPECT_EQ(FilesIn(folder_ / "out"), FilesIn(folder_ / "base"));
  ExpectMerged(base, folder_ / "out", 23, AsIs);
}

TEST_F(Merging, AnAliasStaysOne) {
  DenseConfig config = FolderConfig("llama");
  config.tied = true;
  MakeModelFolder(folder_ / "base", config, {.head_only = true});
  const ModelFiles base = OpenModel(folder_ / "base");
  MakeAdapterFolder(folder_ / "adapter", base, nullptr);
  Merge({folder_ / "base", folder_ / "adapter", folder_ / "out", "", 1});
  ExpectMerged(base, folder_ / "out", 23, AsIs);
  EXPECT_EQ(ReadSafetensorsFolder(folder_ / "out").Find("model.embed_tokens.weight"), nullptr);
}

TEST_F(Merging, TheRealModelThatStoresItsHeadAlone) {
  RETORT_NEEDS(model, "real/models/tinystories-656K");
  const ModelFiles base = OpenModel(model);
  MakeAdapterFolder(folder_ / "adapter", base, nullptr);
  Merge({model, folder_ / "adapter", folder_ / "out", "", 1});
  ExpectMerged(base, folder_ / "out", 23, AsIs);
  EXPECT_EQ(LoadTokenizer(folder_ / "out")->EncodePrompt("Once upon"),
            LoadTokenizer(model)->EncodePrompt("Once upon"));
}

TEST_F(Merging, SaysWhatBaseAndAdapterSay) {
  for (const char* family : {"llama", "qwen2", "qwen3", "mistral"}) {
    SCOPED_TRACE(family);
    const Path base = folder_ / Cat(family, "-base"), adapter = folder_ / Cat(family, "-adapter"),
               out = folder_ / Cat(family, "-out");
    MakeModelFolder(base, FolderConfig(family));
    MakeAdapterFolder(adapter, OpenModel(base), nullptr);
    Merge({base, adapter, out, "", 1});
    const auto beside = LogitsOf(base, kIds, adapter);
    EXPECT_LT(LargestDifference(beside, LogitsOf(out, kIds)), 1e-4);
    EXPECT_GT(LargestDifference(beside, LogitsOf(base, kIds)), 0.05);  // the adapter matters
  }
}

// An adapter below the steps of bf16: most of it is lost, which a merge refuses or, forced, tells.
TEST_F(Merging, AChangeThatRoundingTakesAwayIsRefused) {
  MakeModelFolder(folder_ / "base", FolderConfig("llama"), {WeightFormat::kBF16});
  const ModelFiles base = OpenModel(folder_ / "base");
  MakeAdapterFolder(folder_ / "adapter", base, nullptr);
  MergeOptions options{folder_ / "base", folder_ / "adapter", folder_ / "good", "original", 1};
  const MergeReport good = Merge(options);
  EXPECT_NEAR(good.kept, 1, 0.05);
  EXPECT_TRUE(std::ranges::none_of(
      good.notes, [](const std::string& note) { return note.starts_with("rounding"); }));

  const Path config = folder_ / "adapter/adapter_config.json";
  Json j = ReadJson(config);
  j["lora_alpha"] = 6e-4;  // of 6
  WriteTextAtomically(config, DumpJson(j));
  for (const char* onto : {"original", "nf4"}) {
    SCOPED_TRACE(onto);
    options.onto = onto;
    options.out = folder_ / Cat("weak-", onto);
    options.force = false;
    try {
      Merge(options);
      ADD_FAILURE() << "not refused";
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), Error::Kind::kFailure);
      EXPECT_NE(std::string(e.what()).find("--force"), std::string::npos) << e.what();
    }
    EXPECT_FALSE(std::filesystem::exists(options.out));
    options.force = true;
    const MergeReport report = Merge(options);
    EXPECT_GT(report.rounding, 0.9);
    if (options.onto == "original") {
      EXPECT_LT(report.kept, 0.2);
    }
    EXPECT_TRUE(report.notes.back().starts_with("rounding to bf16")) << report.notes.back();
  }
}

TEST_F(Merging, AnAdapterOfZerosIsTold) {
  MakeModelFolder(folder_ / "base", FolderConfig("llama"), {WeightFormat::kBF16});
  const ModelFiles base = OpenModel(folder_ / "base");
  const auto backend = MakeCpuBackend(1, Compute::kF32);
  std::filesystem::create_directory(folder_ / "adapter");
  WriteAdapterFiles(folder_ / "adapter", *Adapter::Make({}, base.layout, 1, *backend), base.layout,
                    *backend);
  const MergeReport report = Merge({folder_ / "base", folder_ / "adapter", folder_ / "out", "", 1});
  EXPECT_NE(report.notes.back().find("every B is 0"), std::string::npos) << report.notes.back();
}

// Before anything is read or written.
TEST_F(Merging, ATargetThatIsThereIsRefused) {
  MakeModelFolder(folder_ / "base", FolderConfig("llama"));
  MakeAdapterFolder(folder_ / "adapter", OpenModel(folder_ / "base"), nullptr);
  folder_.Put("adapter/adapter_model.safetensors", "never read");
  for (const char* out : {"base", "adapter"}) {
    ExpectRefused(
        [&] {
          Merge({folder_ / "base", folder_ / "adapter", folder_ / out, "", 1});
        },
        {out, "is part of"});
  }
  std::filesystem::create_directory(folder_ / "full");
  folder_.Put("full/x", "x");
  ExpectRefused(
      [&] {
        Merge({folder_ / "base", folder_ / "adapter", folder_ / "full", "", 1});
      },
      {"full", "is there already"});
}

TEST_F(Merging, AnotherBaseIsRefused) {
  MakeModelFolder(folder_ / "base", FolderConfig("llama"));
  MakeModelFolder(folder_ / "other", FolderConfig("llama"), {.seed = 2});
  const BaseRecord record{(folder_ / "base").string(), Fingerprint(OpenModel(folder_ / "base")),
                          "as-is", true, ""};
  MakeAdapterFolder(folder_ / "adapter", OpenModel(folder_ / "base"), &record);
  EXPECT_THROW(Merge({folder_ / "other", folder_ / "adapter", folder_ / "out", "", 1}), Error);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "out"));
  DenseConfig wide = FolderConfig("llama");
  wide.ffn = 128;
  MakeModelFolder(folder_ / "wide", wide);
  MakeAdapterFolder(folder_ / "free", OpenModel(folder_ / "base"), nullptr);
  EXPECT_THROW(Merge({folder_ / "wide", folder_ / "free", folder_ / "out", "", 1}), Error);
  EXPECT_EQ(FilesIn(folder_.path()),
            (std::vector<std::string>{"adapter", "base", "free", "other", "wide"}));
}

}  // namespace
}  // namespace retort
