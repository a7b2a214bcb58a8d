// SPDX-License-Identifier: Apache-2.0
// Learning from rewards: the loss by its formula, the gradient by central differences, rewards, and
// that training finds what is rewarded.
#include "train/objectives/grpo.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "base/error.h"
#include "eval/loss.h"
#include "tests/support/gradient_check.h"
#include "tests/support/random_model.h"
#include "tests/tokenizer/byte_tokenizer.h"
#include "train/trainer.h"

namespace retort {
namespace {

constexpr int64_t kByteVocab = 300;

// Known rewards, whatever the answers; keeps the attempts.
class GivenRewards : public Reward {
 public:
  explicit GivenRewards(std::vector<Attempt>& seen) : seen_(seen) {}
  static double At(size_t i) { return static_cast<double>(i * i % 7); }
  std::vector<double> Of(const std::vector<Attempt>& attempts) override {
    seen_ = attempts;
    std::vector<double> out;
    for (size_t i = 0; i < attempts.size(); ++i) out.push_back(At(i));
    return out;
  }

 private:
  std::vector<Attempt>& seen_;
};

Example RowOf(const Tokenizer& tokenizer, int64_t index, const std::string& prompt,
              const std::string& answer) {
  Example row;
  row.row = index;
  row.ids = tokenizer.EncodePrompt(prompt);
  row.labels.assign(row.ids.size(), kNoLoss);
  for (const int32_t id : tokenizer.Encode(answer, true)) {
    row.ids.push_back(id);
    row.labels.push_back(id);
  }
  return row;
}

class GrpoTest : public ::testing::Test {
 protected:
  GrpoTest() {
    RandomStream random(MakeKey(9, RandomUse::kInit));
    for (Parameter* p : adapter_->parameters()) {
      std::vector<double> values(static_cast<size_t>(p->value.elements()));
      for (double& v : values) v = 0.1 * random.Normal();
      p->value = backend_->FromDoubles(values, p->value.shape());
    }
    rows_ = {RowOf(tokenizer_, 0, "one", " uno"), RowOf(tokenizer_, 1, "two", " dos")};
    micro_.rows = {&rows_[0], &rows_[1]};
    micro_.order = {0, 1};
  }
  GrpoOptions Options(double beta) const {
    GrpoOptions options;
    options.answers = 3;
    options.beta = beta;
    options.sampling.max_new_tokens = 4;
    options.sampling.max_tokens = 32;
    return options;
  }
  // The step's rows as the objective has made them.
  StepBatch Prepared(Grpo& grpo) {
    StepBatch step;
    step.micro = {micro_};
    EXPECT_EQ(grpo.Prepare(step, 1), step.loss_tokens);
    return step;
  }
  std::vector<std::vector<double>> Losses(const MicroBatch& micro, const Adapter* adapter) {
    std::vector<std::vector<double>> out;
    for (const Example* row : micro.rows) {
      const MicroBatch one{{row}, {0}, row->size(), row->LossTokens()};
      Context context{*backend_};
      TrainingPass pass(context, *model_, one, {adapter});
      out.push_back(pass.TokenLosses(pass.Hidden()));
    }
    return out;
  }
  static double Advantage(size_t answer) {
    const size_t first = answer / 3 * 3;
    std::vector<double> r;
    for (size_t g = first; g < first + 3; ++g) r.push_back(GivenRewards::At(g));
    const double mean = std::accumulate(r.begin(), r.end(), 0.0) / 3;
    double squares = 0;
    for (const double v : r) squares += (v - mean) * (v - mean);
    return (GivenRewards::At(answer) - mean) / (std::sqrt(squares / 2) + 1e-4);
  }

