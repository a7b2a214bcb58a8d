// SPDX-License-Identifier: Apache-2.0
// Learning from preferences: the values by their formulas, from rows read alone; the gradients by
// central differences; and that training learns them however a step is cut.
#include "train/objectives/preference.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "eval/loss.h"
#include "tests/support/gradient_check.h"
#include "tests/support/random_model.h"
#include "train/trainer.h"

namespace retort {
namespace {

constexpr double kBeta = 0.7;
constexpr int64_t kPairVocab = 11;

using Method = PreferenceOptions::Method;

// Pairs of answers of 2 to 5 tokens, an even and an odd one in turn, to prompts of 1 to 4.
std::vector<Example> MakePairs(int64_t count) {
  RandomStream random(MakeKey(4, RandomUse::kData));
  const auto token = [&] { return static_cast<int32_t>(random.Below(kPairVocab)); };
  std::vector<Example> rows;
  for (int64_t pair = 0; pair < count; ++pair) {
    Example prompt;
    for (uint64_t n = 1 + random.Below(4); n > 0; --n) prompt.ids.push_back(token());
    prompt.labels.assign(prompt.ids.size(), kNoLoss);
    for (const int32_t odd : {0, 1}) {
      Example row = prompt;
      row.row = std::ssize(rows);
      row.joined = odd == 1;
      row.wanted = odd == 0;
      row.answer = row.size();
      for (uint64_t n = 2 + random.Below(4); n > 0; --n) {
        row.ids.push_back(token() / 2 * 2 % 10 + odd);
        row.labels.push_back(row.ids.back());
      }
      rows.push_back(row);
    }
  }
  return rows;
}

MicroBatch WholeOf(const std::vector<Example>& rows) {
  MicroBatch micro;
  for (const Example& row : rows) {
    micro.rows.push_back(&row);
    micro.order.push_back(row.row);
    micro.tokens += row.size(), micro.loss_tokens += row.LossTokens();
  }
  return micro;
}

class ObjectivesTest : public ::testing::Test {
 protected:
  // An adapter both of whose factors count, over a model in double.
  ObjectivesTest()
      : backend_(MakeReferenceBackend()),
        model_(RandomModel(SmallConfig(kPairVocab), 3, *backend_)),
        adapter_(Adapter::Make({.rank = 2}, model_->layout, 5, *backend_)) {
    RandomStream random(MakeKey(9, RandomUse::kInit));
    for (Parameter* p : adapter_->parameters()) {
      std::vector<double> values(static_cast<size_t>(p->value.elements()));
      for (double& v : values) v = 0.1 * random.Normal();
      p->value = backend_->FromDoubles(values, p->value.shape());
    }
  }
  // The objective's loss of all the rows, by one pass.
  double Loss(Objective& objective, Context& context, const MicroBatch& micro,
              const TrainingPass::Options& options) {
    LossSums sums;
    for (Tensor* sum : {&sums.loss, &sums.hidden, &sums.parts.ce, &sums.parts.kd})
      *sum = backend_->Upload(std::vector<double>{0});
    passes_.push_back(std::make_unique<TrainingPass>(context, *model_, micro, options));
    objective.Run(*passes_.back(), kScale, sums);
    return kScale * backend_->ToDoubles(sums.loss)[0];
  }
  // -log p of a row's answer, with the trained adapter or as the reference.
  double AnswerLoss(const Example& row, bool trained = true) {
    return ExampleLosses(*model_, trained ? adapter_.get() : nullptr, {&row})[0].sum;
  }
  double Score(const Example& row) { return AnswerLoss(row, false) - AnswerLoss(row); }
  std::unique_ptr<Objective> Make(Method method) {
    return MakePreference({method, kBeta, 0.5}, *model_, adapter_.get(), nullptr);
  }
  // The objective's value, prepared for a step of these rows alone.
  double Value(Objective& objective, const MicroBatch& micro) {
    StepBatch step;
    step.micro = {micro};
    objective.Prepare(step, 1);
    Context plain{*backend_};
    return Loss(objective, plain, micro, {adapter_.get()}) / kScale;
  }

