// SPDX-License-Identifier: Apache-2.0
// Several adapters: the sum of their changes, each times its weight.
#include "model/adapter_sum.h"

#include <gtest/gtest.h>

#include "export/merge.h"
#include "model/load.h"
#include "model/store/folders.h"
#include "model/stored_tensors.h"
#include "tensor/quant/quant.h"
#include "tests/support/model_folder.h"

namespace retort {
namespace {

TEST(WeightedAdapter, IsAFolderAndANumber) {
  EXPECT_EQ(ParseWeightedAdapter("a/b").weight, 1);
  EXPECT_EQ(ParseWeightedAdapter("a/b=0.25").weight, 0.25);
  EXPECT_EQ(ParseWeightedAdapter("a/b=0.25").folder, "a/b");
  EXPECT_EQ(ParseWeightedAdapter("rank=8/b=-2").folder, "rank=8/b");
  for (const char* wrong : {"a=", "a=x", "a=0", "a=1e999", "a=1e300", "a=1 "})
    EXPECT_THROW(ParseWeightedAdapter(wrong), Error) << wrong;
  TemporaryFolder folder;
  std::filesystem::create_directories(folder / "rank=8");
  EXPECT_EQ(ParseWeightedAdapter((folder / "rank=8").string()).weight, 1);
}

class AdapterSums : public testing::Test {
 protected:
  AdapterSums() {
    MakeModelFolder(folder_ / "base", FolderConfig("qwen2"));
    files_ = OpenModel(folder_ / "base");
    MakeAdapterFolder(folder_ / "one", files_, nullptr, 5);
    MakeAdapterFolder(folder_ / "two", files_, nullptr, 6, ".*(q|up)_proj");
  }
  // s B A of a layer; empty without an adapter.
  std::vector<float> Change(const Adapter& adapter, size_t id) {
    const AdapterSite* site = adapter.at(static_cast<LinearId>(id));
    if (!site) return {};
    Tensor out = backend_->New({site->b.value.rows(), site->a.value.cols()});
    backend_->Gemm(false, false, site->scale, site->b.value, site->a.value, 0, out);
    return backend_->ToFloats(out);
  }
  std::unique_ptr<Adapter> Loaded(const std::vector<WeightedAdapter>& adapters) {
    return LoadAdapters(adapters, files_.layout, *backend_, {&files_});
  }

  TemporaryFolder folder_;
  ModelFiles files_;
  const std::unique_ptr<Backend> backend_ = MakeCpuBackend(1, Compute::kF32);
};

TEST_F(AdapterSums, AddChangesTimesWeights) {
  const auto one = Loaded({{folder_ / "one", 1}}), two = Loaded({{folder_ / "two", 1}}),
             sum = Loaded({{folder_ / "one", 0.5}, {folder_ / "two", -2}});
  size_t both = 0;
  for (size_t id = 0; id < files_.layout.linears.size(); ++id) {
    const std::vector<float> a = Change(*one, id), b = Change(*two, id), got = Change(*sum, id);
    ASSERT_EQ(got.size(), a.size());
    both += !b.empty();
    for (size_t i = 0; i < got.size(); ++i)
      ASSERT_NEAR(got[i], 0.5 * a[i] - (b.empty() ? 0 : 2 * b[i]), 1e-6) << id;
  }
  EXPECT_EQ(both, 4u);
}

TEST_F(AdapterSums, MergeAsTheyRun) {
  Merge({.base = folder_ / "base",
         .adapter = folder_ / "one",
         .out = folder_ / "merged",
         .onto = "original",
         .threads = 1,
         .weight = 0.5,
         .others = {{folder_ / "two", 2}}});
  const ModelFiles merged = OpenModel(folder_ / "merged");
  const auto sum = Loaded({{folder_ / "one", 0.5}, {folder_ / "two", 2}});
  const auto memory = MakeHostMemory();
  for (const TensorSpec& spec : files_.layout.tensors) {
    if (!spec.is_matrix()) continue;
    const Weight before = FetchTensor(files_, spec, *memory),
                 after = FetchTensor(merged, spec, *memory);
    const std::vector<float> change = Change(*sum, static_cast<size_t>(spec.target.id));
    std::vector<float> x(static_cast<size_t>(before.cols())), y(x.size());
    for (int64_t r = 0; r < before.rows(); ++r) {
      DecodeRow(before, r, 0, before.cols(), x.data());
      DecodeRow(after, r, 0, after.cols(), y.data());
      for (size_t c = 0; c < x.size(); ++c) {
        const size_t at = static_cast<size_t>(r) * x.size() + c;
        ASSERT_NEAR(y[c], x[c] + (change.empty() ? 0 : change[at]), 1e-6) << spec.name;
      }
    }
  }
}

TEST_F(AdapterSums, AreNotMergedWhereTheyOverflow) {
  for (const double weight : {3e38, 1e20}) {
    MergeOptions options{folder_ / "base", folder_ / "one", folder_ / "merged", "original", 1};
    options.weight = weight;
    options.force = true;
    if (weight == 1e20) {  // large, and a number all the same
      EXPECT_NO_THROW(Merge(options));
      continue;
    }
    EXPECT_THROW(Merge(options), Error);
    EXPECT_FALSE(std::filesystem::exists(folder_ / "merged"));
  }
}

TEST_F(AdapterSums, RefuseWhatCannotBeAdded) {
  const auto put = [&](const char* name, auto change) {
    AdapterConfig c;
    c.rank = 2, c.targets = {"q_proj"};
    change(c);
    const auto model = LoadModel(files_, {}, *backend_);
    std::filesystem::create_directories(folder_ / name);
    WriteAdapterFiles(folder_ / name,
                      *Adapter::Make(c, files_.layout, 1, *backend_, {&files_, model.get()}),
                      files_.layout, *backend_);
  };
  put("dora", [](AdapterConfig& c) { c.dora = true; });
  put("saved", [](AdapterConfig& c) { c.saved_modules = {"lm_head"}; });
  put("head", [](AdapterConfig& c) { c.saved_modules = {"lm_head"}; });
  put("tokens", [](AdapterConfig& c) { c.tokens = {{"", {1, 2}}}; });
  put("table", [](AdapterConfig& c) { c.targets = {"embed_tokens"}; });
  put("saved-table", [](AdapterConfig& c) { c.saved_modules = {"embed_tokens"}; });
  put("whole", [](AdapterConfig& c) { c.targets = {"k_proj"}, c.saved_modules = {"up_proj"}; });
  const auto refused = [&](const std::vector<WeightedAdapter>& adapters, const char* part) {
    try {
      Loaded(adapters);
      FAIL() << part;
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), Error::Kind::kInput);
      EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
    }
  };
  refused({{folder_ / "one", 1}, {folder_ / "dora", 1}}, "is DoRA");
  refused({{folder_ / "dora", 0.5}}, "is DoRA");
  refused({{folder_ / "saved", 0.5}}, "have no weight");
  refused({{folder_ / "saved", 1}, {folder_ / "head", 1}}, "another adapter does too");
  for (const auto& [a, b] : std::vector<std::pair<const char*, const char*>>{
           {"one", "whole"}, {"tokens", "table"}, {"tokens", "saved-table"}})
    refused({{folder_ / a, 1}, {folder_ / b, 1}}, "two adapters train model.");
  refused({{folder_ / "one", 1}, {folder_ / "two/../one", 0.5}}, "given twice");
  EXPECT_NO_THROW(Loaded({{folder_ / "one", 0.5}, {folder_ / "saved", 1}}));
}

}  // namespace
}  // namespace retort
