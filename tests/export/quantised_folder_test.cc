// SPDX-License-Identifier: Apache-2.0
// Folders quantised as by GPTQ, AWQ and LLM.int8, read back by the readers of such folders.
#include "export/quantised_folder.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "eval/agreement.h"
#include "model/load.h"
#include "model/stored_tensors.h"
#include "tensor/quant/quant.h"
#include "tests/support/family_configs.h"
#include "tests/support/model_folder.h"

namespace retort {
namespace {

std::vector<Example> Rows() {
  std::vector<Example> out;
  for (int64_t row = 0; row < 8; ++row) {
    Example example{row, {}, {}};
    for (int64_t t = 0; t < 24; ++t)
      example.ids.push_back(static_cast<int32_t>((row * 37 + t * t * 11) % 60));
    example.labels = example.ids;
    out.push_back(example);
  }
  return out;
}

class QuantisedFolder : public ::testing::Test {
 protected:
  QuantisedFolder() { MakeModelFolder(folder_ / "m", FolderConfig("llama")); }

  // The KL of the folder to the model as it was rounded, and to its source.
  std::pair<double, double> Make(FolderMethod method, const GroupKind& kind) {
    const auto backend = MakeCpuBackend(1, Compute::kF32);
    const ModelFiles files = OpenModel(folder_ / "m");
    const auto source = LoadModel(files, {}, *backend), model = LoadModel(files, {}, *backend);
    const Tuning tuning{model.get(), Rows(), {}};
    QuantiseFolder(files, folder_ / "q", {method, kind, 1, &tuning});
    const auto read = LoadModel(OpenModel(folder_ / "q"), {}, *backend);
    const auto kl = [&](const Model& of) {
      return CompareModels({&of, nullptr}, {{read.get(), nullptr}}, Rows(), 1 << 20)[0].mean_kl;
    };
    return {kl(*model), kl(*source)};
  }

  TemporaryFolder folder_;
};

TEST_F(QuantisedFolder, HoldsWhatWasRounded) {
  const std::pair<FolderMethod, GroupKind> cases[] = {{FolderMethod::kGptq, {4, 32, true}},
                                                      {FolderMethod::kGptq, {8, 32, true}},
                                                      {FolderMethod::kAwq, {4, 32, false}}};
  for (const auto& [method, kind] : cases) {
    SCOPED_TRACE(Cat(static_cast<int>(method), " ", kind.bits));
    const auto [to_rounded, to_source] = Make(method, kind);
    EXPECT_LT(to_rounded, 1e-12);
    EXPECT_GT(to_source, 1e-8);
    EXPECT_LT(to_source, kind.bits == 8 ? 1e-3 : 0.2);
    std::filesystem::remove_all(folder_ / "q");
  }
}

TEST_F(QuantisedFolder, Int8IsRoundedByTheMaximaOfRows) {
  const ModelFiles files = OpenModel(folder_ / "m");
  QuantiseFolder(files, folder_ / "q", {.method = FolderMethod::kInt8, .threads = 1});
  const ModelFiles read = OpenModel(folder_ / "q");
  const auto memory = MakeHostMemory();
  for (const TensorSpec& spec : files.layout.tensors) {
    const LinearSpec* linear = files.layout.LinearOf(spec);
    if (!linear || !linear->adaptable()) continue;
    const Weight want = FetchTensor(files, spec, *memory), got = FetchTensor(read, spec, *memory);
    std::vector<float> a(static_cast<size_t>(want.cols())), b(a.size());
    for (int64_t r = 0; r < want.rows(); ++r) {
      DecodeRow(want, r, 0, want.cols(), a.data());
      DecodeRow(got, r, 0, want.cols(), b.data());
      float most = 0;
      for (const float v : a) most = std::max(most, std::abs(v));
      for (size_t c = 0; c < a.size(); ++c)
        ASSERT_NEAR(a[c], b[c], most * (0.5 / 127 + 0x1p-11)) << spec.name;
    }
  }
}

TEST_F(QuantisedFolder, RefusesWhatDoesNotDivide) {
  const Tuning none{nullptr, {}, {}};
  const QuantiseOptions options{FolderMethod::kGptq, {4, 128, true}, 1, &none};
  ExpectRefused([&] { QuantiseFolder(OpenModel(folder_ / "m"), folder_ / "q", options); },
                {"q_proj.weight", "groups of 128", "--group"});
  EXPECT_FALSE(std::filesystem::exists(folder_ / "q"));
}

TEST_F(QuantisedFolder, RefusesAModelWithExperts) {
  MakeModelFolder(folder_ / "experts", FamilyConfigs()["qwen3_moe"]);
  ExpectRefused(
      [&] { QuantiseFolder(OpenModel(folder_ / "experts"), folder_ / "q", {FolderMethod::kInt8}); },
      {"a model with experts", "not supported"});
  EXPECT_FALSE(std::filesystem::exists(folder_ / "q"));
}

// By which readers know what to leave as it is, tied or not.
TEST_F(QuantisedFolder, NamesTheHeadThatIsNotQuantised) {
  Json config = FamilyConfigs()["llama"];
  for (const bool tied : {false, true}) {
    SCOPED_TRACE(tied);
    config["tie_word_embeddings"] = tied;
    const Path from = folder_ / (tied ? "tied" : "own"), to = folder_ / (tied ? "q1" : "q2");
    MakeModelFolder(from, config);
    QuantiseFolder(OpenModel(from), to, {.method = FolderMethod::kInt8, .threads = 1});
    const Json settings = ReadJson(to / "config.json")["quantization_config"];
    EXPECT_EQ(settings.value("llm_int8_skip_modules", Json()), Json::array({"lm_head"}));
  }
}

}  // namespace
}  // namespace retort
