// SPDX-License-Identifier: Apache-2.0
// Rows in JSONL, in a JSON list and in CSV; and all faults of a file at once.
#include "data/row_file.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "data/examples.h"
#include "data/row_faults.h"
#include "tests/data/support.h"
#include "tests/tokenizer/byte_tokenizer.h"

namespace retort {
namespace {

class RowFileTest : public testing::Test {
 protected:
  std::vector<Json> Read(const std::string& name, const std::string& text) {
    const RowFile file(folder_.Write(name, text));
    std::vector<Json> rows;
    lines_.clear();
    for (int64_t i = 0; i < file.rows(); ++i) {
      const RowSpan row = file.Span(i);
      rows.push_back(file.Read(row, Cat(name, ":", row.line)));
      lines_.push_back(row.line);
    }
    return rows;
  }
  std::string Fault(const std::string& name, const std::string& text) {
    return InputFault([&] { Read(name, text); }, folder_.Write(name, text));
  }

  TempFolder folder_;
  std::vector<uint32_t> lines_;
};

TEST_F(RowFileTest, AListOfObjects) {
  const auto rows =
      Read("a.json", "\xef\xbb\xbf [\n {\"text\": \"a, ]} \\\" [\"},\n\n {\"text\":\n \"b\"}\n]\n");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0]["text"], "a, ]} \" [");
  EXPECT_EQ(rows[1]["text"], "b");
  EXPECT_EQ(lines_, (std::vector<uint32_t>{2, 4}));
  EXPECT_TRUE(Read("b.json", "[]").empty());
}

TEST_F(RowFileTest, AListsFaultsNameTheirLine) {
  EXPECT_EQ(Fault("a.json", "[\n{\"text\": \"a\"}\n"), "a.json:2: the list of rows does not end");
  EXPECT_EQ(Fault("a.json", "[{\"text\": \"a\\"), "a.json:1: the list of rows does not end");
  EXPECT_EQ(Fault("a.json", "[{\"text\": \"a\"},\n]"), "a.json:2: a row is missing behind a comma");
  EXPECT_NE(Fault("a.json", "[{}]\n{}").find("behind the list"), std::string::npos);
  EXPECT_EQ(Fault("a.json", "[1, {}]"), "a.json:1: a row must be a JSON object");
  EXPECT_NE(Fault("a.json", "[{\"text\": }]").find("a.json:1: not JSON"), std::string::npos);
}

TEST_F(RowFileTest, RecordsWithQuotesAndLineBreaks) {
  const auto rows =
      Read("a.csv",
           "prompt,completion,label\r\n\"Say \"\"hi\"\", \nplease\",  hi,true\r\n\r\nQ,,no\r\n");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0],
            (Json{{"prompt", "Say \"hi\", \nplease"}, {"completion", "  hi"}, {"label", true}}));
  EXPECT_EQ(rows[1], (Json{{"prompt", "Q"}, {"completion", ""}, {"label", "no"}}));
  EXPECT_EQ(lines_, (std::vector<uint32_t>{2, 5}));
  const auto tabs = Read("a.TSV", "text\tid\na, b\t1\n");
  EXPECT_EQ(tabs.at(0), (Json{{"text", "a, b"}, {"id", "1"}}));
  const auto lists =
      Read("m.csv", "messages\n\"[{\"\"role\"\": \"\"user\"\", \"\"content\"\": \"\"x\"\"}]\"\n");
  EXPECT_EQ(lists.at(0)["messages"][0]["content"], "x");
}

TEST_F(RowFileTest, ARecordsFaultsNameTheirLine) {
  EXPECT_EQ(Fault("a.csv", "a,b\n1,2\n1\n"),
            "a.csv:3: has 1 fields, and the first line names 2 columns");
  EXPECT_NE(Fault("a.csv", "a,b\n1,\"2\n").find("do not end"), std::string::npos);
  EXPECT_NE(Fault("a.csv", "a,b\n1,2\"3\n").find("a.csv:2: field 2"), std::string::npos);
  EXPECT_NE(Fault("a.csv", "a,a\n1,2\n").find("each once"), std::string::npos);
}

TEST_F(RowFileTest, RecordsThatAreNotUtf8AreFaults) {
  EXPECT_EQ(
      Fault("a.csv", "prompt,completion\nok,fine\ncaf\xe9,good\n"),
      "a.csv:3: byte 4 of the record is not UTF-8 (is the file Windows-1252 or Latin-1?); save "
      "it as UTF-8");
  EXPECT_TRUE(Fault("b.csv", "caf\xe9,b\n1,2\n").starts_with("b.csv:1: byte 4 of the record"));
  EXPECT_EQ(Read("c.csv", "prompt,completion\ncaf\u00e9,\u00fc\n").at(0)["prompt"], "caf\u00e9");
}

TEST_F(RowFileTest, LabelsAreReadInAnyCase) {
  const auto rows = Read("a.csv", "label\nTRUE\nfalse\n1\nFALSE\n");
  EXPECT_EQ(Json(rows),
            (Json{{{"label", true}}, {{"label", false}}, {{"label", true}}, {{"label", false}}}));
}

