// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/random.h"
#include "grammar/compile.h"
#include "runner/drift/drift_watch.h"
#include "tests/formats/support.h"
#include "tests/runner/server/fixture.h"

namespace retort {
namespace {

constexpr int64_t kWindow = 500;

// Answers of a model: how long they are, and how many of them are refusals or are cut off.
struct Habits {
  double tokens = 60, refused = 0.02, cut = 0.03, logprob = -0.4;
};

class Answers {
 public:
  ApiChoice Next(const Habits& habits) {
    RandomStream random(MakeKey(7, RandomUse::kSample, at_++));
    const auto below = [&](double share) { return random.Uniform() < share; };
    ApiChoice choice;
    choice.finish = below(habits.cut) ? FinishReason::kLength : FinishReason::kStop;
    choice.said.content = below(habits.refused) ? "I\u2019m sorry, but no." : "The answer is 7.";
    choice.usage.completion_tokens =
        1 + static_cast<int64_t>(-habits.tokens * std::log(1 - random.Uniform()));
    choice.watched = {4, 4 * (habits.logprob + 0.2 * random.Uniform())};
    choice.held = true;
    return choice;
  }

 private:
  uint64_t at_ = 0;
};

// The sample of a statistic; NaN: there is none.
double Sample(const std::string& text, const std::string& name, const std::string& statistic) {
  const std::string line = Cat("\n", name, "{statistic=\"", statistic, "\"} ");
  const size_t at = text.find(line);
  return at == std::string::npos ? NAN : std::stod(text.substr(at + line.size()));
}
double Score(const DriftWatch& watch, const std::string& statistic) {
  return Sample(watch.Text(), "retort_drift_score", statistic);
}

class DriftTest : public testing::Test {
 protected:
  // A watch that has recorded its baseline.
  std::unique_ptr<DriftWatch> Watch() {
    DriftOptions options;
    options.record = file_;
    options.refusals = UsualRefusals();
    options.window = kWindow;
    options.on_recorded = [this](const std::string& note) { notes_.push_back(note); };
    auto watch = std::make_unique<DriftWatch>(
        options, "tiny", [this](std::function<void()> job) { jobs_.push_back(std::move(job)); });
    Fill(*watch, {});
    EXPECT_TRUE(notes_.empty() && !std::filesystem::exists(file_)) << "not where answers end";
    RunJobs();
    return watch;
  }
  void RunJobs() {
    for (const auto& job : std::exchange(jobs_, {})) job();
  }
  void Fill(DriftWatch& watch, const Habits& habits) {
    for (int64_t i = 0; i < kWindow; ++i) watch.Add(answers_.Next(habits));
  }