  static constexpr float kScale = 0.25f;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Adapter> adapter_;
  std::vector<std::unique_ptr<TrainingPass>> passes_;  // they outlive their tapes
};

double MinusLogLogistic(double x) { return std::log1p(std::exp(-x)); }
double Logistic(double x) { return 1 / (1 + std::exp(-x)); }

TEST_F(ObjectivesTest, DpoIsItsFormula) {
  const std::vector<Example> rows = MakePairs(3);
  double expected = 0;
  for (size_t i = 0; i < rows.size(); i += 2)
    expected += MinusLogLogistic(kBeta * (Score(rows[i]) - Score(rows[i + 1])));
  const auto dpo = Make(Method::kDpo);
  EXPECT_NEAR(Value(*dpo, WholeOf(rows)), expected, 1e-10);
  EXPECT_EQ(dpo->TakeExtras().size(), 2u);
  EXPECT_TRUE(dpo->TakeExtras().empty());
}

TEST_F(ObjectivesTest, OrpoIsItsFormula) {
  const std::vector<Example> rows = MakePairs(3);
  double odds = 0, losses = 0;
  int64_t tokens = 0;
  for (size_t i = 0; i < rows.size(); i += 2) {
    const auto log_odds = [&](const Example& row) {
      const double p = std::exp(-AnswerLoss(row) / static_cast<double>(row.LossTokens()));
      return std::log(p / (1 - p));
    };
    odds += MinusLogLogistic(log_odds(rows[i]) - log_odds(rows[i + 1]));
    losses += AnswerLoss(rows[i]);
    tokens += rows[i].LossTokens();
  }
  const auto orpo = Make(Method::kOrpo);
  // The sum over three pairs; the loss of the chosen is a mean over tokens.
  EXPECT_NEAR(Value(*orpo, WholeOf(rows)) / 3,
              losses / static_cast<double>(tokens) + kBeta * odds / 3, 1e-10);
}

// With loss_on all, the prompt's tokens count in the loss of the chosen answer alone.
TEST_F(ObjectivesTest, OnlyTheAnswersTokensAreCompared) {
  const std::vector<Example> rows = MakePairs(2);
  std::vector<Example> whole = rows;
  for (Example& row : whole) row.labels = row.ids;
  const auto dpo = Make(Method::kDpo), orpo = Make(Method::kOrpo);
  EXPECT_NEAR(Value(*dpo, WholeOf(whole)), Value(*dpo, WholeOf(rows)), 1e-10);
  EXPECT_GT(std::abs(Value(*orpo, WholeOf(whole)) - Value(*orpo, WholeOf(rows))), 1e-3);
}

// A row's prompt with another's answer.
Example Mixed(const Example& prompt, const Example& answer) {
  Example mixed;
  mixed.ids.assign(prompt.ids.begin(), prompt.ids.begin() + prompt.answer);
  mixed.labels.assign(mixed.ids.size(), kNoLoss);
  for (int64_t t = answer.answer; t < answer.size(); ++t) {
    mixed.ids.push_back(answer.ids[static_cast<size_t>(t)]);
    mixed.labels.push_back(mixed.ids.back());
  }
  return mixed;
}

double KtoLoss(const Example& row, double score, double kl) {
  return row.wanted ? 1 - Logistic(kBeta * (score - kl))
                    : 0.5 * (1 - Logistic(kBeta * (kl - score)));
}

TEST_F(ObjectivesTest, KtoIsItsFormula) {
  std::vector<Example> rows = MakePairs(2);
  for (Example& row : rows) row.joined = false;
  double kl = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    kl += Score(Mixed(rows[i], rows[(i + rows.size() - 1) % rows.size()])) /
          static_cast<double>(rows.size());
  }
  kl = std::max(0.0, kl);
  double expected = 0;
  for (const Example& row : rows) expected += KtoLoss(row, Score(row), kl);
  EXPECT_NEAR(Value(*Make(Method::kKto), WholeOf(rows)), expected, 1e-10);
}

// Beside its own answer a row has nothing to be compared with: its loss would always be 0.5.
TEST_F(ObjectivesTest, KtoTakesARowThatIsAloneInItsPartWithTheStepsRowBeforeIt) {
  std::vector<Example> rows = MakePairs(2);
  for (Example& row : rows) row.joined = false;
  StepBatch step;
  for (const Example& row : rows)
    step.micro.push_back({{&row}, {row.row}, row.size(), row.LossTokens()});
  const auto kto = Make(Method::kKto);
  kto->Prepare(step, 1);
  for (size_t i = 0; i < rows.size(); ++i) {
    const double kl = std::max(0.0, Score(Mixed(rows[i], rows[i == 0 ? 3 : i - 1])));
    Context plain{*backend_};
    EXPECT_NEAR(Loss(*kto, plain, step.micro[i], {adapter_.get()}) / kScale,
                KtoLoss(rows[i], Score(rows[i]), kl), 1e-10);
  }
  // Alone in the step.
  EXPECT_NEAR(Value(*kto, step.micro[0]), KtoLoss(rows[0], Score(rows[0]), 0), 1e-10);
}

// As rows of a greater weight come: at both ends, where the last stands before the first, and as
// neighbours.
TEST_F(ObjectivesTest, KtoComparesNoRowWithItself) {
  std::vector<Example> rows = MakePairs(2);
  for (Example& row : rows) row.joined = false;
  const std::vector<size_t> drawn = {0, 1, 1, 3, 0};
  MicroBatch micro;
  for (const size_t i : drawn) {
    const Example& row = rows[i];
    micro.rows.push_back(&row);
    micro.order.push_back(std::ssize(micro.order));
    micro.tokens += row.size(), micro.loss_tokens += row.LossTokens();
  }
  const double pairs = Score(Mixed(rows[1], rows[0])) + Score(Mixed(rows[3], rows[1])) +
                       Score(Mixed(rows[0], rows[3]));
  const double kl = std::max(0.0, pairs / 3);
  EXPECT_GT(kl, 0);
  double expected = 0;
  for (const size_t i : drawn) expected += KtoLoss(rows[i], Score(rows[i]), kl);
  EXPECT_NEAR(Value(*Make(Method::kKto), micro), expected, 1e-10);
}

// KTO's mean score is a constant of the step, so here it is left as Prepare found it.
TEST_F(ObjectivesTest, TheGradientsAreThoseOfCentralDifferences) {
  adapter_->config().dropout = 0.3;
  for (const Method method : {Method::kDpo, Method::kOrpo, Method::kKto}) {
    std::vector<Example> rows = MakePairs(2);
    for (Example& row : rows) row.joined = row.joined && method != Method::kKto;
    if (method == Method::kOrpo) {
      for (Example& row : rows) row.labels = row.ids;
    }
    const MicroBatch micro = WholeOf(rows);
    const auto objective = Make(method);
    StepBatch step;
    step.micro = {micro};
    objective->Prepare(step, 1);
    for (const TrainingPass::Options& options :
         {TrainingPass::Options{adapter_.get()}, TrainingPass::Options{adapter_.get(), true},
          TrainingPass::Options{adapter_.get(), false, 77}}) {
      const auto results = CheckGradients(*backend_, adapter_->parameters(), [&](Context& context) {
        return Loss(*objective, context, micro, options);
      });
      ASSERT_EQ(results.size(), 2u * 2 * 7);
      for (const GradientCheckResult& r : results) {
        EXPECT_LT(r.relative_error, 1e-6) << r.name;
        EXPECT_GT(r.norm, 1e-7) << r.name;
      }
    }
  }
}

// The trainer knows nothing of pairs: they are learnt, and alike however a step is cut.
TEST(PairwiseTraining, LearnsPairsAndCutsNone) {
  const std::vector<Example> rows = MakePairs(12);
  const auto losses = [&](int64_t part_tokens, bool packing) {
    const auto backend = MakeCpuBackend(1, Compute::kF32);
    const auto model = RandomModel(SmallConfig(kPairVocab), 3, *backend);
    const auto adapter = Adapter::Make({.rank = 4}, model->layout, 5, *backend);
    BatchOptions batches;
    batches.batch_tokens = packing ? 0 : 1000;
    batches.batch_rows = 12;
    batches.max_tokens = 10;
    batches.packing = packing;
    BatchStream stream(rows, batches);
    TrainerOptions options;
    options.part_tokens = part_tokens;
    options.schedule.kind = Schedule::Kind::kConstant;
    options.schedule.peak = 1e-2;
    const auto objective = MakePreference({Method::kDpo, kBeta, 1}, *model, adapter.get(), nullptr);
    Trainer trainer(*model, adapter.get(), stream, options, *objective);
    std::vector<double> out;
    for (int i = 0; i < 30; ++i) out.push_back(trainer.Step()->loss);
    return out;
  };
  const auto whole = losses(4096, false), parts = losses(1, false);
  EXPECT_LT(whole.back(), 0.3 * whole.front());
  ASSERT_EQ(whole.size(), parts.size());
  for (size_t i = 0; i < whole.size(); ++i) EXPECT_NEAR(parts[i], whole[i], 1e-4 * whole.front());
  EXPECT_LT(losses(1, true).back(), 0.3 * whole.front());
}

}  // namespace
}  // namespace retort
