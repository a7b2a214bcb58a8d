// SPDX-License-Identifier: Apache-2.0
// The converters of public data sets, on small files in their owners' form.
#include "recipes/datasets/datasets.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"

namespace retort::datasets {
namespace {

class DatasetsTest : public ::testing::Test {
 protected:
  DatasetsTest() { std::filesystem::create_directories(folder_); }
  ~DatasetsTest() override { std::filesystem::remove_all(folder_); }
  void Write(const char* name, const std::string& text) {
    WriteTextAtomically(folder_ / name, text);
  }
  std::string RefusalOf(const std::string& name) {
    try {
      ReadDataset(name, folder_);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }
  const Path folder_ = Path(::testing::TempDir()) / Cat("retort_datasets_", ::getpid());
};

TEST_F(DatasetsTest, Banking) {
  std::string train = "text,category\n\"\nWhere, please?\",card_arrival\n";
  for (int i = 0; i < 1200; ++i) train += Cat("message ", i, ",lost\n");
  Write("train.csv", train);
  Write("test.csv", "text,category\nGone,lost\n");
  Write("categories.json", R"(["card_arrival", "lost"])");
  const Dataset set = ReadDataset("banking77", folder_);
  EXPECT_EQ(set.labels, (std::vector<std::string>{"card_arrival", "lost"}));
  EXPECT_EQ(set.test, (std::vector<TextRow>{{"Message: Gone\nIntent:", " lost"}}));
  EXPECT_EQ(set.eval.size(), 1000u);
  EXPECT_EQ(set.train.size(), 201u);
  std::vector<TextRow> all = set.train;
  all.insert(all.end(), set.eval.begin(), set.eval.end());
  const TextRow first{"Message: Where, please?\nIntent:", " card_arrival"};
  EXPECT_EQ(std::ranges::count(all, first), 1);
  // The same rows are held out each time, and not simply the first ones.
  EXPECT_EQ(ReadDataset("banking77", folder_).eval, set.eval);
  EXPECT_NE(set.eval[999].prompt, "Message: message 999\nIntent:");
  Write("categories.json", R"(["lost"])");
  EXPECT_TRUE(RefusalOf("banking77").ends_with("'card_arrival' is not in the list of intents"));
}

TEST_F(DatasetsTest, Clinc) {
  Write("data_full.json", R"({"train": [["hello", "greeting"]], "oos_train": [["who won", "oos"]],
      "val": [["hi", "greeting"]], "oos_val": [], "test": [["hey", "greeting"]],
      "oos_test": [["why", "oos"]]})");
  const Dataset set = ReadDataset("clinc150", folder_);
  EXPECT_EQ(set.labels, (std::vector<std::string>{"greeting", "oos"}));
  EXPECT_EQ(set.test, (std::vector<TextRow>{{"Message: hey\nIntent:", " greeting"},
                                            {"Message: why\nIntent:", " oos"}}));
  Write("data_full.json", R"({"train": [["hello"]], "oos_train": []})");
  EXPECT_NE(RefusalOf("clinc150").find("[text, intent] is expected"), std::string::npos);
}

TEST_F(DatasetsTest, Restaurant) {
  Write("test.json", R"([
    {"userInput": {"text": "13"}, "context": {"requestedSlots": ["time", "people"]},
     "labels": [{"slot": "time", "valueSpan": {"endIndex": 2}}]},
    {"userInput": {"text": "it’s for Ann, at 7"},
     "labels": [{"slot": "time", "valueSpan": {"startIndex": 17, "endIndex": 18}},
                {"slot": "first_name", "valueSpan": {"startIndex": 9, "endIndex": 12}}]},
    {"userInput": {"text": "hello"}}])");
  std::string train = "[";
  for (int i = 0; i < 700; ++i) train += Cat(i > 0 ? "," : "", R"({"userInput": {"text": "hi"}})");
  Write("train_0.json", train + "]");
  const Dataset set = ReadDataset("restaurant8k", folder_);
  EXPECT_TRUE(set.labels.empty());
  EXPECT_EQ(set.eval.size(), 600u);
  const std::vector<TextRow> wanted = {
      {"Message (asked for: time, people): 13\nBooking:", R"( {"time": "13"})"},
      {"Message: it’s for Ann, at 7\nBooking:", R"( {"first_name": "Ann", "time": "7"})"},
      {"Message: hello\nBooking:", " {}"}};
  EXPECT_EQ(set.test, wanted);
  Write("test.json", R"([{"userInput": {"text": "13"},
      "labels": [{"slot": "time", "valueSpan": {"startIndex": 1, "endIndex": 3}}]}])");
  EXPECT_NE(RefusalOf("restaurant8k").find("test.json:1: a span of 1 ... 3"), std::string::npos);
}

TEST_F(DatasetsTest, WritesRows) {
  WriteDataset({{{"a", " b"}}, {}, {{"c", " d"}}, {"b", "d"}}, folder_ / "out");
  EXPECT_EQ(ReadText(folder_ / "out/train.jsonl"), "{\"prompt\":\"a\",\"completion\":\" b\"}\n");
  EXPECT_EQ(ReadJson(folder_ / "out/labels.json").size(), 2u);
}

TEST_F(DatasetsTest, UnknownNames) {
  EXPECT_NE(RefusalOf("banking78").find("use banking77, clinc150 or restaurant8k"),
            std::string::npos);
}

}  // namespace
}  // namespace retort::datasets