  TemporaryFolder folder_;
  const Path file_ = folder_.path() / "baseline.json";
  std::vector<std::string> notes_;
  std::vector<std::function<void()>> jobs_;  // that the watch has posted
  Answers answers_;
};

TEST_F(DriftTest, AnswersThatStayAsTheyWereAreNotTold) {
  const auto watch = Watch();
  ASSERT_EQ(notes_.size(), 1u);
  for (int window = 0; window < 50; ++window) {
    Fill(*watch, {});
    for (const DriftStatistic& statistic : kDriftStatistics)
      EXPECT_LT(std::abs(Score(*watch, statistic.name)), 4) << statistic.name << window;
  }
}

TEST_F(DriftTest, ABaselineIsOfOneModel) {
  DriftOptions options;
  options.record = file_;
  options.window = DriftWatch::kLeastAnswers;
  DriftWatch watch(options, "tiny", [](const std::function<void()>& job) { job(); });
  for (int i = 1; i < options.window; ++i) watch.Add(answers_.Next({.tokens = 9000}));
  watch.OnNewModel();
  for (int i = 0; i < options.window; ++i) watch.Add(answers_.Next({.tokens = 60}));
  const DriftBaseline baseline = ReadDriftBaseline(file_);
  EXPECT_EQ(baseline.summary[0].answers, options.window);
  EXPECT_LT(baseline.summary[0].mean, 600) << kDriftStatistics[0].name;
  watch.OnNewModel();
  watch.Add(answers_.Next({}));
  EXPECT_NE(watch.Text().find("retort_drift_window_answers 1\n"), std::string::npos);
}

TEST_F(DriftTest, EachChangeIsTold) {
  const auto expect = [this](const Habits& habits, const std::string& statistic, bool more) {
    const auto watch = Watch();
    std::filesystem::remove(file_);
    notes_.clear();
    Fill(*watch, habits);
    EXPECT_GT(Score(*watch, statistic) * (more ? 1 : -1), 4) << statistic << watch->Text();
  };
  expect({.tokens = 90}, "answer_tokens", true);
  expect({.tokens = 40}, "answer_tokens", false);
  expect({.refused = 0.12}, "refused", true);
  expect({.cut = 0.13}, "cut", true);
  expect({.cut = 0.13}, "schema_valid", false);
  expect({.logprob = -0.5}, "logprob", false);
}

TEST_F(DriftTest, OldAnswersLeaveTheWindow) {
  const auto watch = Watch();
  Fill(*watch, {.refused = 1});
  EXPECT_GT(Score(*watch, "refused"), 4);
  Fill(*watch, {});
  EXPECT_LT(std::abs(Score(*watch, "refused")), 4);
  EXPECT_NE(watch->Text().find(Cat("\nretort_drift_window_answers ", kWindow, "\n")),
            std::string::npos);
}

TEST_F(DriftTest, AFewAnswersHaveNoScore) {
  const auto watch = Watch();
  for (int i = 1; i < DriftWatch::kLeastAnswers; ++i) watch->Add(answers_.Next({}));
  EXPECT_TRUE(std::isnan(Score(*watch, "refused")));
  EXPECT_FALSE(std::isnan(Sample(watch->Text(), "retort_drift_mean", "refused")));
  watch->Add(answers_.Next({}));
  EXPECT_FALSE(std::isnan(Score(*watch, "refused")));
}

TEST_F(DriftTest, WhatIsNoAnswerDoesNotCount) {
  const std::vector<std::string> none;
  ApiChoice choice;
  choice.finish = FinishReason::kLength;  // an echo alone
  EXPECT_FALSE(FiguresOf(choice, none));
  choice.finish = FinishReason::kStop;  // the model said nothing, which is an answer
  EXPECT_TRUE(FiguresOf(choice, none));
  choice.embedding = {1};
  EXPECT_FALSE(FiguresOf(choice, none));
  choice = {};
  choice.scored = true;
  EXPECT_FALSE(FiguresOf(choice, none));
  choice = {};
  choice.said.content = " {\"a\": [1]}\n";
  EXPECT_EQ((*FiguresOf(choice, none))[5], 1);
  choice.said.content = "{\"a\": [1]";
  EXPECT_EQ((*FiguresOf(choice, none))[5], 0);
}

// Those that say nothing of a statistic are no reason for an alert on it.
TEST_F(DriftTest, AnswersOfEachStatisticAreCounted) {
  const auto watch = Watch();
  for (int i = 0; i < 60; ++i) {
    ApiChoice choice = answers_.Next({});
    choice.held = i % 20 == 0;
    watch->Add(choice);
  }
  EXPECT_EQ(Sample(watch->Text(), "retort_drift_answers", "schema_valid"), 3);
  EXPECT_EQ(Sample(watch->Text(), "retort_drift_answers", "refused"), 60);
}

TEST_F(DriftTest, SumsOfAnswersThatComeAndGoAreTheirs) {
  RandomStream random(MakeKey(3, RandomUse::kSample, 1));
  DriftSums sums;
  std::vector<AnswerFigures> kept;
  for (size_t i = 0; i < 20000; ++i) {
    AnswerFigures figures{static_cast<float>(random.Below(2000)), 0,   1,
                          static_cast<float>(-random.Uniform()),  NAN, i % 3 == 0 ? 1.0F : 0.0F};
    kept.push_back(figures);
    sums.Add(figures);
    if (i >= 100) sums.Remove(kept[i - 100]);
  }
  DriftSums fresh;
  for (size_t i = kept.size() - 100; i < kept.size(); ++i) fresh.Add(kept[i]);
  for (size_t s = 0; s < kDriftStatistics.size(); ++s) {
    EXPECT_EQ(sums.Summary()[s].answers, fresh.Summary()[s].answers);
    EXPECT_NEAR(sums.Summary()[s].mean, fresh.Summary()[s].mean, 1e-9);
    EXPECT_NEAR(sums.Summary()[s].deviation, fresh.Summary()[s].deviation, 1e-6);
  }
  EXPECT_EQ(sums.Summary()[2].deviation, 0);
}

// A phrase is found however it and the answer are written.
TEST_F(DriftTest, PhrasesAreFoldedAsAnswersAre) {
  Watch();
  AtomicFile file(file_);
  file.Write(ReplaceAll(ReadText(file_), "\"as an ai\"", "\"I Won\u2019t\""));
  file.Commit();
  const DriftBaseline read = ReadDriftBaseline(file_);
  EXPECT_TRUE(IsRefusal("No. I won't do that.", read.refusals));
  EXPECT_TRUE(IsRefusal("No. I WON\u2019T do that.", read.refusals));
}

TEST_F(DriftTest, ABaselineIsReadAsItWasWritten) {
  Watch();
  const DriftBaseline read = ReadDriftBaseline(file_);
  EXPECT_EQ(read.model, "tiny");
  EXPECT_EQ(read.refusals, UsualRefusals());
  const std::string text = ReadText(file_);
  WriteDriftBaseline(file_, read);
  EXPECT_EQ(ReadText(file_), text);
}

TEST_F(DriftTest, AFaultyBaselineIsRefusedByItsPlace) {
  Watch();
  const std::string good = ReadText(file_);
  const auto refused = [&](const std::string& from, const std::string& to) -> std::string {
    AtomicFile file(file_);
    file.Write(ReplaceAll(good, from, to));
    file.Commit();
    try {
      ReadDriftBaseline(file_);
    } catch (const Error& e) {
      return std::string(e.what()).substr(file_.string().size());
    }
    return "";
  };
  EXPECT_EQ(refused("\"cut\"", "\"cuts\""),
            ": there is no statistic 'cuts'; those are answer_tokens, cut, refused, logprob, "
            "schema_valid, json");
  EXPECT_EQ(refused("\"mean\": 0.0,", "\"mean\": 7.0,"),
            ": 'statistics.json': 'mean' of a share must be within 0 and 1");
  EXPECT_EQ(refused("\"answers\": 500", "\"answers\": 0"),
            ": 'statistics.answer_tokens': 'answers' must be at least 1");
  EXPECT_EQ(refused("\"retort_baseline\": 1", "\"retort_baseline\": 2"),
            ": 'retort_baseline' must be 1; record the baseline anew");
}

class ServedDriftTest : public ServerTest {
 protected:
  void AskAll() {
    for (int i = 0; i < kAsked; ++i) {
      const Json answer = AskJson(
          Post(kComplete, Cat(R"({"prompt": "a secret question )", i,
                              R"(", "max_tokens": 20, "temperature": 0.7, "seed": )", i, "}")));
      ASSERT_TRUE(answer.contains("choices")) << answer;
    }
  }
  std::string Metrics() { return Ask(Get("/metrics")).body; }

