// SPDX-License-Identifier: Apache-2.0
#include "data/rows.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/data/support.h"
#include "tests/support/shared_data.h"

namespace retort {
namespace {

using namespace std::string_view_literals;

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
      "question + answer, instruction + output, text, input_ids + labels, or chosen + rejected");
  EXPECT_EQ(Fault(good, RowFormat::kText), "train.jsonl:1: 'text' is missing");
  EXPECT_EQ(Fault("{\"messages\": 3}"), "train.jsonl:1: 'messages' must be a list of messages");
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

TEST_F(RowsTest, AWeightChangesNoRows) {
  std::string text;
  for (int i = 0; i < 10; ++i) text += Cat("{\"text\": \"", i, "\"}\n");
  const Path path = folder_.Write("a.jsonl", text), other = folder_.Write("b.jsonl", text);
  const Rows rows = Rows::Open({{path, 0.1}, {other, 70}});
  ASSERT_EQ(rows.size(), 20);
  EXPECT_EQ(rows.Read(9).text + rows.Read(10).text, "90");
  EXPECT_EQ(rows.Source(9), 0);
  EXPECT_EQ(rows.Source(10), 1);
  for (const double weight : {0.0, 1e-7, 2e6}) {
    EXPECT_EQ(InputFault(
                  [&] {
                    Rows::Open({RowSource{path, weight}});
                  },
                  path),
              Cat("a.jsonl: weight ", weight, " must be 1e-6 to 1e6"));
  }
}

std::string Turns(const std::string& more) {
  return R"({"messages": [{"role": "user", "content": "u"}, {"role": "assistant", "content": "a")" +
         more + "}]}";
}

TEST_F(RowsTest, AMessageSaysWhetherItIsLearnt) {
  for (const char* no : {R"(, "weight": 0)", R"(, "train": false)", R"(, "loss": false)",
                         R"(, "weight": 0.0, "train": false)"}) {
    EXPECT_FALSE(Open(Turns(no)).Read(0).messages[1].learn) << no;
  }
  for (const char* yes : {"", R"(, "weight": 1)", R"(, "train": true)", R"(, "weight": null)"}) {
    EXPECT_TRUE(Open(Turns(yes)).Read(0).messages[1].learn) << yes;
  }
  EXPECT_EQ(Fault(Turns(R"(, "weight": 0.5)")),
            "train.jsonl:1: message 2: 'weight' is 0.5; it must be 0 or 1, or true or false");
  EXPECT_EQ(Fault(Turns(R"(, "weight": 0, "train": true)")),
            "train.jsonl:1: message 2: 'train' contradicts another key of the message");
  EXPECT_EQ(Fault(R"({"messages": [{"role": "user", "content": "u", "train": true}]})"),
            "train.jsonl:1: message 1: 'train' asks for loss on a turn by 'user'; only the "
            "assistant's turns are learnt, so take the key out");
}

TEST_F(RowsTest, KeysThatChangeTheMeaningAreRefusedByName) {
  const std::string pair = R"({"prompt": "p", "completion": "c", )", text = R"({"text": "t", )",
                    alpaca = R"({"instruction": "i", "output": "o", )";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"functions": [{"name": "f"}], )" + Turns("").substr(1), "'functions'"},
      {R"({"tool_choice": "auto", )" + Turns("").substr(1), "'tool_choice'"},
      {pair + R"("tools": [{"type": "function"}]})", "'tools'"},
      {R"({"chosen": [1], )" + Turns("").substr(1), "'chosen'"},
      {R"({"prompt": "p", )" + Turns("").substr(1), "'prompt'"},
      {pair + R"("weight": 0.5})", "'weight'"},
      {pair + R"("label": "good"})", "'label'"},
      {pair + R"("chosen": "c"})", "'chosen'"},
      {pair + R"("history": [["a", "b"]]})", "'history'"},
      {pair + R"("input": "i"})", "'input'"},
      {pair + R"("answer": "i"})", "'answer'"},
      {pair + R"("text": "i"})", "'text'"},
      {pair + R"("images": ["a.png"]})", "'images'"},
      {pair + R"("thinking": "hm"})", "'thinking'"},
      {R"({"question": "q", "answer": "a", "context": "c"})", "'context'"},
      {text + R"("label": "sports"})", "'label'"},
      {text + R"("system": "s"})", "'system'"},
      {alpaca + R"("text": "t"})", "'text'"},
      {R"({"input_ids": [1], "labels": [1], "attention_mask": [0]})", "'attention_mask'"},
      {R"({"prompt": "p", "chosen": "c", "rejected": "r", "margin": 2})", "'margin'"}};
  for (const auto& [row, key] : cases) {
    const std::string said = Fault(row);
    EXPECT_TRUE(StartsWith(said, "train.jsonl:1: " + key + " is not supported: ")) << said;
  }
}

