// SPDX-License-Identifier: Apache-2.0
#include "export/gguf_mix.h"

#include <cmath>

#include "export/gguf_export.h"
#include "export/init_model.h"
#include "tests/export/model_folder.h"

namespace retort {
namespace {

// What `llama-quantize` (llama.cpp of ggml 0.25.1) makes of the F32 file of this model, whose rows
// of 288 values are not whole blocks of 256 and whose four query heads share a key head.
constexpr std::pair<std::string_view, std::string_view> kOfLlamaCpp[] = {
    {"q2_k", "f468b1debe76c165a966aef44fcbf23b9577b5310d85de26eb7fb0239810277a"},
    {"q3_k_s", "95bbf597a00667000618198f5f18971538b1c6cac13aed776b12553fddf7897e"},
    {"q3_k_m", "4f96358c54b92212c7eb6be8dacf4518f684ca2ee9951c8bbe3593bafbf0ddd9"},
    {"q3_k_l", "9d45c280a12293c71a132b34f7baf62fcbbc7c29a0ee8b1ef073c82f1ac7babf"},
    {"q4_k_s", "c3d02e4235e5de0b6deecbeadf600d25846c425e0eba33314a229c743bcea3f4"},
    {"q4_k_m", "56193de19bbfae2337cda843533eeac744d07b56df2f5f477bbfa366c8709d94"},
    {"q5_k_s", "67f1798f2369b4d768ce5193c9b24b128436cd60bf2f86288771fc1f9368ecac"},
    {"q5_k_m", "7a600be3120ab8bd98283f75c5f8886af5798e20d71605f619a706f0ef9d960f"},
    {"q6_k", "56394f4ad2fc73735f09c398a241aa5f818f29a6318f9c691ae21cd31147d242"},
    {"iq4_nl", "8e4309aa3dc3035ebcbfe9e8a2bc4975d7a7096636752d54499d778df255a0e6"},
    {"iq4_xs", "b568cccbe937e2cc05ee1ae9dca1f969e9957c842f3219651dac8e0fd71377cd"},
    {"tq1_0", "cd52f3f9d0043784232b88030d50345f38f4f7311dda9f894ab8f1db75ff3f7a"},
    {"tq2_0", "f930a3d5e8cccd176ae1d9fe01b50c88d6dc56d90eb0b239396d83dc13998bc4"},
    {"mxfp4_moe", "3dc7cf795f36f1d53b54808639589c0dd30835183bd2580ea394c33c9c24c5b9"},
};

// The same with an importance matrix of its blocks' matrices.
constexpr std::pair<std::string_view, std::string_view> kWeighted[] = {
    {"q2_k_s", "033d8d678062f425290bcf48f6fab0866d988f6dc85dc69b89410f5dcd73433d"},
    {"q4_k_m", "3188470386ed22c51b222d761a9cba4dae1cddc112f1fd0289ad46938194bfec"},
    {"iq4_xs", "2f0f7eb231aa9d010dcc42c608731f6a98de1bdb8f7d9ad5002baf64bf2643ba"},
};

ModelFiles MakeModel(const TemporaryFolder& folder) {
  InitOptions options;
  options.config = ShapeNamed("9,256,4,1,288,300");
  options.seed = 7;
  WriteInitialModel(folder / "m", options);
  return OpenModel(folder / "m");
}

TEST(GgufMix, FilesAreThoseOfLlamaCpp) {
  TemporaryFolder folder;
  const ModelFiles model = MakeModel(folder);
  ASSERT_EQ(std::size(kOfLlamaCpp) + 1, GgufMixes().size());  // it makes q2_k_s by importance alone
  for (const auto& [type, sum] : kOfLlamaCpp) {
    SCOPED_TRACE(type);
    const GgufExportResult done = WriteGguf(model, folder / "m.gguf", OptionsOfType(type));
    EXPECT_EQ(ContentSum(folder / "m.gguf"), sum);
    EXPECT_EQ(ReadGguf(folder / "m.gguf").metadata.Int("general.file_type"),
              FindMix(type)->file_type);
    EXPECT_EQ(done.other_formats.empty(), type == "mxfp4_moe");  // it has blocks of 32 alone
  }
}

using Numbers = std::vector<float>;
// An importance matrix as llama-imatrix writes it.
Path WriteImportance(const Path& file,
                     const std::vector<std::pair<std::string, std::pair<Numbers, Numbers>>>& all) {
  GgufMetadata m;
  m.Set("general.type", std::string("imatrix"));
  GgufWriter writer(file, m);
  for (const auto& [name, numbers] : all) {
    const auto& [sums, counts] = numbers;
    const int64_t experts = std::ssize(counts);
    writer.Declare(name + ".in_sum2", WeightFormat::kF32, {experts, std::ssize(sums) / experts});
    writer.Declare(name + ".counts", WeightFormat::kF32, {experts, 1});
  }
  for (const auto& [name, numbers] : all) {
    writer.Write(name + ".in_sum2", std::as_bytes(std::span(numbers.first)));
    writer.Write(name + ".counts", std::as_bytes(std::span(numbers.second)));
  }
  writer.Commit();
  return file;
}

TEST(GgufMix, WeightedFilesAreThoseOfLlamaCpp) {
  TemporaryFolder folder;
  const ModelFiles model = MakeModel(folder);
  std::vector<std::pair<std::string, std::pair<Numbers, Numbers>>> all;
  for (const TensorSpec& spec : model.layout.tensors) {
    const LinearSpec* linear = model.layout.LinearOf(spec);
    if (!linear || !linear->in_block()) continue;
    Numbers sums;
    for (int64_t c = 0; c < linear->cols; ++c) {
      const auto root = static_cast<float>(c * 7 % 13);
      sums.push_back(root * root / 8);
    }
    all.push_back({spec.gguf_name, {sums, {3}}});
  }
  const Path matrix = WriteImportance(folder / "imatrix", all);
  for (const auto& [type, sum] : kWeighted) {
    SCOPED_TRACE(type);
    GgufExportOptions options = OptionsOfType(type);
    options.importance = Importance::Read(matrix);
    EXPECT_EQ(options.importance.size(), all.size());
    const GgufExportResult done = WriteGguf(model, folder / "m.gguf", options);
    EXPECT_EQ(ContentSum(folder / "m.gguf"), sum);
    EXPECT_EQ(done.unweighted, (std::vector<std::string>{"token_embd.weight", "output.weight"}));
  }
}

TEST(Importance, IsTheMeanOfEachExpertsInputs) {
  TemporaryFolder folder;
  const Importance i = Importance::Read(
      WriteImportance(folder / "i", {{"a", {{2, 4}, {2}}}, {"e", {{6, 9, 0, 0}, {3, 0}}}}));
  const auto values = [&](const char* name, int64_t expert, int64_t experts) {
    const std::span<const float> of = i.Of(name, expert, experts, 2);
    return Numbers(of.begin(), of.end());
  };
  EXPECT_EQ(values("a", -1, 0), (Numbers{1, 2}));
  EXPECT_EQ(values("e", 0, 2), (Numbers{2, 3}));
  EXPECT_EQ(values("e", 1, 2), (Numbers{1, 1}));  // saw nothing
  EXPECT_TRUE(values("b", -1, 0).empty());
  ExpectRefused([&] { i.Of("a", -1, 0, 3); }, {"'a' has 2 numbers", "of this model"});
  ExpectRefused([&] { i.Of("e", 0, 4, 1); }, {"'e'", "2 experts"});
}

TEST(Importance, RefusesWhatIsNone) {
  TemporaryFolder folder;
  const auto refuse = [&](const Numbers& sums, const Numbers& counts, const std::string& text) {
    WriteImportance(folder / "i", {{"a", {sums, counts}}});
    ExpectRefused([&] { Importance::Read(folder / "i"); }, {"i", text});
  };
  refuse({1, -1}, {2}, "holds -1");
  refuse({1, std::nanf("")}, {2}, "holds nan");
  refuse({1, 1}, {-2}, "holds -2");
  GgufWriter(folder / "none", GgufMetadata()).Commit();
  ExpectRefused([&] { Importance::Read(folder / "none"); }, {"none", "is no importance matrix"});
  GgufWriter half(folder / "half", GgufMetadata());
  half.Declare("a.in_sum2", WeightFormat::kF32, {2});
  const Numbers sums{1, 2};
  half.Write("a.in_sum2", std::as_bytes(std::span(sums)));
  half.Commit();
  ExpectRefused([&] { Importance::Read(folder / "half"); }, {"'a' has sums without counts"});
}

TEST(GgufMix, NamesAreFormatsMixesAndOtherNamesOfMixes) {
  EXPECT_EQ(FindMix("q4_k"), FindMix("q4_k_m"));
  EXPECT_EQ(FindMix("q4_0"), nullptr);
  EXPECT_EQ(OptionsOfType("q4_0").mix, nullptr);
  EXPECT_EQ(OptionsOfType("q3_k_l").type, FormatNamed("q3_k"));
  for (const std::string& name : GgufTypeNames()) EXPECT_NO_THROW(OptionsOfType(name));
  ExpectRefused([] { OptionsOfType("q9_k_m"); }, {"'q9_k_m' is not a type of GGUF files"});
  ExpectRefused([] { OptionsOfType("nf4"); }, {"use one of f32, f16"});
}

// As llama-quantize chose them for models of these kinds.
TEST(GgufMix, KnowsEightExpertsFalconAndSeventyBillions) {
  const auto format = [](std::string_view mix, const Architecture& model, std::string_view name,
                         int64_t layer) {
    const MixPlace place{name, layer, model.layers(), 256, name.ends_with("exps.weight")};
    return TraitsOf(FormatInMix(*FindMix(mix), model, place)).name;
  };
  DenseConfig dense;
  dense.layers = 17, dense.width = 256, dense.heads = 4, dense.kv_heads = 2, dense.head_dim = 64;
  dense.ffn = 256, dense.vocab = 600;
  Architecture model = dense;
  EXPECT_EQ(format("q4_k_m", model, "blk.0.attn_v.weight", 0), "q6_k");
  EXPECT_EQ(format("q4_k_m", model, "blk.3.attn_v.weight", 3), "q4_k");
  EXPECT_EQ(format("q4_k_m", model, "blk.4.ffn_down.weight", 4), "q6_k");
  EXPECT_EQ(format("q2_k", model, "blk.4.attn_output.weight", 4), "q3_k");
  EXPECT_EQ(format("q4_k_m", model, "output.weight", -1), "q6_k");
  EXPECT_EQ(format("tq1_0", model, "token_embd.weight", -1), "q4_k");
  for (BlockSpec& b : model.blocks) b.mlp.experts.emplace().count = 8;
  EXPECT_EQ(format("q4_k_m", model, "blk.3.attn_v.weight", 3), "q8_0");
  EXPECT_EQ(format("q4_k_m", model, "blk.3.attn_k.weight", 3), "q8_0");
  EXPECT_EQ(format("q4_k_m", model, "blk.3.attn_output.weight", 3), "q5_k");
  EXPECT_EQ(format("q3_k_l", model, "blk.3.attn_output.weight", 3), "q3_k");
  EXPECT_EQ(format("mxfp4_moe", model, "blk.3.ffn_down_exps.weight", 3), "mxfp4");
  EXPECT_EQ(format("mxfp4_moe", model, "blk.3.attn_q.weight", 3), "q8_0");
  dense.family = "falcon";
  model = dense;
  EXPECT_EQ(format("q4_k_m", model, "blk.0.ffn_down.weight", 0), "q6_k");
  EXPECT_EQ(format("q4_k_m", model, "blk.1.ffn_down.weight", 1), "q5_k");
  EXPECT_EQ(format("q4_k_s", model, "blk.0.ffn_down.weight", 0), "q4_k");
  EXPECT_EQ(format("q4_k_m", model, "output.weight", -1), "q8_0");
  dense.family = "llama", dense.layers = 80;
  model = dense;
  EXPECT_EQ(format("q4_k_s", model, "blk.40.attn_v.weight", 40), "q5_k");
}

}  // namespace
}  // namespace retort
