// SPDX-License-Identifier: Apache-2.0
#include "export/folder_export.h"

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "export/folder_tensors.h"
#include "export/gguf_export.h"
#include "export/merge.h"
#include "formats/safetensors.h"
#include "model/store/fingerprint.h"
#include "model/stored_tensors.h"
#include "tensor/quant/quant.h"
#include "tests/support/family_configs.h"
#include "tests/support/model_folder.h"

namespace retort {
namespace {

class FolderExporting : public ::testing::Test {
 protected:
  // A folder of this configuration as a GGUF.
  Path Gguf(const Json& config, WeightFormat type = WeightFormat::kF32,
            const FolderOptions& options = {}) {
    std::filesystem::remove_all(folder_ / "m");
    MakeModelFolder(folder_ / "m", config, options);
    WriteGguf(OpenModel(folder_ / "m"), folder_ / "m.gguf", {type, true});
    return folder_ / "m.gguf";
  }
  Path Back(const Path& gguf, const FolderExportOptions& options = {"auto", 1}) {
    std::filesystem::remove_all(folder_ / "back");
    done_ = ExportFolder(OpenModel(gguf), folder_ / "back", options);
    return folder_ / "back";
  }
  TemporaryFolder folder_;
  FolderExport done_;
};

std::map<std::string, std::string> Contents(const TensorTable& tensors) {
  std::map<std::string, std::string> out;
  for (const TensorEntry& e : tensors.entries())
    out[e.name] = Cat(e.type_name(), " ", ShapeText(e.shape), " ", Sha256(e.bytes));
  return out;
}

// Gains that a folder keeps less 1 lose what an f32 near 1 cannot hold.
bool IsShifted(const std::string& family, const std::string& name) {
  return family.starts_with("gemma") && name.ends_with("norm.weight");
}

void ExpectNear(const TensorTable& a, const TensorTable& b, const std::string& name) {
  const Weight one = a.Load(name, a.Find(name)->shape), other = b.Load(name, b.Find(name)->shape);
  std::vector<float> x(static_cast<size_t>(one.cols())), y(x.size());
  DecodeRow(one, 0, 0, one.cols(), x.data()), DecodeRow(other, 0, 0, one.cols(), y.data());
  for (size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(x[i], y[i], 1.2e-7) << name;
}

std::vector<float> Decoded(const Weight& w) {
  std::vector<float> out(static_cast<size_t>(w.rows() * w.cols()));
  for (int64_t r = 0; r < w.rows(); ++r) DecodeRow(w, r, 0, w.cols(), &out[r * w.cols()]);
  return out;
}

// A folder as bitsandbytes writes it, and the plain one that is made of that.
TEST_F(FolderExporting, FourBitsAndBack) {
  const Json families = FamilyConfigs();
  MakeModelFolder(folder_ / "m", families.begin().value());
  const ModelFiles source = OpenModel(folder_ / "m");
  const auto memory = MakeHostMemory();
  ThreadPool pool(1);
  for (const std::string type : {"nf4", "fp4"}) {
    SCOPED_TRACE(type);
    Back(folder_ / "m", {type, 1});
    EXPECT_TRUE(done_.verdict.passed);
    const Json config = ReadJson(folder_ / "back" / "config.json");
    EXPECT_EQ(config["quantization_config"]["bnb_4bit_quant_type"], type);
    const ModelFiles four = OpenModel(folder_ / "back");
    EXPECT_TRUE(four.quantised());
    ExportFolder(four, folder_ / type, {"f32", 1});
    EXPECT_FALSE(ReadJson(folder_ / type / "config.json").contains("quantization_config"));
    const ModelFiles plain = OpenModel(folder_ / type);
    int64_t quantised = 0;
    for (const TensorSpec& spec : source.layout.tensors) {
      if (!spec.is_matrix()) continue;
      Weight want = FetchTensor(source, spec, *memory);
      const Weight have = FetchTensor(four, spec, *memory);
      if (source.layout.LinearOf(spec)->adaptable()) {
        want = Requantised(want, FormatNamed(type), true, *memory, pool);
        EXPECT_TRUE(std::ranges::equal(have.bytes(), want.bytes())) << spec.name;
        ++quantised;
      }
      EXPECT_EQ(Decoded(have), Decoded(want)) << spec.name;
      EXPECT_EQ(Decoded(FetchTensor(plain, spec, *memory)), Decoded(want)) << spec.name;
    }
    EXPECT_GT(quantised, 0);
    // Its identity is that of codes and maxima.
    ExportFolder(source, folder_ / ("again-" + type), {type, 1});
    EXPECT_EQ(Fingerprint(OpenModel(folder_ / ("again-" + type))), Fingerprint(four));
    EXPECT_NE(Fingerprint(four), Fingerprint(source));
  }
}

TEST_F(FolderExporting, IsTheFolderThatTheGgufWasMadeOf) {
  const Json all = FamilyConfigs();
  for (const auto& [name, config] : all.items()) {
    SCOPED_TRACE(name);
    const Path gguf = Gguf(config), back = Back(gguf);
    EXPECT_TRUE(done_.verdict.passed);
    const TensorTable want = ReadSafetensorsFolder(folder_ / "m"),
                      got = ReadSafetensorsFolder(back);
    auto wanted = Contents(want), made = Contents(got);
    for (const TensorEntry& e : want.entries()) {
      if (!IsShifted(config["model_type"], e.name) || !got.Find(e.name)) continue;
      ExpectNear(want, got, e.name);
      made[e.name] = wanted[e.name];
    }
    EXPECT_EQ(made, wanted);
    const Architecture source = ReadConfig(folder_ / "m"), read = ReadConfig(back);
    EXPECT_EQ(ArchitectureHash(read), ArchitectureHash(source));
    EXPECT_EQ(read.ends, source.ends);
    // And the GGUF of that folder is the first one, bit for bit.
    WriteGguf(OpenModel(back), folder_ / "again.gguf", {WeightFormat::kF32, true});
    EXPECT_EQ(Contents(ReadGguf(folder_ / "again.gguf").tensors), Contents(ReadGguf(gguf).tensors));
  }
}

TEST_F(FolderExporting, TypesAreThoseOfTheFileOrWide) {
  const Json config = ConfigWith("llama", Json::object());
  const std::pair<const char*, const char*> kept[] = {
      {"f32", "f32"},  {"f16", "f16"},  {"bf16", "bf16"}, {"q8_0", "f32"},
      {"q4_0", "f32"}, {"q4_1", "f32"}, {"q5_0", "f32"},  {"q5_1", "f32"}};
  for (const auto& [stored, wanted] : kept) {
    SCOPED_TRACE(stored);
    const Path gguf = Gguf(config, FormatNamed(stored));
    const ModelFiles back = OpenModel(Back(gguf));
    EXPECT_EQ(TraitsOf(done_.type).name, wanted);
    EXPECT_EQ(TraitsOf(back.stored_format()).name, wanted);
    EXPECT_LT(LargestDifference(LogitsOf(gguf, kIds), LogitsOf(folder_ / "back", kIds)), 2e-5);
    EXPECT_EQ(ReadJson(folder_ / "back/config.json")["torch_dtype"],
              TorchType(FormatNamed(wanted)));
  }
  Gguf(config, FormatNamed("q8_0"));
  EXPECT_EQ(OpenModel(Back(folder_ / "m.gguf", {"bf16", 1})).stored_format(), WeightFormat::kBF16);
  EXPECT_THROW(Back(folder_ / "m.gguf", {"q8_0", 1}), Error);
  EXPECT_THROW(Back(folder_ / "m.gguf", {"int3", 1}), Error);
}

// The gains of a bf16 folder are bf16 again; what f16 cannot hold stays f32.
TEST_F(FolderExporting, GainsKeepTheirValues) {
  const Json config = ConfigWith("qwen3", Json::object());
  Back(Gguf(config, WeightFormat::kBF16, {WeightFormat::kBF16}));
  EXPECT_EQ(Contents(ReadSafetensorsFolder(folder_ / "back")),
            Contents(ReadSafetensorsFolder(folder_ / "m")));
  const ModelFiles narrow = OpenModel(Back(Gguf(config, WeightFormat::kF16)));
  EXPECT_EQ(narrow.tensors.Find("model.norm.weight")->format, WeightFormat::kF32);
  EXPECT_EQ(narrow.tensors.Find("model.embed_tokens.weight")->format, WeightFormat::kF16);
}

TEST_F(FolderExporting, AdviceOnSamplingIsKept) {
  MakeModelFolder(folder_ / "m", ConfigWith("llama", Json::object()));
  const Json advice = {{"eos_token_id", 256}, {"temperature", 0.6},         {"top_k", 20},
                       {"top_p", 0.95},       {"repetition_penalty", 1.05}, {"do_sample", true}};
  WriteTextAtomically(folder_ / "m/generation_config.json", DumpJson(advice));
  WriteGguf(OpenModel(folder_ / "m"), folder_ / "m.gguf", {WeightFormat::kF32});
  const GgufMetadata m = ReadGguf(folder_ / "m.gguf").metadata;
  EXPECT_EQ(m.Int("general.sampling.top_k"), 20);
  EXPECT_FLOAT_EQ(m.Number("general.sampling.temp"), 0.6);
  EXPECT_FLOAT_EQ(m.Number("general.sampling.penalty_repeat"), 1.05);
  EXPECT_EQ(m.Find("general.sampling.min_p"), nullptr);
  const Json back = ReadJson(Back(folder_ / "m.gguf") / "generation_config.json");
  for (const char* key : {"temperature", "top_k", "top_p", "repetition_penalty"})
    EXPECT_EQ(back[key], advice[key]) << key;
}

TEST_F(FolderExporting, LargeModelsAreSharded) {
  const Path gguf = Gguf(ConfigWith("llama", Json::object()));
  const auto whole = Contents(ReadSafetensorsFolder(Back(gguf)));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "back/model.safetensors"));
  Back(gguf, {"auto", 1, 100'000});
  const std::vector<std::string> files = FilesIn(folder_ / "back");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "back/model.safetensors"));
  const int64_t shards =
      std::ranges::count_if(files, [](const auto& f) { return f.ends_with(".safetensors"); });
  EXPECT_GE(shards, 3);
  EXPECT_TRUE(
      std::filesystem::exists(folder_ / Cat("back/model-00001-of-0000", shards, ".safetensors")));
  const Json index = ReadJson(folder_ / "back/model.safetensors.index.json");
  EXPECT_EQ(index["weight_map"].size(), whole.size());
  const TensorTable back = ReadSafetensorsFolder(folder_ / "back");
  EXPECT_EQ(Contents(back), whole);
  int64_t bytes = 0;
  for (const TensorEntry& e : back.entries()) bytes += std::ssize(e.bytes);
  EXPECT_EQ(index["metadata"]["total_size"], bytes);
}

TEST_F(FolderExporting, RefusalsLeaveNothing) {
  Gguf(ConfigWith("llama", Json::object()));
  EXPECT_THROW(ExportFolder(OpenModel(folder_ / "m"), folder_ / "out", {}), Error);
  WriteTextAtomically(folder_ / "out", "taken");
  EXPECT_THROW(ExportFolder(OpenModel(folder_ / "m.gguf"), folder_ / "out", {}), Error);
  EXPECT_EQ(FilesIn(folder_.path()), (std::vector<std::string>{"m", "m.gguf", "out"}));
}

// A GGUF of 2024 has the matrix of keys and values whole, and the heads' own widths alone.
TEST_F(FolderExporting, OldFilesOfDeepSeekAreRead) {
  const Json all = FamilyConfigs();
  for (const auto& [name, config] : all.items()) {
    if (!name.starts_with("deepseek")) continue;
    SCOPED_TRACE(name);
    const Path gguf = Gguf(config);
    const GgufFile file = ReadGguf(gguf);
    const ModelFiles source = OpenModel(folder_ / "m");
    GgufMetadata m;
    for (const auto& [key, value] : file.metadata.entries()) {
      if (!key.ends_with("_mla")) m.Set(key, value);
    }
    m.Set("deepseek2.attention.head_count_kv", uint32_t{4});
    m.Set("deepseek2.attention.key_length", uint32_t{24});
    m.Set("deepseek2.attention.value_length", uint32_t{12});
    GgufWriter writer(folder_ / "old.gguf", m);
    const auto each = [&](const auto& act) {
      for (const TensorEntry& e : file.tensors.entries()) {
        if (e.name.find("attn_k_b") == std::string::npos &&
            e.name.find("attn_v_b") == std::string::npos)
          act(e.name, e.shape, e.bytes);
      }
      for (int layer = 0; layer < 2; ++layer) {
        const TensorEntry& e =
            *source.tensors.Find(Cat("model.layers.", layer, ".self_attn.kv_b_proj.weight"));
        act(Cat("blk.", layer, ".attn_kv_b.weight"), e.shape, e.bytes);
      }
    };
    each([&](const std::string& n, const std::vector<int64_t>& shape, Bytes) {
      writer.Declare(n, WeightFormat::kF32, shape);
    });
    each([&](const std::string& n, const std::vector<int64_t>&, Bytes bytes) {
      writer.Write(n, bytes);
    });
    writer.Commit();
    EXPECT_EQ(LogitsOf(folder_ / "old.gguf", kIds), LogitsOf(gguf, kIds));
    EXPECT_EQ(ArchitectureHash(OpenModel(folder_ / "old.gguf").config),
              ArchitectureHash(OpenModel(gguf).config));
  }
}

// A file of every type at once that its rows can have, in two parts.
TEST_F(FolderExporting, TypesMayDifferAndFilesBeParts) {
  const GgufFile file = ReadGguf(Gguf(ConfigWith("llama", Json::object())));
  const std::vector<std::string> types = GgufFormatNames();
  const auto& entries = file.tensors.entries();
  const auto format = [&](size_t i) {
    const std::vector<int64_t>& shape = entries[i].shape;
    const WeightFormat type = FormatNamed(types[i % types.size()]);
    const bool fits = shape.size() > 1 && shape.back() % TraitsOf(type).row_step() == 0;
    return fits ? type : WeightFormat::kF32;
  };
  for (uint16_t part = 0; part < 2; ++part) {
    GgufMetadata m = part == 0 ? file.metadata : GgufMetadata();
    m.Set("split.no", part), m.Set("split.count", uint16_t{2});
    m.Set("split.tensors.count", static_cast<int32_t>(entries.size()));
    GgufWriter writer(folder_ / Cat("p-0000", part + 1, "-of-00002.gguf"), m);
    for (size_t i = part; i < entries.size(); i += 2)
      writer.Declare(entries[i].name, format(i), entries[i].shape);
    for (size_t i = part; i < entries.size(); i += 2) {
      const Weight w = file.tensors.Load(entries[i].name, entries[i].shape);
      std::vector<float> row(static_cast<size_t>(w.cols()));
      std::vector<std::byte> bytes(static_cast<size_t>(RowBytes(format(i), w.cols())));
      for (int64_t r = 0; r < w.rows(); ++r) {
        DecodeRow(w, r, 0, w.cols(), row.data());
        EncodeRow(format(i), row.data(), w.cols(), bytes.data());
        writer.Write(entries[i].name, bytes);
      }
    }
    writer.Commit();
  }
  const Path parts = folder_ / "p-00001-of-00002.gguf";
  Back(parts);
  EXPECT_EQ(done_.type, WeightFormat::kF32);
  EXPECT_LT(LargestDifference(LogitsOf(parts, kIds), LogitsOf(folder_ / "back", kIds)), 2e-5);
  const ModelFiles base = OpenModel(parts);
  const BaseRecord record{parts.string(), Fingerprint(base), "as-is", true, ""};
  MakeAdapterFolder(folder_ / "adapter", base, &record);
  Merge({"", folder_ / "adapter", folder_ / "merged", "", 1});
  EXPECT_LT(LargestDifference(LogitsOf(parts, kIds, folder_ / "adapter"),
                              LogitsOf(folder_ / "merged", kIds)),
            1e-4);
}

// Merging into a GGUF makes the folder that merging into its folder makes.
TEST_F(FolderExporting, AdaptersMergeIntoAGguf) {
  for (const char* type : {"f32", "q8_0"}) {
    SCOPED_TRACE(type);
    const Path gguf = Gguf(ConfigWith("llama", Json::object()), FormatNamed(type));
    const ModelFiles base = OpenModel(gguf);
    std::filesystem::remove_all(folder_ / "adapter");
    const BaseRecord record{gguf.string(), Fingerprint(base), "as-is", true, ""};
    MakeAdapterFolder(folder_ / "adapter", base, &record, 5, ".*(q_proj|down_proj)");
    std::filesystem::remove_all(folder_ / "merged");
    const MergeReport report = Merge({"", folder_ / "adapter", folder_ / "merged", "", 1});
    EXPECT_EQ(report.matrices, 14);
    EXPECT_EQ(report.changed, 4);
    EXPECT_GT(report.kept, 0.999);
    MakeAdapterFolder(folder_ / "plain", OpenModel(Back(gguf)), nullptr, 5, ".*(q_proj|down_proj)");
    std::filesystem::remove_all(folder_ / "other");
    Merge({folder_ / "back", folder_ / "plain", folder_ / "other", "original", 1});
    EXPECT_EQ(Contents(ReadSafetensorsFolder(folder_ / "merged")),
              Contents(ReadSafetensorsFolder(folder_ / "other")));
    EXPECT_EQ(LogitsOf(folder_ / "merged", kIds), LogitsOf(folder_ / "other", kIds));
  }
}

}  // namespace
}  // namespace retort
