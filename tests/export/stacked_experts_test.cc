// SPDX-License-Identifier: Apache-2.0
// Folders with stacked experts, as transformers 5 writes them with save_original_format=False:
// gate_up_proj [E, 2 F, C], each expert's gate rows before its up rows, and down_proj [E, C, F].
// The test writes them by hand.
#include <nlohmann/json.hpp>

#include "export/merge.h"
#include "formats/safetensors.h"
#include "model/spec/config_writer.h"
#include "model/store/folders.h"
#include "model/stored_tensors.h"
#include "tests/support/model_folder.h"

namespace retort {
namespace {

constexpr int kLayers = 2, kExperts = 3;
constexpr int64_t kWidth = 64, kFfn = 96;

// What a family calls an expert's matrices and its router.
struct Names {
  const char *family, *module, *gate, *up, *down;
};

Json ConfigOf(const Names& names) {
  DenseConfig dense = FolderConfig(names.family);
  dense.ends = {256};
  Json j = ConfigJson(dense, "float32");
  j["num_local_experts"] = kExperts;
  j["num_experts_per_tok"] = 2;
  j["moe_intermediate_size"] = kFfn;
  j["norm_topk_prob"] = true;
  j.erase("mlp_only_layers");
  return j;
}

void Append(const TensorTable& from, const std::string& name, std::vector<std::byte>& to) {
  const TensorEntry* entry = from.Find(name);
  ASSERT_NE(entry, nullptr) << name;
  to.insert(to.end(), entry->bytes.begin(), entry->bytes.end());
}

// The folder `from` with stacked experts, as `to`. `twice` keeps one expert's own down matrix too.
void Stack(const Names& names, const Path& from, const Path& to, bool twice = false) {
  std::filesystem::create_directories(to);
  CopyModelFiles(from, to);
  const TensorTable tensors = ReadSafetensorsFolder(from);
  std::map<std::string, std::pair<std::vector<int64_t>, std::vector<std::byte>>> out;
  for (const TensorEntry& entry : tensors.entries()) {
    if (entry.name.find(names.module) == std::string::npos)
      out[entry.name] = {entry.shape, {entry.bytes.begin(), entry.bytes.end()}};
  }
  for (int layer = 0; layer < kLayers; ++layer) {
    const std::string old = Cat("model.layers.", layer, ".", names.module, "."),
                      now = Cat("model.layers.", layer, ".mlp.");
    std::vector<std::byte> gate_up, down, router;
    for (int e = 0; e < kExperts; ++e) {
      const std::string expert = Cat(old, "experts.", e, ".");
      Append(tensors, expert + names.gate + ".weight", gate_up);
      Append(tensors, expert + names.up + ".weight", gate_up);
      Append(tensors, expert + names.down + ".weight", down);
    }
    Append(tensors, old + "gate.weight", router);
    out[now + "experts.gate_up_proj"] = {{kExperts, 2 * kFfn, kWidth}, gate_up};
    out[now + "experts.down_proj"] = {{kExperts, kWidth, kFfn}, down};
    out[now + "gate.weight"] = {{kExperts, kWidth}, router};
  }
  if (twice) {
    const std::string name =
        Cat("model.layers.1.", names.module, ".experts.2.", names.down, ".weight");
    out[name].first = {kWidth, kFfn};
    Append(tensors, name, out[name].second);
  }
  SafetensorsWriter writer(to / "model.safetensors", {{"format", "pt"}});
  for (const auto& [name, tensor] : out) writer.Declare(name, WeightFormat::kF32, tensor.first);
  for (const auto& [name, tensor] : out) writer.Write(name, tensor.second);
  writer.Commit();
}

class StackedExperts : public testing::TestWithParam<Names> {
 protected:
  void SetUp() override {
    MakeModelFolder(apart_, ConfigOf(GetParam()));
    Stack(GetParam(), apart_, stacked_);
  }

  static void ExpectSameWeights(const Path& a, const Path& b) {
    const ModelFiles one = OpenModel(a), other = OpenModel(b);
    const auto memory = MakeHostMemory();
    int matrices = 0;
    for (const TensorSpec& spec : one.layout.tensors) {
      if (!spec.is_matrix()) continue;
      const Weight x = FetchTensor(one, spec, *memory), y = FetchTensor(other, spec, *memory);
      EXPECT_EQ(x.rows(), y.rows()) << spec.name;
      EXPECT_TRUE(std::ranges::equal(x.bytes(), y.bytes())) << spec.name;
      ++matrices;
    }
    EXPECT_EQ(matrices, 2 + kLayers * (4 + 1 + 3 * kExperts));
  }

  TemporaryFolder folder_;
  const Path apart_ = folder_ / "apart", stacked_ = folder_ / "stacked";
};

TEST_P(StackedExperts, AreTheSameWeights) {
  ExpectSameWeights(apart_, stacked_);
  EXPECT_EQ(LogitsOf(apart_, kIds), LogitsOf(stacked_, kIds));
}

TEST_P(StackedExperts, TakeAnAdapterAndStayStacked) {
  MakeAdapterFolder(folder_ / "adapter", OpenModel(apart_), nullptr, 5, ".*layers.*");
  for (const char* onto : {"original", "nf4"}) {
    SCOPED_TRACE(onto);
    const Path a = folder_ / Cat("a-", onto), b = folder_ / Cat("b-", onto);
    const MergeReport one = Merge({apart_, folder_ / "adapter", a, onto, 1});
    const MergeReport other = Merge({stacked_, folder_ / "adapter", b, onto, 1});
    EXPECT_EQ(one.changed, other.changed);
    EXPECT_EQ(one.changed, kLayers * (4 + 3 * kExperts));
    ExpectSameWeights(a, b);
    EXPECT_NE(ReadSafetensorsFolder(b).Find("model.layers.1.mlp.experts.gate_up_proj"), nullptr);
  }
}

TEST_P(StackedExperts, StoredTwiceAreRefused) {
  Stack(GetParam(), apart_, folder_ / "twice", true);
  try {
    OpenModel(folder_ / "twice");
    FAIL() << "was read";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find(
                  "is there twice, also within 'model.layers.1.mlp.experts.down_proj'"),
              std::string::npos)
        << e.what();
  }
}

INSTANTIATE_TEST_SUITE_P(, StackedExperts,
                         testing::Values(Names{"mixtral", "block_sparse_moe", "w1", "w3", "w2"},
                                         Names{"qwen3_moe", "mlp", "gate_proj", "up_proj",
                                               "down_proj"}),
                         [](const auto& one) { return std::string(one.param.family); });

}  // namespace
}  // namespace retort
