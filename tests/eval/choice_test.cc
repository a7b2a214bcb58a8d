// SPDX-License-Identifier: Apache-2.0
#include "eval/choice.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/error.h"
#include "tests/eval/support.h"

namespace retort {
namespace {

using Texts = std::vector<std::string>;

Answer AnswerOf(const SmallWorld& world, const std::string& prompt, const std::string& text) {
  return {"row", world.tokenizer.EncodePrompt(prompt), text, false};
}

TEST(Choice, ScoresAreSumsOverTheLabelAndItsEnd) {
  for (const int64_t window : {0, 4}) {
    const SmallWorld world(4, window);
    const Texts labels = {"card_lost", "card_late", "card", "fee", "feedback"};
    const std::vector<Answer> answers = {AnswerOf(world, "Where is it?", " card_late"),
                                         AnswerOf(world, "Hm", " fee")};
    for (const bool eos : {true, false}) {
      ChoiceOptions options;
      options.add_eos = eos;
      const ChoiceTask task = MakeChoiceTask(answers, labels, world.tokenizer, nullptr, options);
      const auto scores = ScoreChoices(*world.model, nullptr, task.cases);
      ASSERT_EQ(scores.size(), 2u);
      for (size_t row = 0; row < 2; ++row) {
        for (size_t l = 0; l < labels.size(); ++l) {
          // The data's own form: with the space before it.
          auto ids = world.tokenizer.Encode(" " + labels[l], true);
          if (eos) ids.push_back(ByteTokenizer::kEos);
          EXPECT_NEAR(scores[row][l], world.LogProbability(answers[row].prompt, ids), 1e-9)
              << row << " " << labels[l];
        }
      }
    }
  }
}

TEST(Choice, TakesTheLikeliestWhateverTheBatch) {
  const SmallWorld world;
  Texts labels;
  std::vector<Answer> answers;
  for (int i = 0; i < 12; ++i) labels.push_back(Cat("label ", i * i));
  for (int i = 0; i < 20; ++i)
    answers.push_back(
        AnswerOf(world, Cat("question ", i * 7), Cat(" label ", (i % 12) * (i % 12))));
  const ChoiceTask task = MakeChoiceTask(answers, labels, world.tokenizer, nullptr, {});
  int64_t right = 0;
  std::vector<int32_t> chosen;
  for (const auto& scores : ScoreChoices(*world.model, nullptr, task.cases)) {
    const auto best = std::max_element(scores.begin(), scores.end()) - scores.begin();
    right += best == task.cases[chosen.size()].expected;
    chosen.push_back(static_cast<int32_t>(best));
  }
  for (const int64_t batch_tokens : {1, 300, 100000}) {
    int64_t last = 0;
    const ChoiceResult result =
        EvaluateChoice(*world.model, nullptr, task.cases, batch_tokens, [&](int64_t done) {
          EXPECT_GT(done, last);
          last = done;
        });
    EXPECT_EQ(result.chosen, chosen);
    EXPECT_EQ(result.right, right);
    EXPECT_EQ(result.rows, 20);
    EXPECT_EQ(last, 20);
    EXPECT_DOUBLE_EQ(result.share(), static_cast<double>(right) / 20);
  }
}

TEST(Choice, LabelsComeFromTheDataWhereNoneAreGiven) {
  const SmallWorld world;
  const ChoiceTask task = MakeChoiceTask(
      {AnswerOf(world, "a", " y"), AnswerOf(world, "b", " x\n"), AnswerOf(world, "c", "y")}, {},
      world.tokenizer, nullptr, {});
  EXPECT_EQ(task.labels, (Texts{"y", "x"}));
  EXPECT_EQ(task.cases[0].expected, 0);
  EXPECT_EQ(task.cases[1].expected, 1);
  EXPECT_EQ(task.cases[2].expected, 0);
  // Three ways of setting white space, three trees.
  EXPECT_EQ(task.cases[0].labels->nodes().size(), 3u);  // ' ', 'x', 'y'
  EXPECT_EQ(task.cases[1].labels->nodes().size(), 5u);  // and a '\n' after both
  EXPECT_EQ(task.cases[2].labels->nodes().size(), 2u);
}

TEST(Choice, NamesARowWhoseAnswerIsNoLabel) {
  const SmallWorld world;
  try {
    MakeChoiceTask({AnswerOf(world, "a", " card_lots")}, {"fee", "card_lost"}, world.tokenizer,
                   nullptr, {});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), Error::Kind::kInput);
    EXPECT_NE(std::string(e.what()).find("row: 'card_lots'"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("'card_lost'"), std::string::npos) << e.what();
  }
}

TEST(Choice, LongRowsAreRefusedOrLeftOut) {
  const SmallWorld world;
  const std::vector<Answer> answers = {AnswerOf(world, "a", " y"),
                                       AnswerOf(world, std::string(30, 'b'), " y")};
  ChoiceOptions options;
  options.max_tokens = 20;
  EXPECT_THROW(MakeChoiceTask(answers, {}, world.tokenizer, nullptr, options), Error);
  options.over_length = OverLength::kTruncate;
  EXPECT_THROW(MakeChoiceTask(answers, {}, world.tokenizer, nullptr, options), Error);
  options.over_length = OverLength::kDrop;
  const ChoiceTask task = MakeChoiceTask(answers, {}, world.tokenizer, nullptr, options);
  EXPECT_EQ(task.cases.size(), 1u);
  EXPECT_EQ(task.dropped, 1);
}

TEST(Choice, ReadsALabelFile) {
  const Path file = Path(testing::TempDir()) / Cat("labels_", ::getpid(), ".json");
  const auto read = [&](const std::string& text) {
    std::ofstream(file) << text;
    return ReadLabels(file);
  };
  EXPECT_EQ(read(R"(["a", " b "])"), (Texts{"a", "b"}));
  for (const char* bad : {"{}", "[]", "[1]", R"([""])", R"(["a", "a "])", "["})
    EXPECT_THROW(read(bad), Error) << bad;
  std::filesystem::remove(file);
}

}  // namespace
}  // namespace retort
