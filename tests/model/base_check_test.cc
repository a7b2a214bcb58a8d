// SPDX-License-Identifier: Apache-2.0
#include "model/store/base_check.h"

#include <nlohmann/json.hpp>

#include "export/gguf_export.h"
#include "export/merge.h"
#include "model/store/fingerprint.h"
#include "tests/support/model_folder.h"

namespace retort {
namespace {

class BaseCheck : public ::testing::Test {
 protected:
  void SetUp() override {
    MakeModelFolder(folder_ / "base", FolderConfig("llama"));
    const ModelFiles base = OpenModel(folder_ / "base");
    const BaseRecord record{(folder_ / "base").string(), Fingerprint(base), "nf4", true, ""};
    MakeAdapterFolder(folder_ / "adapter", base, &record);
  }
  // A copy of base/ with one bit of a tensor's last byte changed.
  Path Perturbed() {
    std::filesystem::copy(folder_ / "base", folder_ / "other");
    const ModelFiles base = OpenModel(folder_ / "base");
    const TensorEntry& entry = *base.tensors.Find("model.layers.1.mlp.up_proj.weight");
    std::string text = ReadText(folder_ / "other/model.safetensors");
    const auto end = entry.bytes.data() + entry.bytes.size() - entry.file->bytes().data();
    text[static_cast<size_t>(end - 4)] ^= 1;
    folder_.Put("other/model.safetensors", text);
    return folder_ / "other";
  }
  std::vector<std::string> Check(const Path& model, const Path& adapter) {
    return CheckAdapterBase(adapter, OpenModel(model));
  }

  TemporaryFolder folder_;
};

TEST_F(BaseCheck, ItsOwnBaseNeedsNoNote) {
  EXPECT_TRUE(Check(folder_ / "base", folder_ / "adapter").empty());
}

TEST_F(BaseCheck, OneBitAtATensorsEndIsAnotherBase) {
  const Path other = Perturbed();
  ExpectRefused([&] { Check(other, folder_ / "adapter"); },
                {other.string(), (folder_ / "adapter").string(), (folder_ / "base").string()});
  ExpectRefused(
      [&] {
        Merge({other, folder_ / "adapter", folder_ / "out", "", 1});
      },
      {"is not the base"});
}

TEST_F(BaseCheck, AnAdapterWithoutAFingerprintIsTakenAndItsBaseNamed) {
  const Path config = folder_ / "adapter/adapter_config.json";
  Json j = ReadJson(config);
  j["base_model_name_or_path"] = "org/some-model";
  WriteTextAtomically(config, DumpJson(j));
  std::filesystem::remove(folder_ / "adapter/retort.json");
  const auto notes = Check(folder_ / "base", folder_ / "adapter");
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_NE(notes[0].find("'org/some-model'"), std::string::npos) << notes[0];
}

TEST_F(BaseCheck, AGgufOfTheBaseIsTakenAndItsFormatTold) {
  WriteGguf(OpenModel(folder_ / "base"), folder_ / "m.gguf", {WeightFormat::kQ8_0});
  const auto notes = Check(folder_ / "m.gguf", folder_ / "adapter");
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_NE(notes[0].find("in nf4"), std::string::npos) << notes[0];
  EXPECT_NE(notes[0].find("q8_0"), std::string::npos) << notes[0];
}

TEST_F(BaseCheck, AGgufOfAnotherModelIsRefused) {
  WriteGguf(OpenModel(Perturbed()), folder_ / "m.gguf", {WeightFormat::kQ8_0});
  ExpectRefused([&] { Check(folder_ / "m.gguf", folder_ / "adapter"); }, {"is not the base"});
}

TEST_F(BaseCheck, AGgufOfUnknownSourceIsTold) {
  WriteGguf(OpenModel(folder_ / "base"), folder_ / "m.gguf", {WeightFormat::kQ8_0});
  folder_.Put("m.gguf", ReplaceAll(ReadText(folder_ / "m.gguf"), "retort.source_fingerprint",
                                   "retort.source_fingerprinx"));
  const auto notes = Check(folder_ / "m.gguf", folder_ / "adapter");
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_NE(notes[0].find("not checked"), std::string::npos) << notes[0];
}

// An adapter of a GGUF fits that GGUF and the folder it was made from, and no other GGUF.
TEST_F(BaseCheck, AnAdapterOfAGguf) {
  const ModelFiles base = OpenModel(folder_ / "base");
  WriteGguf(base, folder_ / "m.gguf", {WeightFormat::kQ8_0});
  WriteGguf(base, folder_ / "f.gguf", {WeightFormat::kF32});
  const ModelFiles gguf = OpenModel(folder_ / "m.gguf");
  const BaseRecord record{.path = (folder_ / "m.gguf").string(),
                          .fingerprint = Fingerprint(gguf),
                          .weights = "as-is",
                          .source = SourceFingerprint(gguf)};
  EXPECT_EQ(record.source, Fingerprint(base));
  MakeAdapterFolder(folder_ / "of-gguf", base, &record);
  EXPECT_TRUE(Check(folder_ / "m.gguf", folder_ / "of-gguf").empty());
  EXPECT_EQ(Check(folder_ / "base", folder_ / "of-gguf").size(), 1u);
  ExpectRefused([&] { Check(folder_ / "f.gguf", folder_ / "of-gguf"); }, {"is not the base"});
}

// The same weights under another rope are another base; another end token or length is not.
TEST_F(BaseCheck, AnotherConfigurationIsAnotherBase) {
  const ModelFiles base = OpenModel(folder_ / "base");
  const BaseRecord record{.path = (folder_ / "base").string(),
                          .fingerprint = Fingerprint(base),
                          .weights = "as-is",
                          .architecture = ArchitectureHash(base.config)};
  MakeAdapterFolder(folder_ / "strict", base, &record);
  const Path config = folder_ / "base/config.json";
  const Json good = ReadJson(config);
  for (const auto& [key, value] : {std::pair<const char*, Json>{"rope_theta", 5e5},
                                   {"rms_norm_eps", 1e-3},
                                   {"head_dim", 16},
                                   {"eos_token_id", 7},
                                   {"max_position_embeddings", 99}}) {
    SCOPED_TRACE(key);
    Json changed = good;
    changed[key] = value;
    WriteTextAtomically(config, DumpJson(changed));
    if (std::string(key).starts_with("r"))
      ExpectRefused([&] { Check(folder_ / "base", folder_ / "strict"); }, {"configuration"});
    else
      EXPECT_TRUE(Check(folder_ / "base", folder_ / "strict").empty());
  }
}

TEST_F(BaseCheck, ZeroIsZero) {
  const auto backend = MakeCpuBackend(1, Compute::kF32);
  const ModelFiles base = OpenModel(folder_ / "base");
  EXPECT_TRUE(IsZero(*Adapter::Make({}, base.layout, 1, *backend), *backend));
  EXPECT_FALSE(IsZero(*Adapter::Load(folder_ / "adapter", base.layout, *backend), *backend));
}

}  // namespace
}  // namespace retort
