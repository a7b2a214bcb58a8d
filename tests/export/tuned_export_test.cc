// SPDX-License-Identifier: Apache-2.0
// Files whose blocks are rounded with error feedback.
#include <nlohmann/json.hpp>

#include "compress/format_losses.h"
#include "eval/agreement.h"
#include "export/folder_export.h"
#include "export/gguf_export.h"
#include "export/measured_mix.h"
#include "model/load.h"
#include "tests/support/family_configs.h"
#include "tests/support/model_folder.h"

namespace retort {
namespace {

std::vector<Example> SomeRows() {
  std::vector<Example> out;
  uint32_t state = 1;
  for (int64_t row = 0; row < 12; ++row) {
    Example example{row, {}, {}};
    for (int t = 0; t < 24; ++t)
      example.ids.push_back(static_cast<int32_t>((state = state * 1664525 + 1013904223) >> 16) %
                            40);
    example.labels = example.ids;
    out.push_back(example);
  }
  return out;
}

struct Tuned {
  std::string content;  // of the file
  double kl, plain_kl;  // to the source, and of the file without tuning
  double off;           // of the file's logits from those of the tuned model
};

Tuned Export(const Path& folder, const Path& to, WeightFormat type, int threads,
             int64_t moment_bytes) {
  const auto backend = MakeCpuBackend(threads, Compute::kF32);
  const ModelFiles files = OpenModel(folder);
  const auto source = LoadModel(files, {}, *backend), model = LoadModel(files, {}, *backend);
  Tuning tuning{model.get(), SomeRows(), {.batch_tokens = 100, .moment_bytes = moment_bytes}};
  int64_t layers = 0;
  tuning.options.on_layer = [&](int64_t layer) { EXPECT_EQ(layer, layers++); };
  WriteGguf(files, to / "plain.gguf", {.type = type, .threads = threads});
  WriteGguf(files, to / "tuned.gguf", {.type = type, .threads = threads, .tuning = &tuning});
  EXPECT_EQ(layers, files.config.layers());
  const auto plain = LoadModel(OpenModel(to / "plain.gguf"), {}, *backend),
             tuned = LoadModel(OpenModel(to / "tuned.gguf"), {}, *backend);
  const std::vector<Agreement> found =
      CompareModels({source.get(), nullptr}, {{tuned.get(), nullptr}, {plain.get(), nullptr}},
                    SomeRows(), 1 << 20);
  // Embedding and head are quantised in the file alone.
  for (const LinearId id : {files.layout.embedding, files.layout.head})
    model->linears[static_cast<size_t>(id)] = tuned->linear(id);
  const std::vector<Agreement> same =
      CompareModels({model.get(), nullptr}, {{tuned.get(), nullptr}}, SomeRows(), 1 << 20);
  return {ContentSum(to / "tuned.gguf"), found[0].mean_kl, found[1].mean_kl, same[0].largest_kl};
}

// Rows of q and k that a GGUF interleaves, fused matrices, and experts.
TEST(TunedExport, IsCloserToItsSource) {
  for (const char* family : {"llama", "gemma2", "phi3", "qwen3_moe"}) {
    SCOPED_TRACE(family);
    TemporaryFolder folder;
    MakeModelFolder(folder / "m", FamilyConfigs()[family]);
    const Tuned tuned = Export(folder / "m", folder.path(), FormatNamed("q4_0"), 1, 1 << 30);
    EXPECT_LT(tuned.kl, 0.8 * tuned.plain_kl);
    EXPECT_LT(tuned.off, 1e-6);
  }
}

TEST(TunedExport, IsTheSameForAnyNumberOfThreads) {
  TemporaryFolder folder;
  MakeModelFolder(folder / "m", FolderConfig("llama"));
  const auto content = [&](int threads, int64_t moment_bytes) {
    return Export(folder / "m", folder.path(), FormatNamed("q5_1"), threads, moment_bytes).content;
  };
  EXPECT_EQ(content(1, 1 << 30), content(3, 1 << 30));
  // One matrix of moments at a time, each on what those before it give.
  EXPECT_EQ(content(1, 0), content(3, 0));
  EXPECT_NE(content(1, 0), content(1, 1 << 30));
}

TEST(FormatLosses, AreThoseOfEachTensorAlone) {
  TemporaryFolder folder;
  MakeModelFolder(folder / "m", FolderConfig("llama"));
  const auto backend = MakeCpuBackend(1, Compute::kF32);
  const ModelFiles files = OpenModel(folder / "m");
  const auto model = LoadModel(files, {}, *backend), source = LoadModel(files, {}, *backend);
  const std::vector<WeightFormat> formats = {FormatNamed("q4_0"), FormatNamed("q8_0"),
                                             FormatNamed("q4_k")};
  int64_t calls = 0;
  FormatLosses losses(files, SomeRows(), formats,
                      {.tokens = 64, .on_progress = [&](int64_t, int64_t) { ++calls; }}, *model);
  const std::vector<MixItem>& items = losses.items();
  ASSERT_EQ(std::ssize(items), calls);
  for (const MixItem& item : items) {
    SCOPED_TRACE(item.name);
    ASSERT_EQ(item.choices.size(), 2u);  // rows of 64 and 96 are no blocks of 256
    EXPECT_GT(item.choices[0].kl, 20 * item.choices[1].kl);
    EXPECT_LT(item.choices[0].bytes, item.choices[1].bytes);
  }
  const auto kl = [&](size_t choice) {
    return losses.KlOf(std::vector<size_t>(items.size(), choice));
  };
  EXPECT_GT(kl(0), 20 * kl(1));
  // The model is as it was.
  const Agreement same =
      CompareModels({source.get(), nullptr}, {{model.get(), nullptr}}, SomeRows(), 1 << 20)[0];
  EXPECT_EQ(same.largest_kl, 0);
}

// What the first format keeps as it is says nothing of the others.
TEST(FormatLosses, OfMatricesOnTheFirstFormatsGrid) {
  TemporaryFolder folder;
  MakeModelFolder(folder / "m", FolderConfig("llama"));
  ExportGguf(OpenModel(folder / "m"), folder / "m.gguf", OptionsOfType("q4_0", /*pure=*/true));
  ExportFolder(OpenModel(folder / "m.gguf"), folder / "on_grid", {});
  const auto backend = MakeCpuBackend(1, Compute::kF32);
  const ModelFiles files = OpenModel(folder / "on_grid");
  const auto model = LoadModel(files, {}, *backend);
  const FormatLosses losses(files, SomeRows(),
                            {FormatNamed("q4_0"), FormatNamed("iq4_nl"), FormatNamed("q8_0")},
                            {.tokens = 64}, *model);
  for (const MixItem& item : losses.items()) {
    SCOPED_TRACE(item.name);
    EXPECT_GT(item.choices[1].kl, 0);
    EXPECT_LT(item.choices[0].kl, item.choices[1].kl / 1000);
    EXPECT_GE(item.choices[0].kl, 0);
    EXPECT_LT(item.choices[2].kl, item.choices[1].kl / 10);
  }
}

TEST(MeasuredMix, KeepsToItsSizeOrKl) {
  TemporaryFolder folder;
  MakeModelFolder(folder / "m", FolderConfig("llama"));
  const auto backend = MakeCpuBackend(1, Compute::kF32);
  const ModelFiles files = OpenModel(folder / "m");
  const auto model = LoadModel(files, {}, *backend);
  FormatLosses losses(files, SomeRows(), MixFormats(), {.tokens = 64}, *model);
  const Path to = folder / "mix.gguf";
  const auto bytes_of = [&](const char* type) {
    return GgufBytes(files, to, OptionsOfType(type, /*pure=*/true));
  };
  const auto written = [&](const MixGoal& goal, MeasuredMix* mix) {
    GgufExportOptions options;
    *mix = ChooseMix(files, to, goal, losses, &options);
    for (const auto& [name, format] : options.formats)
      EXPECT_LE(TraitsOf(format).kl_limit, TraitsOf(options.type).kl_limit) << name;
    return WriteGguf(files, to, options).bytes;
  };
  EXPECT_EQ(WriteGguf(files, to, OptionsOfType("q5_1", true)).bytes, bytes_of("q5_1"));
  MeasuredMix mix;
  const int64_t most = (bytes_of("q4_0") + bytes_of("q8_0")) / 2,
                bytes = written({.bytes = most}, &mix);
  EXPECT_LE(bytes, most);
  EXPECT_GT(bytes, most * 9 / 10);
  const double smallest_kl = losses.KlOf(std::vector<size_t>(mix.items.size(), 0));
  EXPECT_LT(mix.kl, smallest_kl / 4);
  EXPECT_LT(written({.kl = smallest_kl / 10}, &mix), bytes_of("q8_0"));
  EXPECT_LE(mix.kl, smallest_kl / 10);
  EXPECT_EQ(MixJson(mix)["tensors"].size(), mix.items.size());
  ExpectRefused([&] { written({.bytes = 1000}, &mix); }, {"--size"});
  ExpectRefused([&] { written({.kl = 1e-12}, &mix); }, {"--kl", "is not reached"});
}

}  // namespace
}  // namespace retort