  const ByteTokenizer tokenizer_;
  std::unique_ptr<Backend> backend_ = MakeReferenceBackend();
  std::unique_ptr<Model> model_ = RandomModel(SmallConfig(kByteVocab), 3, *backend_);
  std::unique_ptr<Adapter> adapter_ = Adapter::Make({.rank = 2}, model_->layout, 5, *backend_);
  std::vector<Example> rows_;
  MicroBatch micro_;
  std::vector<Attempt> seen_;
};

TEST_F(GrpoTest, AsksForSeveralAnswersToEachPrompt) {
  Grpo grpo(std::make_unique<GivenRewards>(seen_), *model_, adapter_.get(), nullptr, tokenizer_,
            Options(0));
  const StepBatch step = Prepared(grpo);
  ASSERT_EQ(seen_.size(), 6u);
  EXPECT_NE(seen_[0].prompt.find("one"), std::string::npos);
  EXPECT_EQ(seen_[0].expected, " uno");
  EXPECT_EQ(seen_[3].expected, " dos");
  EXPECT_FALSE(seen_[0].answer == seen_[1].answer && seen_[1].answer == seen_[2].answer)
      << "each answer is sampled by itself";
  ASSERT_EQ(step.micro[0].rows.size(), 6u);
  EXPECT_EQ(step.micro[0].order, (std::vector<int64_t>{0, 1, 2, 3, 4, 5}));
  for (const Example* row : step.micro[0].rows) EXPECT_TRUE(row->generated);
  const std::vector<Attempt> before = seen_;
  Prepared(grpo);
  EXPECT_EQ(before[4].answer, seen_[4].answer) << "the same step samples the same";
}

// As the held-out reward asks.
TEST_F(GrpoTest, OfSeveralAnswersTheLastIsAskedFor) {
  const std::string text = "q1A1q2A2.";
  Example row;
  for (const char c : text) row.ids.push_back(static_cast<unsigned char>(c));
  row.labels.assign(row.ids.size(), kNoLoss);
  for (const size_t at : {2, 3, 6, 7}) row.labels[at] = row.ids[at];
  row.answer = 2;
  EXPECT_EQ(tokenizer_.Decode(PromptOf(row), false), "q1A1q2");
  EXPECT_EQ(tokenizer_.Decode(OwnAnswerOf(row), false), "A2");
  rows_[0] = row;
  Grpo grpo(std::make_unique<GivenRewards>(seen_), *model_, adapter_.get(), nullptr, tokenizer_,
            Options(0));
  Prepared(grpo);
  EXPECT_EQ(seen_[0].prompt, "q1A1q2");
  EXPECT_EQ(seen_[0].expected, "A2");
}

// With loss_on all.
TEST_F(GrpoTest, APromptThatCarriesLossIsNoAnswer) {
  Example row = RowOf(tokenizer_, 0, "one", " uno");
  row.answer = row.size() - 4;
  const std::vector<int32_t> prompt = PromptOf(row);
  row.labels = row.ids;
  EXPECT_EQ(PromptOf(row), prompt);
  EXPECT_EQ(tokenizer_.Decode(OwnAnswerOf(row), false), " uno");
}

TEST_F(GrpoTest, LossAndGradientAreThoseOfTheFormula) {
  for (const double beta : {0.0, 0.3}) {
    Grpo grpo(std::make_unique<GivenRewards>(seen_), *model_, adapter_.get(), nullptr, tokenizer_,
              Options(beta));
    const StepBatch step = Prepared(grpo);
    const MicroBatch& micro = step.micro[0];
    const auto reference = Losses(micro, nullptr);
    // What is differentiated: advantage times -log p in place of the ratio, whose gradient is
    // equal.
    const auto value = [&](bool ratio) {
      const auto losses = Losses(micro, adapter_.get());
      double sum = 0;
      for (size_t e = 0; e < losses.size(); ++e) {
        for (size_t i = 0; i < losses[e].size(); ++i) {
          const double log_r = losses[e][i] - reference[e][i];
          sum += Advantage(e) * (ratio ? -1 : losses[e][i]) + beta * (std::exp(log_r) - log_r - 1);
        }
      }
      return sum;
    };
    constexpr float kScale = 0.25f;
    std::vector<std::unique_ptr<TrainingPass>> passes;
    const auto run = [&](Context& context) {
      LossSums sums;
      for (Tensor* sum : {&sums.loss, &sums.hidden, &sums.parts.ce, &sums.parts.kd})
        *sum = backend_->Upload(std::vector<double>{0});
      passes.push_back(std::make_unique<TrainingPass>(context, *model_, micro,
                                                      TrainingPass::Options{adapter_.get()}));
      grpo.Run(*passes.back(), kScale, sums);
      return backend_->ToDoubles(sums.loss)[0];
    };
    Context plain{*backend_};
    EXPECT_NEAR(run(plain), value(true), 1e-9) << beta;
    const auto results = CheckGradients(*backend_, adapter_->parameters(), [&](Context& context) {
      run(context);
      return kScale * value(false);
    });
    for (const GradientCheckResult& r : results) {
      EXPECT_LT(r.relative_error, 1e-5) << r.name << " " << beta;
      EXPECT_GT(r.norm, 1e-7) << r.name;
    }
    EXPECT_EQ(grpo.TakeExtras().size(), beta > 0 ? 5u : 4u);
  }
}

// Answers of one reward teach nothing.
TEST_F(GrpoTest, LeavesOutPromptsWithoutADifference) {
  class Same : public Reward {
    std::vector<double> Of(const std::vector<Attempt>& attempts) override {
      return std::vector<double>(attempts.size(), 2);
    }
  };
  Grpo grpo(std::make_unique<Same>(), *model_, adapter_.get(), nullptr, tokenizer_, Options(0));
  StepBatch step;
  step.micro = {micro_};
  EXPECT_GT(grpo.Prepare(step, 1), 0);
  EXPECT_EQ(step.loss_tokens, 0);
  const auto extras = grpo.TakeExtras();
  EXPECT_EQ(extras[0], (Extra{"reward", 2}));
}

TEST(GrpoTraining, FindsWhatIsRewarded) {
  const ByteTokenizer tokenizer;
  const auto backend = MakeCpuBackend(2, Compute::kF32);
  const auto model = RandomModel(SmallConfig(kByteVocab), 3, *backend);
  const auto adapter = Adapter::Make({.rank = 4}, model->layout, 5, *backend);
  std::vector<Example> rows;
  for (int64_t i = 0; i < 16; ++i) rows.push_back(RowOf(tokenizer, i, Cat("say ", i), " x"));
  BatchOptions batches;
  batches.batch_rows = 8;
  batches.max_tokens = 64;
  batches.packing = false;
  BatchStream stream(rows, batches);
  GrpoOptions options;
  options.sampling.max_new_tokens = 1;
  options.sampling.max_tokens = 64;
  Grpo grpo(MakeReward({.regex = "[!-~]"}), *model, adapter.get(), nullptr, tokenizer, options);
  TrainerOptions training;
  training.schedule.kind = Schedule::Kind::kConstant;
  training.schedule.peak = 1e-2;
  Trainer trainer(*model, adapter.get(), stream, training, grpo);
  std::vector<double> rewards;
  for (int i = 0; i < 80; ++i) rewards.push_back(trainer.Step()->extras.at(0).second);
  const auto mean = [](auto begin, auto end) {
    return std::accumulate(begin, end, 0.0) / static_cast<double>(end - begin);
  };
  // A frozen random head leaves little room, but what is rewarded becomes much more frequent.
  EXPECT_GT(mean(rewards.end() - 20, rewards.end()),
            mean(rewards.begin(), rewards.begin() + 3) + 0.3);
}

TEST(Rewards, SchemaIsSatisfiedWithAnyWhiteSpace) {
  const auto reward = MakeReward({.schema = R"({"type": "object", "required": ["a"]})"});
  EXPECT_EQ(reward->Of({{"p", "{\"a\":1}", ""},
                        {"p", " { \"a\" : 1 }\n", ""},
                        {"p", "{\"b\":1}", ""},
                        {"p", "a", ""}}),
            (std::vector<double>{1, 1, 0, 0}));
  EXPECT_THROW(MakeReward({.schema = R"({"uniqueItems": true})"}), Error);
}

TEST(Rewards, AddUp) {
  const std::vector<Attempt> attempts = {
      {"q", " yes\n", " yes"}, {"q", "no", "yes"}, {"q", "", ""}};
  EXPECT_EQ(MakeReward({.regex = "[a-z]+"})->Of(attempts), (std::vector<double>{1, 1, 0}));
  EXPECT_EQ(MakeReward({.exact = true})->Of(attempts), (std::vector<double>{1, 0, 1}));
  EXPECT_EQ(MakeReward({.regex = "[a-z]+", .exact = true})->Of(attempts),
            (std::vector<double>{2, 1, 1}));
  // One line for each answer, with its three texts.
  EXPECT_EQ(MakeReward({.command = "while read -r line; do echo ${#line}; done"})->Of(attempts),
            (std::vector<double>{50, 45, 40}));
  EXPECT_TRUE(MakeReward({.command = "exit 3"})->Of({}).empty());
}

TEST(Rewards, ACommandThatFailsIsTold) {
  const auto told = [](const std::string& command) -> std::string {
    try {
      MakeReward({.command = command})->Of({{"q", "a", "b"}, {"q", "c", "d"}});
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), Error::Kind::kFailure);
      return e.what();
    }
    return "";
  };
  EXPECT_NE(told("exit 3").find("status 3"), std::string::npos) << told("exit 3");
  EXPECT_NE(told("echo 1").find("1 numbers for 2 answers"), std::string::npos) << told("echo 1");
  EXPECT_NE(told("echo good; echo 2").find("no number"), std::string::npos);
  EXPECT_NE(told("echo nan; echo 2").find("no number"), std::string::npos);
  EXPECT_EQ(told("echo 1; echo -2.5e-1"), "");
}

TEST(Rewards, ACommandOutlivesWhatStopsTheTraining) {
  for (const char* signal : {"INT", "TERM", "HUP"}) {
    const std::string command = Cat("kill -", signal, " $$; sh -c 'kill -", signal, " $$'; echo 5");
    EXPECT_EQ(MakeReward({.command = command})->Of({{"q", "a", "b"}}), std::vector<double>{5});
  }
}

TEST(Rewards, AnExpressionMayTakeItsTimeForEachAnswer) {
  std::string answer;
  for (int i = 0; i < 4000; ++i) answer += i % 2 ? "b" : "a";
  const auto reward = MakeReward({.regex = "(?:a|b)*"});
  const std::vector<Attempt> attempts(3000, Attempt{"q", answer, ""});
  EXPECT_EQ(reward->Of(attempts), std::vector<double>(attempts.size(), 1));
}

}  // namespace
}  // namespace retort
