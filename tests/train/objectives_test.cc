// SPDX-License-Identifier: Apache-2.0
// Shows that an objective can couple whole sequences: a pairwise logistic loss over the two rows of
// a group (DPO, arXiv 2305.18290, without its reference model), whose token weights depend on the
// losses of both rows.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "autograd/gradient_check.h"
#include "base/random.h"
#include "eval/loss.h"
#include "tests/support/random_model.h"
#include "train/trainer.h"

namespace retort {
namespace {

constexpr double kBeta = 0.7;
constexpr int64_t kVocab = 11;

// -log sigmoid(beta (log p(chosen) - log p(rejected))) for each group of two rows.
class PairwiseObjective : public Objective {
 public:
  int64_t Terms(const StepBatch& step) const override {
    int64_t pairs = 0;
    for (const MicroBatch& micro : step.micro) pairs += std::ssize(GroupsOf(micro));
    return pairs;
  }

  void Run(TrainingPass& pass, float scale, LossSums& sums) override {
    Backend& k = pass.context().backend;
    const Var hidden = pass.Hidden();
    const std::vector<double> losses = pass.TokenLosses(hidden);
    std::vector<float> scales;
    for (const RowGroup& group : GroupsOf(pass.micro())) {
      ASSERT_EQ(group.end - group.begin, 2u);
      const auto chosen = pass.data().Of(group.begin, losses);
      const auto rejected = pass.data().Of(group.begin + 1, losses);
      const double margin = kBeta * (Sum(rejected) - Sum(chosen));
      k.AddSum(k.Upload(std::vector{std::log1p(std::exp(-margin))}), 1, sums.loss);
      const auto pull = static_cast<float>(scale * kBeta / (1 + std::exp(margin)));
      scales.insert(scales.end(), chosen.size(), pull);
      scales.insert(scales.end(), rejected.size(), -pull);
    }
    pass.Losses(hidden, ops::CrossEntropy(pass.targets(), k.Upload(scales)));
  }

 private:
  static double Sum(std::span<const double> values) {
    return std::accumulate(values.begin(), values.end(), 0.0);
  }
};

// Pairs of answers of 2 to 5 tokens, an even and an odd one in turn, to prompts of 1 to 4.
std::vector<Example> MakePairs(int64_t count) {
  RandomStream random(MakeKey(4, RandomUse::kData));
  const auto token = [&] { return static_cast<int32_t>(random.Below(kVocab)); };
  std::vector<Example> rows;
  for (int64_t pair = 0; pair < count; ++pair) {
    Example prompt;
    for (uint64_t n = 1 + random.Below(4); n > 0; --n) prompt.ids.push_back(token());
    prompt.labels.assign(prompt.ids.size(), kNoLoss);
    for (const int32_t odd : {0, 1}) {
      Example row = prompt;
      row.row = std::ssize(rows);
      row.joined = odd == 1;
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
        model_(RandomModel(SmallConfig(kVocab), 3, *backend_)),
        adapter_(Adapter::Make({.rank = 2}, model_->layout, 5, *backend_)) {
    RandomStream random(MakeKey(9, RandomUse::kInit));
    for (Parameter* p : adapter_->parameters()) {
      std::vector<double> values(static_cast<size_t>(p->value.elements()));
      for (double& v : values) v = 0.1 * random.Normal();
      p->value = backend_->FromDoubles(values, p->value.shape());
    }
  }
  // The objective's loss of all the pairs, by one pass.
  double Loss(Context& context, const MicroBatch& micro, const TrainingPass::Options& options) {
    LossSums sums;
    for (Tensor* sum : {&sums.loss, &sums.hidden, &sums.parts.ce, &sums.parts.kd})
      *sum = backend_->Upload(std::vector<double>{0});
    PairwiseObjective objective;
    passes_.push_back(std::make_unique<TrainingPass>(context, *model_, micro, options));
    objective.Run(*passes_.back(), kScale, sums);
    return kScale * backend_->ToDoubles(sums.loss)[0];
  }

  static constexpr float kScale = 0.25f;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Adapter> adapter_;
  std::vector<std::unique_ptr<TrainingPass>> passes_;  // they outlive their tapes
};

TEST_F(ObjectivesTest, AWholeSequencesLossIsThatOfItsRowsReadAlone) {
  const std::vector<Example> rows = MakePairs(3);
  double expected = 0;
  for (size_t i = 0; i < rows.size(); i += 2) {
    const double chosen = ExampleLosses(*model_, adapter_.get(), {&rows[i]})[0].sum;
    const double rejected = ExampleLosses(*model_, adapter_.get(), {&rows[i + 1]})[0].sum;
    expected += std::log(1 + std::exp(kBeta * (chosen - rejected)));
  }
  Context plain{*backend_};
  EXPECT_NEAR(Loss(plain, WholeOf(rows), {adapter_.get()}), kScale * expected, 1e-12);
}

TEST_F(ObjectivesTest, TheGradientOfASequenceCoupledLossIsThatOfCentralDifferences) {
  const std::vector<Example> rows = MakePairs(2);
  const MicroBatch micro = WholeOf(rows);
  adapter_->config().dropout = 0.3;
  for (const TrainingPass::Options& options :
       {TrainingPass::Options{adapter_.get()}, TrainingPass::Options{adapter_.get(), true},
        TrainingPass::Options{adapter_.get(), false, 77}}) {
    const auto results = CheckGradients(*backend_, adapter_->parameters(), [&](Context& context) {
      return Loss(context, micro, options);
    });
    ASSERT_EQ(results.size(), 2u * 2 * 7);
    for (const GradientCheckResult& r : results) {
      EXPECT_LT(r.relative_error, 1e-6) << r.name;
      EXPECT_GT(r.norm, 1e-6) << r.name;
    }
  }
}

// The trainer knows nothing of pairs: they are learnt, and alike however a step is cut.
TEST(PairwiseTraining, LearnsPairsAndCutsNone) {
  const std::vector<Example> rows = MakePairs(12);
  const auto losses = [&](int64_t part_tokens, bool packing) {
    const auto backend = MakeCpuBackend(1, Compute::kF32);
    const auto model = RandomModel(SmallConfig(kVocab), 3, *backend);
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
    PairwiseObjective objective;
    Trainer trainer(*model, adapter.get(), stream, options, objective);
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