  static constexpr int kAsked = 60;
  TemporaryFolder folder_;
  const Path file_ = folder_.path() / "baseline.json";
};

TEST_F(ServedDriftTest, AServerRecordsABaselineAndTellsOfAnotherModel) {
  options_.drift.record = file_;
  Start();
  AskAll();
  Stop();  // the window is not full: what there is gets recorded
  const std::string text = ReadText(file_);
  EXPECT_EQ(text.find("secret"), std::string::npos);
  EXPECT_EQ(ParseJson(text, "baseline")["statistics"]["logprob"]["answers"], kAsked);

  options_.drift.record.clear();
  options_.drift.baseline = ReadDriftBaseline(file_);
  Start();
  AskAll();
  const std::string same = Metrics();
  for (const DriftStatistic& statistic : kDriftStatistics) {
    const double score = Sample(same, "retort_drift_score", statistic.name);
    EXPECT_TRUE(std::isnan(score) || std::abs(score) < 1e-3) << statistic.name << score;
  }
  Stop();

  model_ = RandomModel(model_->config, kSeed + 1, *backend_, kSize / 2);
  Start();
  AskAll();
  EXPECT_GT(std::abs(Sample(Metrics(), "retort_drift_score", "logprob")), 4) << Metrics();
}

TEST_F(ServedDriftTest, WithoutAWatchNothingIsToldOfIt) {
  Start();
  EXPECT_EQ(Metrics().find("retort_drift"), std::string::npos);
}

// The names in docs/alerts.yml are those of metrics.
TEST_F(ServedDriftTest, AlertsAreAboutMetricsThatThereAre) {
  options_.drift.record = file_;
  Start();
  AskJson(Post(kComplete, R"({"prompt": "a", "max_tokens": 2})"));
  const std::string metrics = Metrics();
  const std::string alerts = ReadText(Path(RETORT_SOURCE_DIR) / "docs" / "alerts.yml");
  int found = 0;
  for (size_t at = 0; (at = alerts.find("retort_", at)) != std::string::npos; ++found) {
    const size_t end = alerts.find_first_not_of("abcdefghijklmnopqrstuvwxyz_", at);
    const std::string name = alerts.substr(at, end - at);
    EXPECT_NE(metrics.find("# TYPE " + name + " "), std::string::npos) << name;
    at = end;
  }
  EXPECT_GT(found, 3);
}

// Tokens that a grammar forces come several at a time: one of the sampled ones is watched in each
// eight all the same.
TEST(WatchedTokensTest, ForcedTokensHideNone) {
  const ByteTokenizer tokenizer;
  const auto backend = MakeReferenceBackend();
  const auto model = RandomModel(SmallConfig(tokenizer.vocab_size()), 4, *backend, 3);
  Engine engine(*model, nullptr, tokenizer, {});
  GenerationRequest request{{65, 66, 67}, {}, {}};
  request.sampling.max_tokens = 100;
  request.watched = true;
  // Ten tokens each, of which the first is sampled.
  request.constraint.grammar =
      CompileGrammar({GrammarSource::Kind::kRegex, "([ab]ccccccccc){5}"}, "test",
                     std::make_shared<const Vocabulary>(tokenizer));
  int64_t watched = 0, tokens = 0;
  request.on_event = [&](const GenerationEvent& event) {
    watched += event.watched.tokens, tokens += std::ssize(event.ids);
    return true;
  };
  engine.Submit(std::move(request));
  while (engine.Step()) {
  }
  EXPECT_EQ(tokens, 50);
  EXPECT_EQ(watched, 5);
}

// Tokens that are watched are those that were chosen, and nothing else changes.
TEST(WatchedTokensTest, AreTheFirstAndEveryEighth) {
  const ByteTokenizer tokenizer;
  const auto backend = MakeReferenceBackend();
  const auto model = RandomModel(SmallConfig(tokenizer.vocab_size()), 4, *backend, 3);
  Engine engine(*model, nullptr, tokenizer, {});
  for (const double temperature : {0.0, 0.8}) {
    SamplingOptions sampling;
    sampling.max_tokens = 30;
    sampling.temperature = temperature;
    sampling.repetition_penalty = 1.3;  // log-probabilities are those before it
    std::vector<int32_t> ids[2];
    double watched = 0, expected = 0;
    int64_t tokens = 0, wanted = 0;
    for (const bool watches : {false, true}) {
      GenerationRequest request{{65, 66, 67}, sampling, {}};
      request.watched = watches;
      request.logprobs = 0;
      request.on_event = [&](const GenerationEvent& event) {
        for (const TokenLogprobs& token : event.logprobs) {
          if (watches && ids[watches].size() % 8 == 0) expected += token.logprob, ++wanted;
        }
        ids[watches].insert(ids[watches].end(), event.ids.begin(), event.ids.end());
        watched += event.watched.logprob, tokens += event.watched.tokens;
        return true;
      };
      engine.Submit(std::move(request));
      while (engine.Step()) {
      }
    }
    EXPECT_EQ(ids[0], ids[1]);
    EXPECT_GE(tokens, wanted);
    EXPECT_LE(tokens, wanted + 1);  // an end token has no entry among the log-probabilities
    if (tokens == wanted) {
      EXPECT_NEAR(watched, expected, 1e-4);
    }
    EXPECT_GT(wanted, 0);
  }
}

}  // namespace
}  // namespace retort
