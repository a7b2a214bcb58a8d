// SPDX-License-Identifier: Apache-2.0
#include "export/gguf_mix.h"

#include <algorithm>
#include <cmath>

#include "export/gguf_export.h"
#include "export/init_model.h"
#include "tests/support/model_folder.h"

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
  const auto is_mix = [](const std::string& name) {
    const GgufMix* mix = FindMix(name);
    return mix && mix->name == name;
  };
  ASSERT_EQ(std::ssize(kOfLlamaCpp) + 1,  // it makes q2_k_s by importance alone
            std::ranges::count_if(GgufTypeNames(), is_mix));
  for (const auto& [type, sum] : kOfLlamaCpp) {
    SCOPED_TRACE(type);
    const GgufExportResult done = WriteGguf(model, folder / "m.gguf", OptionsOfType(type));
    EXPECT_EQ(ContentSum(folder / "m.gguf"), sum);
    EXPECT_EQ(ReadGguf(folder / "m.gguf").metadata.Int("general.file_type"),
              FindMix(type)->file_type);
    EXPECT_EQ(done.other_formats.empty(), type == "mxfp4_moe");  // it has blocks of 32 alone
  }
}

TEST(GgufMix, WeightedFilesAreThoseOfLlamaCpp) {
  TemporaryFolder folder;
  const ModelFiles model = MakeModel(folder);
  std::vector<InputSquares> inputs(model.layout.linears.size());
  size_t matrices = 0;
  for (size_t id = 0; id < inputs.size(); ++id) {
    const LinearSpec& linear = model.layout.linears[id];
    if (!linear.in_block()) continue;
    ++matrices;
    inputs[id].tokens = 3;
    for (int64_t c = 0; c < linear.cols; ++c) {
      const auto root = static_cast<double>(c * 7 % 13);
      inputs[id].sums.push_back(root * root / 8);
    }
  }
  for (const char* form : {"matrix.gguf", "matrix.dat"}) {
    const Path matrix = folder / form;
    EXPECT_EQ(WriteImportance(model.layout, inputs, {"rows", 1, 3}, matrix), matrices);
    for (const auto& [type, sum] : kWeighted) {
      SCOPED_TRACE(Cat(type, " by ", form));
      GgufExportOptions options = OptionsOfType(type);
      options.importance = Importance::Read(matrix);
      EXPECT_EQ(options.importance.size(), matrices);
      const GgufExportResult done = WriteGguf(model, folder / "m.gguf", options);
      EXPECT_EQ(ContentSum(folder / "m.gguf"), sum);
      EXPECT_EQ(done.unweighted, (std::vector<std::string>{"token_embd.weight", "output.weight"}));
    }
  }
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
