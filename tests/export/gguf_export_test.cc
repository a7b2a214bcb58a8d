// SPDX-License-Identifier: Apache-2.0
#include "export/gguf_export.h"

#include "export/init_model.h"
#include "model/load.h"
#include "tensor/cpu/products.h"
#include "tensor/quant/quant.h"
#include "tests/support/model_folder.h"

namespace retort {
namespace {

class GgufExport : public ::testing::Test {
 protected:
  Path Export(const Path& source, const std::string& name, const GgufExportOptions& options) {
    result_ = WriteGguf(OpenModel(source), folder_ / name, options);
    return folder_ / name;
  }

  TemporaryFolder folder_;
  GgufExportResult result_;
};

DenseConfig Scaled() {
  DenseConfig c = FolderConfig("llama");
  c.rotary.kind = RopeScaling::Kind::kLlama3;
  c.rotary.factor = 8;
  c.rotary.original_max_positions = 8;  // the ids go on beyond it
  return c;
}

DenseConfig Stretched() {
  DenseConfig c = FolderConfig("llama");
  c.rotary.kind = RopeScaling::Kind::kLinear;
  c.rotary.factor = 4;
  return c;
}

DenseConfig Tied() {
  DenseConfig c = FolderConfig("qwen2");
  c.tied = true;
  return c;
}

TEST_F(GgufExport, F32IsTheSameModel) {
  const std::pair<const char*, DenseConfig> cases[] = {{"llama", FolderConfig("llama")},
                                                       {"qwen2", FolderConfig("qwen2")},
                                                       {"qwen3", FolderConfig("qwen3")},
                                                       {"mistral", FolderConfig("mistral")},
                                                       {"llama3", Scaled()},
                                                       {"linear", Stretched()},
                                                       {"tied", Tied()}};
  for (const auto& [name, config] : cases) {
    SCOPED_TRACE(name);
    MakeModelFolder(folder_ / name, config);
    const Path gguf = Export(folder_ / name, Cat(name, ".gguf"), {WeightFormat::kF32});
    EXPECT_LT(LargestDifference(LogitsOf(folder_ / name, kIds), LogitsOf(gguf, kIds)), 1e-5);
    const Architecture read = OpenModel(gguf).config;
    EXPECT_EQ(read.blocks[0].attention.window, config.window);
    EXPECT_EQ(read.blocks[0].attention.head_dim, config.head_dim);
    EXPECT_EQ(read.ends, std::vector<int32_t>{256});
  }
}

TEST_F(GgufExport, AliasesShardsAndBf16) {
  DenseConfig config = FolderConfig("llama");
  config.tied = true;
  MakeModelFolder(folder_ / "head", config, {.head_only = true});
  EXPECT_LT(
      LargestDifference(LogitsOf(folder_ / "head", kIds),
                        LogitsOf(Export(folder_ / "head", "h.gguf", {WeightFormat::kF32}), kIds)),
      1e-5);
  MakeModelFolder(folder_ / "shards", FolderConfig("qwen3"), {WeightFormat::kBF16, 3});
  const auto want = LogitsOf(folder_ / "shards", kIds);
  for (const WeightFormat type : {WeightFormat::kF32, WeightFormat::kBF16}) {
    EXPECT_LT(LargestDifference(want, LogitsOf(Export(folder_ / "shards", "s.gguf", {type}), kIds)),
              1e-5);
  }
}

TEST_F(GgufExport, StoresEachTensorAsTheContractSays) {
  DenseConfig config = FolderConfig("qwen2");
  config.ffn = 40;  // rows of ffn_down do not divide into blocks of 32
  MakeModelFolder(folder_ / "m", config);
  for (const bool pure : {false, true}) {
    const Path gguf = Export(folder_ / "m", "m.gguf", {WeightFormat::kQ4_0, pure});
    const GgufFile file = ReadGguf(gguf);
    const WeightFormat outer = pure ? WeightFormat::kQ4_0 : WeightFormat::kQ8_0;
    EXPECT_EQ(file.tensors.Find("token_embd.weight")->format, outer);
    EXPECT_EQ(file.tensors.Find("output.weight")->format, outer);
    EXPECT_EQ(file.tensors.Find("blk.1.attn_q.weight")->format, WeightFormat::kQ4_0);
    EXPECT_EQ(file.tensors.Find("blk.1.attn_q.bias")->format, WeightFormat::kF32);
    EXPECT_EQ(file.tensors.Find("blk.1.ffn_down.weight")->format, WeightFormat::kF16);
    EXPECT_EQ(file.tensors.Find("output_norm.weight")->format, WeightFormat::kF32);
    EXPECT_EQ(result_.other_formats, (std::vector<std::pair<std::string, WeightFormat>>{
                                         {"blk.0.ffn_down.weight", WeightFormat::kF16},
                                         {"blk.1.ffn_down.weight", WeightFormat::kF16}}));
    EXPECT_EQ(result_.bytes, static_cast<int64_t>(std::filesystem::file_size(gguf)));
  }
}

// The tensors of these files are byte for byte those that llama.cpp's own quantiser in Python
// (`gguf` 0.19.0, gguf.quants.quantize) makes of the F32 file of the same model.
TEST_F(GgufExport, BlocksAreThoseOfLlamaCpp) {
  InitOptions options;
  options.config = ShapeNamed("2,64,4,2,96,300");
  options.seed = 7;
  WriteInitialModel(folder_ / "m", options);
  EXPECT_EQ(ContentSum(Export(folder_ / "m", "f32.gguf", {WeightFormat::kF32, true})),
            "56d384b66265f1b9ead00e22e40925b0f7fab3c82d73673a3facd6b195aa4b11");
  EXPECT_EQ(ContentSum(Export(folder_ / "m", "q8.gguf", {WeightFormat::kQ8_0, true})),
            "f80829c6c111ef3df530ce99accb9227cfaca832d674d6a4cad533de4925939f");
  EXPECT_EQ(ContentSum(Export(folder_ / "m", "q4.gguf", {WeightFormat::kQ4_0, true})),
            "acd15b334b73a7d9c1c343c609d8ed52b211786772334fe6bc1326662a1791ae");
  EXPECT_EQ(ContentSum(Export(folder_ / "m", "q41.gguf", {FormatNamed("q4_1"), true})),
            "936335d3285e078b8dd5a5e1a9746396f68a20c53909424a16237189f2a85fe6");
  EXPECT_EQ(ContentSum(Export(folder_ / "m", "q50.gguf", {FormatNamed("q5_0"), true})),
            "a1f0084957761a89bdc9295586a680a16d0e14106b12fdb6e776ecc646225f5e");
}

TEST_F(GgufExport, BytesDoNotDependOnThreads) {
  MakeModelFolder(folder_ / "m", FolderConfig("llama"));
  const Path one = Export(folder_ / "m", "one.gguf", {WeightFormat::kQ4_0, false, 1});
  EXPECT_EQ(ReadText(one),
            ReadText(Export(folder_ / "m", "four.gguf", {WeightFormat::kQ4_0, false, 4})));
}

TEST_F(GgufExport, RefusalsLeaveNothing) {
  MakeModelFolder(folder_ / "m", FolderConfig("llama"));
  const Path gguf = Export(folder_ / "m", "m.gguf", {WeightFormat::kF32});
  EXPECT_THROW(WriteGguf(OpenModel(gguf), folder_ / "again.gguf", {}), Error);
  EXPECT_THROW(Export(folder_ / "m", "nf4.gguf", {WeightFormat::kNF4}), Error);
  // Fails after the file was begun: the tokenizer is read when the metadata is made, the weights
  // later.
  const ModelFiles files = OpenModel(folder_ / "m");
  ModelFiles broken = files;
  broken.config.vocab = 299;  // the table has 300 rows
  broken.layout = LayoutOf(broken.config);
  EXPECT_THROW(WriteGguf(broken, folder_ / "broken.gguf", {}), Error);
  EXPECT_EQ(FilesIn(folder_.path()), (std::vector<std::string>{"m", "m.gguf"}));
}

std::vector<float> ValuesOf(const Weight& w) {
  std::vector<float> values(static_cast<size_t>(w.rows() * w.cols()));
  for (int64_t r = 0; r < w.rows(); ++r) DecodeRow(w, r, 0, w.cols(), values.data() + r * w.cols());
  return values;
}

// Copied weights hold the mapped ones' values, elsewhere; an embedding stays in the file, tied or
// not.
TEST_F(GgufExport, CopiedWeightsAreTheMappedOnes) {
  for (const bool tied : {false, true}) {
    DenseConfig config = FolderConfig("llama");
    config.tied = tied;
    const Path folder = folder_ / Cat("in", tied);
    MakeModelFolder(folder, config);
    const ModelFiles files =
        OpenModel(Export(folder, Cat("m", tied, ".gguf"), {WeightFormat::kQ8_0}));
    EXPECT_TRUE(WorthCopying(files));
    for (const Compute compute : {Compute::kF32, Compute::kInt8}) {
      const auto backend = MakeCpuBackend(2, compute);
      const auto mapped = LoadModel(files, {}, *backend);
      LoadOptions options;
      options.copy = true;
      const auto copied = LoadModel(files, options, *backend);
      const auto stored = [](const PreparedWeight& w) { return w.as<CpuWeight>().weight; };
      const auto expect_copy = [&](const PreparedWeight& mapped_weight,
                                   const PreparedWeight& copied_weight) {
        const Weight from = stored(mapped_weight), to = stored(copied_weight);
        EXPECT_NE(from.bytes().data(), to.bytes().data());
        EXPECT_EQ(ValuesOf(from), ValuesOf(to));
      };
      for (size_t id = 0; id < mapped->linears.size(); ++id) {
        const LinearSpec& linear = mapped->layout.linears[id];
        SCOPED_TRACE(Cat(NameOf(compute), " ", linear.name));
        const PreparedWeight &from = mapped->linears[id].frozen(),
                             &to = copied->linears[id].frozen();
        if (linear.use == LinearUse::kEmbedding) {
          EXPECT_EQ(stored(from).bytes().data(), stored(to).bytes().data());
        } else {
          expect_copy(from, to);
        }
      }
    }
  }
}

}  // namespace
}  // namespace retort