TEST_F(RowsTest, WhatTheTemplateIsGivenIsKept) {
  const Row row =
      Open(
          R"({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "name": "Bob", "id": 7}, {"role": "assistant", "content": null, "tool_calls": [{"id": "1"}], "weight": 0}], "tools": "[{\"type\": \"function\"}]", "enable_thinking": false, "chat_template_kwargs": {"x": [1]}, "documents": null})")
          .Read(0);
  EXPECT_EQ(row.messages[0].content, "ab");
  EXPECT_EQ(row.messages[0].more, R"({"name":"Bob"})");
  EXPECT_EQ(row.messages[1].more, R"({"tool_calls":[{"id":"1"}],"content":null})");
  EXPECT_FALSE(row.messages[1].learn);
  EXPECT_EQ(row.tools, R"([{"type": "function"}])");
  EXPECT_EQ(row.variables, R"({"enable_thinking":false,"x":[1]})");
  EXPECT_EQ(Fault(R"({"messages": [{"role": "user", "content": [{"type": "image"}]}]})"),
            "train.jsonl:1: message 1: 'content' has a part that is no text; only text is trained");
}

TEST_F(RowsTest, EmptyValuesMeanWhatAbsentKeysMean) {
  EXPECT_EQ(
      Fault(Turns(R"(, "tool_calls": null, "name": null, "refusal": "", "function_call": {})")),
      "");
  EXPECT_EQ(Fault(R"({"tools": [], "weight": 1, "prompt": null, )" + Turns("").substr(1)), "");
  EXPECT_EQ(Fault(R"({"input_ids": [1], "labels": [1], "attention_mask": [1]})"), "");
}

TEST_F(RowsTest, ANamedFormatSettlesWhichKeysAreMeant) {
  const std::string row = R"({"text": "t", "label": 3, "prompt": "p"})";
  EXPECT_NE(Fault(row), "");
  EXPECT_EQ(Fault(row, RowFormat::kText), "");
  const Rows rows = Open(row, RowFormat::kText);
  EXPECT_EQ(rows.UnreadNote(), "");
  EXPECT_EQ(rows.Read(0).text, "t");
  EXPECT_TRUE(StartsWith(rows.UnreadNote(),
                         "keys of rows that are no part of what is trained: 'label', 'prompt' "))
      << rows.UnreadNote();
  EXPECT_NE(Fault(R"({"text": "t", "tools": [1]})", RowFormat::kText), "");
}

TEST_F(RowsTest, KeysOfNoMeaningAreToldOnce) {
  const Rows rows = Open(R"({"text": "a", "id": 1}
{"text": "b", "id": 2, "source": {"url": "x"}, "a\nb": 1}
{"text": "c"})");
  for (int64_t i = 0; i < rows.size(); ++i) rows.Read(i);
  const std::string note = rows.UnreadNote();
  EXPECT_TRUE(StartsWith(
      note, "keys of rows that are no part of what is trained: 'a\\nb', 'id', 'source' (first: "))
      << note;
  const Rows chat = Open(Turns(R"(, "id": "m1")"));
  chat.Read(0);
  EXPECT_NE(chat.UnreadNote().find("'messages.id'"), std::string::npos) << chat.UnreadNote();
}

TEST_F(RowsTest, SystemAndHistoryAreRead) {
  Row row = Open(R"({"system": "S", "prompt": "p", "completion": "c"})").Read(0);
  EXPECT_EQ(row.prompt, "S\n\np");
  row = Open(R"({"system": "S", "question": "q", "answer": "a"})").Read(0);
  EXPECT_EQ(row.prompt, "S\n\nQuestion: q\nAnswer:");
  row = Open(R"({"system": "S", )" + Turns("").substr(1)).Read(0);
  ASSERT_EQ(row.messages.size(), 3u);
  EXPECT_EQ(row.messages[0].role + row.messages[0].content, "systemS");
  EXPECT_EQ(
      Fault(R"({"system": "S", "messages": [{"role": "system", "content": "T"}]})"),
      "train.jsonl:1: 'system' stands beside a system message of the row's own; take one out");
  row = Open(R"({"instruction": "i", "input": "n", "output": "o", "system": "S", )"
             R"("history": [["i1", "o1"], ["i2", "o2"]]})")
            .Read(0);
  EXPECT_EQ(
      row.prompt,
      "S\n\nBelow is an instruction that describes a task, paired with an input that provides "
      "further context. Write a response that appropriately completes the request.\n\n"
      "### Instruction:\ni1\n\n### Response:o1\n\n### Instruction:\ni2\n\n### Response:o2\n\n"
      "### Instruction:\ni\n\n### Input:\nn\n\n### Response:");
  EXPECT_EQ(row.completion, "o");
  EXPECT_EQ(Fault(R"({"instruction": "i", "output": "o", "history": [["a"]]})"),
            "train.jsonl:1: 'history' must be a list of [instruction, output], two texts each");
}

TEST_F(RowsTest, OtherKindsOfFilesAreNamed) {
  const auto fault = [&](const std::string& bytes) { return Fault(bytes); };
  EXPECT_EQ(fault("[\n{\"text\": \"a\"}]"), "");  // a JSON list
  EXPECT_NE(fault("\x1f\x8b\x08 ...").find("gzip"), std::string::npos);
  EXPECT_NE(fault("PAR1 ...").find("Parquet"), std::string::npos);
  for (const std::string_view utf16 : {"\xff\xfe{ ..."sv, "\0{\0}"sv, "{\0}\0"sv})
    EXPECT_NE(fault(std::string(utf16)).find("UTF-16"), std::string::npos);
  EXPECT_NE(fault("{\"text\": \"a\"}\r{\"text\": \"b\"}\r").find("end in CR alone"),
            std::string::npos);
  EXPECT_EQ(fault("[{\"text\": \"a\"},\r{\"text\": \"b\"}]"), "");
  EXPECT_NE(fault("{\n  \"text\": \"a\"\n}\n").find("train.jsonl:1: a row begins and does not end"),
            std::string::npos);
}

TEST_F(RowsTest, TwoWaysToWriteARowAreNotBothTaken) {
  EXPECT_EQ(
      Fault(R"({"prompt": "p", "completion": "c", "question": "q"})"),
      "train.jsonl:1: 'question' is not supported: a row of format prompt_completion is given "
      "by 'prompt', 'completion', which stand beside it; keep one way to write the row");
}

TEST_F(RowsTest, TextsWhereMessagesAreNeededAreNamed) {
  EXPECT_NE(Fault(R"({"prompt": [{"role": "user", "content": "u"}], "completion": "c"})")
                .find("'completion' is a text where a list of messages is needed"),
            std::string::npos);
  EXPECT_NE(Fault(R"({"prompt": ["a"], "completion": []})")
                .find("prompt 1: must be an object with 'role' and 'content'"),
            std::string::npos);
}

// For a teacher, which gives the answers.
TEST_F(RowsTest, PromptsMayLackTheirAnswers) {
  const auto asked = [&](const std::string& row) {
    return Rows::Open({{folder_.Write("train.jsonl", row)}}, RowFormat::kAuto, Rows::Use::kAsked)
        .Read(0);
  };
  EXPECT_EQ(asked(R"({"prompt": "p"})").prompt, "p");
  EXPECT_EQ(asked(R"({"question": "q"})").prompt, "Question: q\nAnswer:");
  EXPECT_TRUE(asked(R"({"instruction": "i"})").prompt.ends_with("\ni\n\n### Response:"));
  EXPECT_EQ(asked(R"({"prompt": [{"role": "user", "content": "u"}]})").messages.size(), 1u);
  EXPECT_EQ(asked(R"({"prompt": "p", "completion": "c"})").completion, "c");
  EXPECT_TRUE(asked(R"({"prompt": "p", "chosen": "c", "rejected": "r"})").rejected);
  EXPECT_NE(Fault(R"({"prompt": "p"})"), "");
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
