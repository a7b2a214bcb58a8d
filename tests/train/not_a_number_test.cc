// SPDX-License-Identifier: Apache-2.0
// A step whose numbers are not numbers ends the training, and the error says whose they are.
#include <gtest/gtest.h>

#include <limits>

#include "base/error.h"
#include "tests/support/random_model.h"
#include "train/objectives/cross_entropy.h"
#include "train/objectives/online_distillation.h"
#include "train/trainer.h"

namespace retort {
namespace {

constexpr int64_t kOddVocab = 61;

void MakeOdd(Model& model) {
  const int64_t width = model.config.width;
  model.gains[static_cast<size_t>(model.layout.final_norm.gain)] = {model.backend.FromFloats(
      std::vector<float>(static_cast<size_t>(width), std::numeric_limits<float>::quiet_NaN()),
      {width})};
}

class OddSteps : public testing::Test {
 protected:
  OddSteps() {
    examples_.resize(4);
    for (size_t i = 0; i < examples_.size(); ++i) {
      examples_[i].row = static_cast<int64_t>(i);
      examples_[i].ids = {1, 2, 3, 4};
      examples_[i].labels = {kNoLoss, 2, 3, 4};
    }
  }
  // What the first step fails with.
  std::string FailureOf(Objective& objective) {
    BatchOptions batches;
    batches.batch_rows = 2, batches.max_tokens = 32, batches.epochs = 1;
    BatchStream stream(examples_, batches);
    TrainerOptions options;
    options.schedule.kind = Schedule::Kind::kConstant;
    options.name_row = [](const Example& e) { return Cat("rows.jsonl:", e.row + 1); };
    Trainer trainer(*model_, adapter_.get(), stream, options, objective);
    try {
      trainer.Step();
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), Error::Kind::kFailure);
      EXPECT_EQ(trainer.steps_done(), 0);
      return e.what();
    }
    return "";
  }

  std::vector<Example> examples_;
  std::unique_ptr<Backend> backend_ = MakeCpuBackend(1, Compute::kF32);
  std::unique_ptr<Model> model_ = RandomModel(SmallConfig(kOddVocab), 1, *backend_),
                         teacher_ = RandomModel(SmallConfig(kOddVocab), 2, *backend_);
  std::unique_ptr<Adapter> adapter_ = Adapter::Make({.rank = 3}, model_->layout, 4, *backend_);
};

TEST_F(OddSteps, OfATeacherNameIt) {
  MakeOdd(*teacher_);
  for (const Divergence d : {Divergence::kForwardKl, Divergence::kReverseKl, Divergence::kJsd,
                             Divergence::kTotalVariation, Divergence::kSorted}) {
    OnlineDistillation objective(*teacher_, nullptr, *model_,
                                 {.settings = {.divergence = d}, .teacher = "models/large"});
    const std::string told = FailureOf(objective);
    EXPECT_NE(told.find("the teacher's logits are not numbers"), std::string::npos) << told;
    EXPECT_NE(told.find("models/large"), std::string::npos) << told;
  }
}

TEST_F(OddSteps, OfTheModelDoNotBlameTheTeacherNorTheRate) {
  MakeOdd(*model_);
  OnlineDistillation distilled(*teacher_, nullptr, *model_, {.teacher = "models/large"});
  CrossEntropyObjective plain;
  for (Objective* objective :
       {static_cast<Objective*>(&distilled), static_cast<Objective*>(&plain)}) {
    const std::string told = FailureOf(*objective);
    EXPECT_NE(told.find("before anything was learnt"), std::string::npos) << told;
    EXPECT_EQ(told.find("models/large"), std::string::npos) << told;
    EXPECT_EQ(told.find("train.lr"), std::string::npos) << told;
  }
}

// A token whose embedding overflows stands in one row alone.
TEST_F(OddSteps, NameTheRowAtFault) {
  const int64_t width = model_->config.width;
  const auto buffer = backend_->memory().Allocate(kOddVocab * width * int64_t{sizeof(float)});
  auto* values = reinterpret_cast<float*>(buffer->data());
  std::fill(values, values + kOddVocab * width, 0.5f);
  std::fill(values + 7 * width, values + 8 * width, std::numeric_limits<float>::infinity());
  model_->Set({Target::Kind::kLinear, model_->layout.embedding},
              Weight(WeightFormat::kF32, kOddVocab, width,
                     {buffer->data(), static_cast<size_t>(buffer->bytes())}, buffer));
  for (Example& e : examples_) e.ids[1] = 2;
  examples_[2].ids[1] = 7;
  examples_.erase(examples_.begin(), examples_.begin() + 2);  // the first step has both that stay
  CrossEntropyObjective plain;
  const std::string told = FailureOf(plain);
  EXPECT_NE(told.find("worst rows: rows.jsonl:3 (its loss is not finite)"), std::string::npos)
      << told;
}

}  // namespace
}  // namespace retort
