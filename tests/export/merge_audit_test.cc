// SPDX-License-Identifier: Apache-2.0
#include "export/merge_audit.h"

#include <nlohmann/json.hpp>
#include <numbers>

#include "export/merge.h"
#include "model/store/fingerprint.h"
#include "tests/support/model_folder.h"
#include "tokenizer/load_tokenizer.h"

namespace retort {
namespace {

class MergeAuditing : public ::testing::Test {
 protected:
  // A base, an adapter that was trained on it in that format, and texts to compare on.
  void Make(WeightFormat stored, const std::string& weights) {
    MakeModelFolder(folder_ / "base", FolderConfig("llama"), {stored});
    const ModelFiles base = OpenModel(folder_ / "base");
    const BaseRecord record{(folder_ / "base").string(), Fingerprint(base), weights, true, ""};
    MakeAdapterFolder(folder_ / "adapter", base, &record);
    WriteTextAtomically(folder_ / "text.txt", "Any text of a few words will do for this, 1234.");
    WriteTextAtomically(folder_ / "rows.jsonl",
                        DumpJson(Json{{"prompt", "ask me "}, {"completion", "again"}}) + "\n" +
                            DumpJson(Json{{"prompt", "two "}, {"completion", "three"}}) + "\n");
  }
  MergeOptions Options(const std::string& onto, const std::string& data) const {
    MergeOptions options{"", folder_ / "adapter", folder_ / "out", onto, 2};
    options.audit = folder_ / data;
    return options;
  }

  TemporaryFolder folder_;
};

TEST_F(MergeAuditing, AMergeInF32LosesNothing) {
  Make(WeightFormat::kF32, "as-is");
  const MergeReport report = Merge(Options("", "text.txt"));
  ASSERT_TRUE(report.audit.has_value());
  const auto ids = LoadTokenizer(folder_ / "base")->EncodePrompt(ReadText(folder_ / "text.txt"));
  EXPECT_EQ(report.audit->merged.tokens, std::ssize(ids) - 1);  // the first is not predicted
  EXPECT_LT(report.audit->merged.mean_kl, 1e-9);
  EXPECT_EQ(report.audit->merged.top1, 1);
  EXPECT_GT(report.audit->base.mean_kl, 0.1);  // what the adapter does
  EXPECT_LT(report.audit->base.top1, 1);
}

TEST_F(MergeAuditing, RowsCountByTheTokensThatCarryLoss) {
  Make(WeightFormat::kF32, "as-is");
  EXPECT_EQ(Merge(Options("", "rows.jsonl")).audit->merged.tokens, 5 + 1 + 5 + 1);  // ends included
  std::filesystem::remove_all(folder_ / "out");
  MergeOptions few = Options("", "rows.jsonl");
  few.audit_tokens = 7;
  EXPECT_EQ(Merge(few).audit->merged.tokens, 7);
}

// Trained on NF4: merged onto it, nothing is lost. The original weights predict otherwise, as the
// audit says of both merges; that one is refused.
TEST_F(MergeAuditing, TheOtherFormatIsFurtherAway) {
  Make(WeightFormat::kF32, "nf4");
  const MergeReport onto = Merge(Options("nf4", "text.txt"));
  EXPECT_LT(onto.audit->merged.mean_kl, 1e-9);
  EXPECT_GT(onto.audit->original.mean_kl, 1e-3);

  MergeOptions options = Options("original", "text.txt");
  options.out = folder_ / "original";
  options.force = true;
  const MergeReport forced = Merge(options);
  EXPECT_NEAR(forced.audit->merged.mean_kl, onto.audit->original.mean_kl, 1e-6);
  EXPECT_NEAR(forced.audit->lost(), forced.audit->merged.mean_kl / forced.audit->base.mean_kl,
              1e-12);
}

// An adapter that is small beside the steps of bf16.
TEST_F(MergeAuditing, RefusesWhatLosesTooMuch) {
  Make(WeightFormat::kBF16, "as-is");
  const Path config = folder_ / "adapter/adapter_config.json";
  Json j = ReadJson(config);
  j["lora_alpha"] = j["lora_alpha"].get<double>() / 150;
  WriteTextAtomically(config, DumpJson(j));
  try {
    Merge(Options("original", "text.txt"));
    ADD_FAILURE() << "not refused";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), Error::Kind::kFailure);
    EXPECT_NE(std::string(e.what()).find("of what the adapter changes"), std::string::npos)
        << e.what();
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "out"));
  MergeOptions forced = Options("original", "text.txt");
  forced.force = true;
  EXPECT_GT(Merge(forced).audit->lost(), kMostLost);
}

// What the rows are refused for is told before anything is written.
TEST_F(MergeAuditing, LooksAtTheRowsFirst) {
  Make(WeightFormat::kF32, "as-is");
  const ModelFiles base = OpenModel(folder_ / "base");
  WriteTextAtomically(folder_ / "short.txt", "");
  WriteTextAtomically(folder_ / "none.jsonl", R"({"input_ids": [1, 2], "labels": [-100, -100]})");
  for (const char* data : {"nowhere.jsonl", "short.txt", "none.jsonl"}) {
    EXPECT_THROW(AuditExamples(folder_ / data, folder_ / "adapter", base), Error) << data;
    EXPECT_THROW(Merge(Options("", data)), Error) << data;
  }
}

// ln 4 / 3 and so on, by hand.
TEST(AgreementSum, IsTheMeanOfDivergences) {
  AgreementSum sum;
  const std::vector<float> even = {0, 0}, odd = {static_cast<float>(std::numbers::ln2), 0};
  sum.Add(even, even);
  sum.Add(even, odd);  // 1/2 ln(1/2 / (2/3)) + 1/2 ln(1/2 / (1/3))
  const double kl = 0.5 * std::log(3.0 / 4) + 0.5 * std::log(3.0 / 2);
  const Agreement mean = sum.Mean();
  EXPECT_EQ(mean.tokens, 2);
  EXPECT_NEAR(mean.mean_kl, kl / 2, 1e-7);
  EXPECT_NEAR(mean.largest_kl, kl, 1e-7);
  EXPECT_EQ(mean.top1, 1);
}

}  // namespace
}  // namespace retort
