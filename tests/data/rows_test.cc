// SPDX-License-Identifier: Apache-2.0
#include "data/rows.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/data/support.h"
#include "tests/support/shared_data.h"

namespace retort {
namespace {

class RowsTest : public testing::Test {
 protected:
  Rows Open(const std::string& text, RowFormat format = RowFormat::kAuto) {
    return Rows::Open({{folder_.Write("train.jsonl", text)}}, format);
  }
  // The fault of opening the text and reading every row.
  std::string Fault(const std::string& text, RowFormat format = RowFormat::kAuto) {
    const Path path = folder_.Write("train.jsonl", text);
    return InputFault(
        [&] {
          const Rows rows = Rows::Open({{path}}, format);
          for (int64_t i = 0; i < rows.size(); ++i) rows.Read(i);
        },
        path);
  }
  TempFolder folder_;
};

TEST_F(RowsTest, EveryFormatIsDetectedAndRead) {
  Row row = Open(R"({"messages": [{"role": "user", "content": "é"}]})").Read(0);
  EXPECT_EQ(row.kind, RowFormat::kMessages);
  EXPECT_EQ(row.messages.at(0).content, "é");

  row = Open(R"({"prompt": "p", "completion": "c", "id": 3})").Read(0);
  EXPECT_EQ(row.kind, RowFormat::kPromptCompletion);
  EXPECT_EQ(row.prompt + "|" + row.completion, "p|c");

  row = Open(R"({"question": "Why?", "answer": "So."})").Read(0);
  EXPECT_EQ(row.prompt + "|" + row.completion, "Question: Why?\nAnswer:| So.");

  row = Open(R"({"text": "t"})").Read(0);
  EXPECT_EQ(row.kind, RowFormat::kText);
  EXPECT_EQ(row.text, "t");

  row = Open(R"({"input_ids": [1, 2], "labels": [-100, 2]})").Read(0);
  EXPECT_EQ(row.kind, RowFormat::kTokens);
  EXPECT_EQ(row.labels, (std::vector<int32_t>{-100, 2}));
}

TEST_F(RowsTest, AlpacaHasStanfordsWording) {
  Row row = Open(R"({"instruction": "Add.", "input": "1 2", "output": "3"})").Read(0);
  EXPECT_EQ(row.kind, RowFormat::kPromptCompletion);
  EXPECT_EQ(row.completion, "3");
  EXPECT_EQ(row.prompt,
            "Below is an instruction that describes a task, paired with an input that provides "
            "further context. Write a response that appropriately completes the request.\n\n"
            "### Instruction:\nAdd.\n\n### Input:\n1 2\n\n### Response:");
  row = Open(R"({"instruction": "Add.", "input": "", "output": "3"})").Read(0);
  EXPECT_EQ(row.prompt,
            "Below is an instruction that describes a task. Write a response that appropriately "
            "completes the request.\n\n### Instruction:\nAdd.\n\n### Response:");
}

TEST_F(RowsTest, BlankLinesCrlfAndByteOrderMark) {
  const Rows rows = Open("\xef\xbb\xbf\r\n{\"text\": \"a\"}\r\n\r\n  \n{\"text\": \"b\"}");
  ASSERT_EQ(rows.size(), 2);
  EXPECT_EQ(rows.Read(0).text, "a");
  EXPECT_EQ(rows.Read(1).text, "b");
  EXPECT_TRUE(EndsWith(rows.Where(1), "train.jsonl:5"));
}

TEST_F(RowsTest, FaultsNameFileAndLine) {
  const std::string good = "{\"prompt\": \"p\", \"completion\": \"c\"}\n";
  EXPECT_TRUE(StartsWith(Fault(good + "\n{oops}\n"), "train.jsonl:3: not JSON: "));
  EXPECT_EQ(Fault(good + good + "{\"prompt\": \"p\"}"), "train.jsonl:3: 'completion' is missing");
  EXPECT_EQ(Fault(good + "{\"prompt\": 1, \"completion\": \"c\"}"),
            "train.jsonl:2: 'prompt' must be a string");
  EXPECT_EQ(Fault(good + "[1]"), "train.jsonl:2: a row must be a JSON object");
  EXPECT_EQ(Fault(""), "train.jsonl: holds no rows");
  EXPECT_EQ(Fault("\n \n"), "train.jsonl: holds no rows");
  EXPECT_EQ(
      Fault("{\"x\": 1, \"y\": 2}"),
      "train.jsonl:1: no known format has the keys 'x', 'y'; use messages, prompt + completion, "
      "question + answer, instruction + output, text, or input_ids + labels");
  EXPECT_EQ(Fault(good, RowFormat::kText), "train.jsonl:1: 'text' is missing");
  EXPECT_EQ(Fault("{\"messages\": 3}"), "train.jsonl:1: 'messages' must be a list");
  EXPECT_EQ(
      Fault("{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}, {\"role\": \"user\"}]}"),
      "train.jsonl:1: message 2: 'content' is missing");
  EXPECT_EQ(Fault("{\"input_ids\": [1, 2], \"labels\": [1]}"),
            "train.jsonl:1: 'input_ids' has 2 entries and 'labels' 1; they must be as many");
  EXPECT_EQ(Fault("{\"input_ids\": [1, 99999999999], \"labels\": [1, 2]}"),
            "train.jsonl:1: 'input_ids' must be a list of integers; entry 2 is 99999999999");
  EXPECT_EQ(Fault("{\"input_ids\": [1, 2]}"), "train.jsonl:1: 'labels' is missing");
  EXPECT_EQ(Fault("{\"input_ids\": [], \"labels\": []}"), "train.jsonl:1: 'input_ids' is empty");
}

TEST_F(RowsTest, FormatNames) {
  EXPECT_EQ(ParseRowFormat("alpaca"), RowFormat::kAlpaca);
  EXPECT_EQ(InputFault([] { ParseRowFormat("mesages"); }),
            "data format 'mesages' is not known; did you mean 'messages'?");
}

TEST_F(RowsTest, WeightsRepeatAndSubsampleTheSameRowsAlways) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += Cat("{\"text\": \"", i, "\"}\n");
  const Path path = folder_.Write("a.jsonl", text);
  const auto texts = [&](double weight) {
    std::vector<std::string> out;
    const Rows rows = Rows::Open({{path, weight}});
    for (int64_t i = 0; i < rows.size(); ++i) out.push_back(rows.Read(i).text);
    return out;
  };
  const std::vector<std::string> once = texts(1), some = texts(0.3), more = texts(2.3);
  EXPECT_EQ(once.size(), 100u);
  ASSERT_EQ(some.size(), 30u);
  EXPECT_EQ(std::set<std::string>(some.begin(), some.end()).size(), 30u);
  EXPECT_NE(some, std::vector<std::string>(once.begin(), once.begin() + 30));
  ASSERT_EQ(more.size(), 230u);
  EXPECT_EQ(std::vector<std::string>(more.begin() + 200, more.end()), some);
  EXPECT_EQ(std::vector<std::string>(more.begin() + 100, more.begin() + 200), once);
  EXPECT_EQ(texts(0.3), some);
  EXPECT_EQ(InputFault([&] { texts(0); }, path),
            "a.jsonl: weight 0 must be above 0 and at most 1000");
  EXPECT_EQ(InputFault([&] { texts(0.001); }, path),
            "a.jsonl: weight 0.001 leaves none of its rows");
}

TEST_F(RowsTest, FilesOfDifferentFormatsMix) {
  const Rows rows = Rows::Open({{folder_.Write("a.jsonl", "{\"text\": \"a\"}")},
                                {folder_.Write("b.jsonl", "\n{\"messages\": []}")}});
  EXPECT_EQ(rows.Read(0).kind, RowFormat::kText);
  EXPECT_EQ(rows.Read(1).kind, RowFormat::kMessages);
  EXPECT_TRUE(EndsWith(rows.Where(1), "b.jsonl:2"));
  EXPECT_TRUE(rows.HasMessages());
}

TEST_F(RowsTest, RealDataReads) {
  RETORT_NEEDS(datasets, "real/datasets");
  for (const auto& [name, count] :
       std::vector<std::pair<std::string, int64_t>>{{"banking77", 9003},
                                                    {"clinc150", 15100},
                                                    {"restaurant8k", 7598},
                                                    {"gsm8k", 7473},
                                                    {"tinystories", 3413}}) {
    const Rows rows = Rows::Open({{datasets / name / "train.jsonl"}});
    ASSERT_EQ(rows.size(), count) << name;
    for (int64_t i = 0; i < rows.size(); ++i) {
      const Row row = rows.Read(i);
      EXPECT_FALSE(row.text.empty() && (row.prompt.empty() || row.completion.empty())) << row.where;
    }
  }
}

}  // namespace
}  // namespace retort
