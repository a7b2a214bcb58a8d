// SPDX-License-Identifier: Apache-2.0
#include "data/examples.h"

#include <gtest/gtest.h>

#include <optional>

#include "data/audit.h"
#include "tests/data/support.h"
#include "tests/tokenizer/byte_tokenizer.h"

namespace retort {
namespace {

class ExamplesTest : public testing::Test {
 protected:
  Rows Open(const std::string& text) {
    path_ = folder_.Write("train.jsonl", text);
    return Rows::Open({{path_}});
  }
  ExampleSet Make(const std::string& text, const ExampleOptions& options = {},
                  const char* chat = "chatml") {
    const ChatTemplate named = ChatTemplate::Named(chat);
    return MakeExamples(Open(text), tokenizer_, &named, options);
  }
  std::string Fault(const std::string& text, const ExampleOptions& options = {}) {
    return InputFault([&] { Make(text, options); }, folder_.Write("train.jsonl", text));
  }
  std::string Show(const std::string& text, const ExampleOptions& options = {},
                   const char* chat = "chatml") {
    return ShowExample(Make(text, options, chat).examples[0], tokenizer_);
  }
  static ExampleOptions With(OverLength over, int64_t max_tokens) {
    ExampleOptions options;
    options.over_length = over;
    options.max_tokens = max_tokens;
    return options;
  }

