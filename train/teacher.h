// SPDX-License-Identifier: Apache-2.0
// What a teacher does for a student's training: the loss of a micro-batch's tokens.
//
//   loss = (1 - weight) * cross-entropy + weight * divergence [* temperature^2]
//
// summed over the tokens that carry loss, a token of a generated answer (Example::generated)
// without its cross-entropy.
#pragma once

#include <memory>
#include <vector>

#include "autograd/ops.h"
#include "data/packing.h"
#include "model/model.h"
#include "train/training_batch.h"

namespace retort {

struct TeacherOptions {
  DistillSettings settings;
  double weight = 0.5;
  bool scale_t2 = false;  // times temperature squared: gradients then do not fade as it grows
};

// What of the teacher is needed for one micro-batch. `loss` borrows from the teacher, until the next call of Look.
struct TeacherView {
  ops::LogitsLoss loss;
  const Observer* observer = nullptr;  // for the student's forward pass
  // Once the student's forward pass is done: puts further terms on the tape, and adds their sum over tokens to `sum`, f64
  // [1].
  std::function<void(Context& context, Tensor& sum)> rest;
};

class Teacher {
 public:
  virtual ~Teacher() = default;

  // Once a step, before it is computed. May put other rows in the place of the step's own, which live until
  // the next call. Returns the number of tokens that were generated for it.
  virtual int64_t Prepare(Step&, int64_t /*step*/) { return 0; }

  // `data` is the student's view of the micro-batch; the loss weighs every token by `scale`, and adds its parts to
  // `sums`.
  virtual TeacherView Look(const MicroBatch& micro, const TrainingBatch& data, float scale,
                           const ops::DistillSums& sums) = 0;

  // What the teacher brings along to be trained beside the student and thrown away afterwards.
  virtual std::vector<Parameter*> parameters() { return {}; }
};

// The weights of a micro-batch's tokens that carry loss, and with them what the student's backend computes.
struct TokenWeights {
  std::vector<float> ce, kd;  // [N]
};
TokenWeights WeightsOf(const TeacherOptions& options, const MicroBatch& micro);
ops::DistillObjective ObjectiveOf(const TeacherOptions& options, const TokenWeights& weights,
                                  const std::vector<int32_t>& targets, Backend& backend);

}  // namespace retort