TEST_F(RowFileTest, OtherSeparatorsAndLineEndsAreNamed) {
  EXPECT_EQ(
      Fault("a.csv", "prompt;completion\na;b\n"),
      "a.csv:1: names one column, 'prompt;completion'; separate fields with commas, or with tabs "
      "in a file whose name ends in .tsv");
  EXPECT_NE(Fault("a.tsv", "prompt,completion\na,b\n").find("separate fields with tabs"),
            std::string::npos);
  EXPECT_NE(Fault("b.csv", "prompt,completion\ra,b\r").find("b.csv: its lines end in CR alone"),
            std::string::npos);
}

TEST_F(RowFileTest, OtherFilesAreRefused) {
  EXPECT_NE(Fault("a.parquet", "PAR1xxxx").find("Parquet"), std::string::npos);
  EXPECT_NE(Fault("a.gz", "\x1f\x8b...").find("gzip"), std::string::npos);
}

// Four kinds of fault among eleven rows: all are told, each with its rows.
TEST_F(RowFileTest, AllFaultsAreToldAtOnce) {
  std::string text;
  for (int i = 0; i < 3; ++i)
    text += R"({"prompt": "p", "completion": " c"})"
            "\n";
  text += R"({"prompt": "p"})"
          "\n";  // 4
  text += R"({"prompt": "p", "completion": 5})"
          "\n";  // 5
  text += R"({"prompt": "p", "completion": " c")"
          "\n";  // 6
  text += R"({"prompt": "p", "completion": " c", "images": ["x"]})"
          "\n";  // 7
  text += R"({"prompt": "q"})"
          "\n";  // 8
  text += R"({"prompt": "q", "completion": " c"})"
          "\n";
  text += R"({"prompt": "r"})"
          "\n";  // 10
  const Rows rows = Rows::Open({{folder_.Write("train.jsonl", text)}});
  const ByteTokenizer tokenizer;
  try {
    MakeExamples(rows, tokenizer, nullptr, {});
    FAIL() << "nothing was told";
  } catch (const RowFaultsError& e) {
    ASSERT_EQ(e.faults().size(), 4u) << Join(e.faults(), "\n");
    EXPECT_TRUE(e.faults()[0].ends_with(
        "train.jsonl:4: 'completion' is missing (3 of 10 rows; also 8, 10)"))
        << e.faults()[0];
    EXPECT_NE(e.faults()[1].find(":5: 'completion' must be a string"), std::string::npos);
    EXPECT_NE(e.faults()[2].find(":6: not JSON"), std::string::npos);
    EXPECT_NE(e.faults()[3].find(":7: 'images' is not supported"), std::string::npos);
    EXPECT_NE(std::string(e.what()).find("4 kinds of fault in the rows (6 in all)"),
              std::string::npos)
        << e.what();
  }
}

// One fault is told alone; what the audit notes comes with it.
TEST_F(RowFileTest, NotesComeWithTheFaults) {
  const std::string good = R"({"prompt": "p", "completion": " c"})";
  const Rows rows = Rows::Open({{folder_.Write(
      "train.jsonl", good + "\n" + R"({"prompt": "p", "completion": ""})" + "\n" +
                         R"({"prompt": "a\ufffdb", "completion": " c"})" + "\n" +
                         R"({"prompt": "a\u0000b", "completion": " c"})" + "\n{}\n")}});
  const ByteTokenizer tokenizer;
  try {
    MakeExamples(rows, tokenizer, nullptr, {});
    FAIL() << "nothing was told";
  } catch (const RowFaultsError& e) {
    EXPECT_TRUE(e.faults().empty());
    EXPECT_NE(std::string(e.what()).find("train.jsonl:5: "), std::string::npos) << e.what();
    ASSERT_EQ(e.notes().size(), 2u) << Join(e.notes(), "\n");
    EXPECT_NE(e.notes()[0].find(":2: the answer is empty (1 of 4 rows)"), std::string::npos);
    EXPECT_NE(e.notes()[1].find("decoded wrongly (2 of 4 rows; also 4)"), std::string::npos)
        << e.notes()[1];
  }
}

TEST_F(RowFileTest, ARoleThatIsASlipIsAFault) {
  const auto fault = [&](const std::string& role) -> std::string {
    const Rows rows = Rows::Open({{folder_.Write(
        Cat(role, ".jsonl"), Cat(R"({"messages": [{"role": "user", "content": "a"}, {"role": ")",
                                 role, R"(", "content": "b"}]})", "\n"))}});
    try {
      rows.Read(0);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_NE(fault("assistent").find("did you mean 'assistant'?"), std::string::npos)
      << fault("assistent");
  EXPECT_NE(fault("User").find("did you mean 'user'?"), std::string::npos) << fault("User");
  for (const char* role : {"assistant", "tool", "developer", "ipython", "critic", "context"})
    EXPECT_EQ(fault(role), "") << role;
}

}  // namespace
}  // namespace retort
