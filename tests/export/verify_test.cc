// SPDX-License-Identifier: Apache-2.0
#include "export/verify.h"

#include "export/gguf_export.h"
#include "tests/support/model_folder.h"

namespace retort {
namespace {

class Verify : public ::testing::Test {
 protected:
  void SetUp() override {
    MakeModelFolder(folder_ / "m", FolderConfig("llama"));
    source_.emplace(OpenModel(folder_ / "m"));
  }
  Path Export(WeightFormat type) {
    WriteGguf(*source_, folder_ / "m.gguf", {type});
    return folder_ / "m.gguf";
  }
  VerifyReport Check(WeightFormat type) {
    return VerifyExport(*source_, folder_ / "m.gguf", type, 1);
  }

  TemporaryFolder folder_;
  std::optional<ModelFiles> source_;
};

TEST_F(Verify, EveryTypePasses) {
  for (const std::string& name : GgufFormatNames()) {
    const WeightFormat type = FormatNamed(name);
    SCOPED_TRACE(TraitsOf(type).name);
    Export(type);
    const VerifyReport report = Check(type);
    EXPECT_TRUE(report.passed) << report.fault;
    EXPECT_GT(report.texts, 5);
    EXPECT_GT(report.tokens, 50);
    EXPECT_GE(report.largest_kl, report.mean_kl);
    EXPECT_EQ(report.limit, TraitsOf(type).kl_limit);
  }
}

// Sixteen bytes of one projection of one layer.
TEST_F(Verify, FlippedBytesOfATensorAreFound) {
  const Path gguf = Export(WeightFormat::kF32);
  std::string text = ReadText(gguf);
  const GgufFile file = ReadGguf(gguf);
  const TensorEntry* entry = file.tensors.Find("blk.1.attn_output.weight");
  const auto at = static_cast<size_t>(entry->bytes.data() - entry->file->bytes().data());
  for (size_t i = 0; i < 4;
       ++i) {  // signs and exponents, so that values stay finite and change a lot
    text[at + 4 * i + 3] = static_cast<char>(text[at + 4 * i + 3] ^ 0x81);
  }
  folder_.Put("m.gguf", text);
  const VerifyReport report = Check(WeightFormat::kF32);
  EXPECT_FALSE(report.passed);
  EXPECT_NE(report.fault.find("mean KL"), std::string::npos) << report.fault;
}

TEST_F(Verify, AChangedTokenIsFound) {
  const Path gguf = Export(WeightFormat::kF32);
  std::string text = ReadText(gguf);
  const std::string token = "\xC4\xA0t";  // " t" in the byte-level alphabet
  const size_t at = text.find(
      std::string("\x04\0\0\0\0\0\0\0", 8).replace(0, 1, 1, static_cast<char>(token.size())) +
      token);
  ASSERT_NE(at, std::string::npos);
  text[at + 8 + token.size() - 1] = '!';
  folder_.Put("m.gguf", text);
  std::string fault;
  try {
    fault = Check(WeightFormat::kF32).fault;
  } catch (const Error& e) {  // a merge that makes no token is refused when the file is read
    fault = e.what();
  }
  EXPECT_FALSE(fault.empty());
}

TEST_F(Verify, AnotherModelIsFound) {
  Export(WeightFormat::kQ4_0);
  MakeModelFolder(folder_ / "other", FolderConfig("llama"), {.seed = 2});
  source_.emplace(OpenModel(folder_ / "other"));
  EXPECT_FALSE(Check(WeightFormat::kQ4_0).passed);
}

}  // namespace
}  // namespace retort