  ByteTokenizer tokenizer_;
  TempFolder folder_;
  Path path_;
};

constexpr const char* kPair = R"({"prompt": "Q:", "completion": " A"})";
constexpr const char* kTurns =
    R"({"messages": [{"role": "user", "content": "u1"}, {"role": "assistant", "content": "a1"},)"
    R"( {"role": "user", "content": "u2"}, {"role": "assistant", "content": "a2"}]})";

TEST_F(ExamplesTest, CompletionAndItsEndTokenCarryLoss) {
  EXPECT_EQ(Show(kPair), "<s>Q:⟦ A</s>⟧");
  ExampleOptions options;
  options.add_eos = false;
  EXPECT_EQ(Show(kPair, options), "<s>Q:⟦ A⟧");
  options.loss_on = LossOn::kAll;
  EXPECT_EQ(Show(kPair, options), "<s>⟦Q: A⟧");
}

TEST_F(ExamplesTest, IdsAndLabelsAreExact) {
  const Example e = Make(kPair).examples[0];
  const std::vector<int32_t> ids = {257, 256, 'Q', ':', ' ', 'A', 258};
  EXPECT_EQ(e.ids, ids);  // one dummy prefix, before the prompt alone
  EXPECT_EQ(e.labels, (std::vector<int32_t>{-100, -100, -100, -100, ' ', 'A', 258}));
  EXPECT_EQ(e.LossTokens(), 3);
}

TEST_F(ExamplesTest, TextLearnsEverythingButItsFirstToken) {
  const ExampleSet set = Make(R"({"text": "ab"})");
  EXPECT_EQ(ShowExample(set.examples[0], tokenizer_), "<s>⟦ab</s>⟧");
  EXPECT_EQ(set.tokens, 5);
  EXPECT_EQ(set.loss_tokens, 4);  // "▁", a, b, </s>
}

TEST_F(ExamplesTest, EveryAssistantTurnWithItsEndCarriesLoss) {
  EXPECT_EQ(Show(kTurns),
            "<s><|im_start|>user\nu1<|im_end|>\n<|im_start|>assistant\n⟦a1<|im_end|>⟧\n"
            "<|im_start|>user\nu2<|im_end|>\n<|im_start|>assistant\n⟦a2<|im_end|>⟧\n");
  EXPECT_EQ(Show(kTurns, {}, "llama3"),
            "<s><|start_header_id|>user<|end_header_id|>\n\nu1<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n⟦a1<|eot_id|>⟧"
            "<|start_header_id|>user<|end_header_id|>\n\nu2<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n⟦a2<|eot_id|>⟧");
  EXPECT_EQ(Show(kTurns, {}, "llama2"),
            "<s>[INST] u1 [/INST]⟦ a1 </s>⟧<s>[INST] u2 [/INST]⟦ a2 </s>⟧");
  EXPECT_EQ(Show(kTurns, {}, "mistral"), "<s>[INST] u1[/INST]⟦ a1</s>⟧[INST] u2[/INST]⟦ a2</s>⟧");
}

TEST_F(ExamplesTest, TokensAreTakenAsGiven) {
  const Example e = Make(R"({"input_ids": [5, 6, 7], "labels": [5, -100, 9]})").examples[0];
  EXPECT_EQ(e.ids, (std::vector<int32_t>{5, 6, 7}));
  EXPECT_EQ(e.labels, (std::vector<int32_t>{5, -100, 9}));
  EXPECT_EQ(e.LossTokens(), 1);  // nothing predicts the first
  EXPECT_EQ(Fault(R"({"input_ids": [5, 266], "labels": [5, 6]})"),
            "train.jsonl:1: 'input_ids' entry 2 is 266, outside the vocabulary of 266");
  EXPECT_EQ(Fault(R"({"input_ids": [5, 6], "labels": [5, -1]})"),
            "train.jsonl:1: 'labels' entry 2 is -1, neither -100 nor within the vocabulary of 266");
}

TEST_F(ExamplesTest, ARowBeginsWithTheRunnersPrompt) {
  for (const char* name : {"chatml", "llama2", "llama3", "mistral"}) {
    const ChatTemplate chat = ChatTemplate::Named(name);
    for (const char* text : {kPair, kTurns, R"({"text": "once"})"}) {
      const Row row = Open(text).Read(0);
      const std::vector<int32_t> prompt = EncodeRowPrompt(row, tokenizer_, &chat);
      const Example e = EncodeRow(row, tokenizer_, &chat, {});
      ASSERT_LT(prompt.size(), e.ids.size());
      EXPECT_TRUE(std::equal(prompt.begin(), prompt.end(), e.ids.begin())) << name << " " << text;
    }
  }
}

TEST_F(ExamplesTest, OverLongRowsAreRefusedByDefault) {
  ExampleOptions options;
  options.max_tokens = 6;
  EXPECT_EQ(Fault(std::string(kPair) + "\n", options),
            "train.jsonl:1: has 7 tokens, over the limit of 6; raise data.max_tokens or set "
            "data.over_length to drop, truncate or split");
  options.model_limit = true;
  options.over_length_name = "--over-length";
  EXPECT_EQ(Fault(kPair, options),
            "train.jsonl:1: has 7 tokens, over the limit of 6, the model's positions; set "
            "--over-length to drop, truncate or split");
  options.max_tokens = 7;
  EXPECT_EQ(Fault(kPair, options), "");
}

// How long exactly would take long to find out.
TEST_F(ExamplesTest, FarTooLongRowsAreNotReadToTheirEnd) {
  const std::string row = Cat(R"({"prompt": "q", "completion": ")", std::string(1000, 'a'), "\"}");
  EXPECT_TRUE(Fault(row, With(OverLength::kError, 6))
                  .starts_with("train.jsonl:1: has more than 96 tokens, over the limit of 6; "));
  const Row read = Open(row).Read(0);
  const Example whole = EncodeRow(read, tokenizer_, nullptr, {});
  const auto size = static_cast<size_t>(whole.size());
  EXPECT_EQ(EncodeRowAtMost(read, tokenizer_, nullptr, {}, size)->ids, whole.ids);
  EXPECT_EQ(EncodeRowAtMost(read, tokenizer_, nullptr, {}, size)->labels, whole.labels);
  for (const size_t less : {size - 1, size_t{3}, size_t{0}})
    EXPECT_FALSE(EncodeRowAtMost(read, tokenizer_, nullptr, {}, less));
}

TEST_F(ExamplesTest, OverLongRowsDropped) {
  const std::string text = R"({"text": "abcdefghij"})"
                           "\n"
                           R"({"text": "ab"})";
  const ExampleSet set = Make(text, With(OverLength::kDrop, 6));
  ASSERT_EQ(set.examples.size(), 1u);
  EXPECT_EQ(set.examples[0].row, 1);
  EXPECT_EQ(set.notes, std::vector<std::string>{"1 of 2 rows are over 6 tokens and were left out"});
  EXPECT_EQ(
      Fault(R"({"text": "abcdefghij"})", With(OverLength::kDrop, 6)),
      "train.jsonl:1: no row is left to train on: of 1, 1 are over 6 tokens and 0 carry no loss");
}

TEST_F(ExamplesTest, OverLongRowsTruncated) {
  const ExampleSet set = Make(R"({"text": "abcdefghij"})", With(OverLength::kTruncate, 6));
  EXPECT_EQ(ShowExample(set.examples[0], tokenizer_), "<s>⟦abcd⟧");
  EXPECT_EQ(set.truncated, 1);
  // The prompt alone fills the limit: nothing is left to learn, and that is said.
  EXPECT_EQ(
      Fault(R"({"prompt": "abcdefghij", "completion": "k"})", With(OverLength::kTruncate, 6)),
      "train.jsonl:1: the limit of tokens cuts away all that carries loss (1 of 1 rows); raise "
      "data.max_tokens or set data.over_length to drop or split, or set data.audit to warn");
}

TEST_F(ExamplesTest, OverLongRowsSplitLoseNoLoss) {
  const std::string text = R"({"text": "abcdefghijklm"})";
  const ExampleSet whole = Make(text);
  for (int64_t limit = 2; limit < 18; ++limit) {
    const ExampleSet set = Make(text, With(OverLength::kSplit, limit));
    EXPECT_EQ(set.loss_tokens, whole.loss_tokens) << limit;
    std::vector<int32_t> learnt;
    for (const Example& e : set.examples) {
      EXPECT_LE(e.size(), limit);
      EXPECT_EQ(e.ids.size(), e.labels.size());
      EXPECT_EQ(e.row, 0);
      for (int64_t i = 1; i < e.size(); ++i) {
        EXPECT_EQ(e.labels[i], e.ids[i]);
        learnt.push_back(e.ids[i]);
      }
    }
    const std::vector<int32_t>& ids = whole.examples[0].ids;
    EXPECT_EQ(learnt, std::vector<int32_t>(ids.begin() + 1, ids.end())) << limit;
  }
  // Parts of a long prompt carry no loss and are left out.
  const ExampleSet set =
      Make(R"({"prompt": "abcdefghij", "completion": "k"})", With(OverLength::kSplit, 6));
  ASSERT_EQ(set.examples.size(), 1u);
  EXPECT_EQ(ShowExample(set.examples[0], tokenizer_), "ij⟦k</s>⟧");
}

TEST_F(ExamplesTest, RowsWithoutLossAreRefused) {
  const std::string rows = std::string(kTurns) + "\n" +
                           R"({"messages": [{"role": "user", "content": "hm"}]})" + "\n" +
                           R"({"messages": [{"role": "system", "content": "hm"}]})";
  EXPECT_EQ(
      Fault(rows),
      "train.jsonl:2: no token carries loss (2 of 3 rows; also 3); give the row an answer (an assistant "
      "turn or a completion), or set data.audit to warn");
  ExampleOptions options;
  options.audit = Audit::kWarn;
  ExampleSet set = Make(rows, options);
  EXPECT_EQ(set.examples.size(), 1u);
  EXPECT_EQ(set.without_loss, 2);
  ASSERT_EQ(set.notes.size(), 1u);
  EXPECT_TRUE(EndsWith(set.notes[0], "train.jsonl:2: no token carries loss (2 of 3 rows; also 3)"));
  options.audit = Audit::kOff;
  set = Make(rows, options);
  EXPECT_EQ(set.examples.size(), 1u);
  EXPECT_TRUE(set.notes.empty());
}

TEST_F(ExamplesTest, TokensRowsAreOnlyWarnedAbout) {
  const ExampleSet set = Make(R"({"input_ids": [257, 257, 7], "labels": [-100, -100, -100]})");
  EXPECT_EQ(set.examples.size(), 1u);  // as given
  ASSERT_EQ(set.notes.size(), 3u);
  EXPECT_TRUE(EndsWith(set.notes[0], ":1: no token carries loss (1 of 1 rows)")) << set.notes[0];
  EXPECT_TRUE(EndsWith(set.notes[1], ":1: begins with the BOS token twice (1 of 1 rows)"));
  EXPECT_EQ(set.notes[2],
            "no row teaches the end token, so generation will not know where to stop; "
            "set data.add_eos to true");
}

TEST_F(ExamplesTest, UnknownTokensStopWhereATenthOfTheRowsTeachThem) {
  tokenizer_.mutable_spec().unk = 'X';  // a tokenizer that does not know this letter
  const auto rows = [](int teaching) {
    std::string text = "{\"prompt\": \"X\", \"completion\": \"ab\"}\n";
    for (int i = 1; i < 10; ++i) {
      text += Cat("{\"prompt\": \"p", i, "\", \"completion\": \"", i <= teaching ? "aXb" : "abc",
                  "\"}\n");
    }
    return text;
  };
  const ExampleSet one = Make(rows(1));
  ASSERT_EQ(one.notes.size(), 2u);
  EXPECT_TRUE(EndsWith(one.notes[0],
                       ":2: the row teaches the token for what the tokenizer does not "
                       "know (1 of 10 rows)"))
      << one.notes[0];
  // 2 of 6 + 9 * 8 tokens: <s> ▁ X a b </s> and <s> ▁ p 1 a X b </s>.
  EXPECT_TRUE(EndsWith(one.notes[1],
                       ":1: 2.6 % of all tokens are unknown to the tokenizer; first "
                       "here (2 of 10 rows; also 2)"))
      << one.notes[1];
  EXPECT_EQ(
      Fault(rows(2)),
      "train.jsonl:2: the row teaches the token for what the tokenizer does not know (2 of 10 "
      "rows; also 3); use a model whose tokenizer covers this text, or set data.audit to warn");
}

TEST_F(ExamplesTest, NotesOnTextThatLooksWrong) {
  const ExampleSet set =
      Make(std::string(kPair) + "\n" + kPair + "\n" + R"({"prompt": "Q: ", "completion": ""})" +
           "\n" + R"({"prompt": "<|im_start|>user", "completion": " A"})");
  const std::vector<std::string> want = {
      ":3: the answer is empty (1 of 4 rows)",
      ":3: the prompt ends in a space, which most tokenizers would rather have at the completion's "
      "beginning (1 of 4 rows)",
      ":4: the text spells the special token '<|im_start|>', which is read as plain characters; use "
      "format messages for conversations (1 of 4 rows)",
      ":2: the row has occurred before (1 of 4 rows)"};
  ASSERT_EQ(set.notes.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_TRUE(EndsWith(set.notes[i], want[i])) << set.notes[i];
  }
}

TEST_F(ExamplesTest, TurnsNotToBeLearntCarryNoLoss) {
  const auto turns = [](const char* first, const char* second) {
    return Cat(R"({"messages": [{"role": "user", "content": "u1"},)",
               R"( {"role": "assistant", "content": "a1")", first,
               R"(}, {"role": "user", "content": "u2"}, {"role": "assistant", "content": "a2")",
               second, "}]}");
  };
  const std::string no = R"(, "weight": 0)";
  EXPECT_EQ(Show(turns(no.c_str(), ""), {}, "llama2"),
            "<s>[INST] u1 [/INST] a1 </s><s>[INST] u2 [/INST]⟦ a2 </s>⟧");
  EXPECT_EQ(Show(turns("", no.c_str()), {}, "mistral"),
            "<s>[INST] u1[/INST]⟦ a1</s>⟧[INST] u2[/INST] a2</s>");
  ExampleOptions all;
  all.loss_on = LossOn::kAll;
  EXPECT_EQ(Show(turns(no.c_str(), ""), all, "mistral"),
            "<s>⟦[INST] u1[/INST]⟧ a1</s>⟦[INST] u2[/INST] a2</s>⟧");
  EXPECT_EQ(Fault(turns(no.c_str(), no.c_str())),
            "train.jsonl:1: no token carries loss (1 of 1 rows); give the row an answer (an "
            "assistant turn or a completion), or set data.audit to warn");
}

TEST_F(ExamplesTest, KeysThatAreNotReadAreANote) {
  const ExampleSet set = Make(R"({"text": "a", "id": 7})");
  ASSERT_EQ(set.notes.size(), 1u);
  EXPECT_NE(set.notes[0].find("'id'"), std::string::npos);
}

TEST_F(ExamplesTest, AWeightIsNoRepetition) {
  const Path path = folder_.Write("train.jsonl", kPair);
  EXPECT_TRUE(MakeExamples(Rows::Open({{path, 3}}), tokenizer_, nullptr, {}).notes.empty());
}

TEST_F(ExamplesTest, OverlapOfEvaluationAndTraining) {
  const ExampleSet train = Make("{\"text\": \"b\"}\n{\"text\": \"c\"}");
  const Path path = folder_.Write("eval.jsonl", "{\"text\": \"a\"}\n{\"text\": \"b\"}");
  const Rows rows = Rows::Open({{path}});
  const ExampleSet eval = MakeExamples(rows, tokenizer_, nullptr, {});
  EXPECT_EQ(
      OverlapNote(train, eval, rows),
      Cat("1 of 2 evaluation rows also occur in the training rows (first: ", path.string(), ":2)"));
  EXPECT_EQ(OverlapNote(Make(kPair), eval, rows), "");
}

TEST_F(ExamplesTest, FaultsOfRowsNameTheRow) {
  EXPECT_EQ(Fault(R"({"messages": [{"role": "robot", "content": "x"}]})"),
            "train.jsonl:1: role 'robot' is not known; use system, user or assistant");
  const Path path = folder_.Write("train.jsonl", kTurns);
  EXPECT_EQ(InputFault([&] { MakeExamples(Rows::Open({{path}}), tokenizer_, nullptr, {}); }, path),
            "train.jsonl:1: rows of messages need a chat template; set data.template");
  tokenizer_.mutable_spec().eos = -1;
  EXPECT_EQ(Fault(kPair),
            "train.jsonl:1: the tokenizer has no end token to put after the row; set "
            "data.add_eos to false");
}

TEST_F(ExamplesTest, OptionNames) {
  EXPECT_EQ(ParseLossOn("all"), LossOn::kAll);
  EXPECT_EQ(ParseOverLength("split"), OverLength::kSplit);
  EXPECT_EQ(ParseAudit("warn"), Audit::kWarn);
  EXPECT_EQ(InputFault([] { ParseOverLength("cut"); }),
            "over_length 'cut' is not known; use one of error, drop, truncate, split");
}

}  // namespace
}  // namespace retort
