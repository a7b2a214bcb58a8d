// SPDX-License-Identifier: Apache-2.0
// The trained model's forward pass over one part of a step.
#pragma once

#include <cstdint>
#include <vector>

#include "autograd/ops.h"
#include "data/labelled_batch.h"
#include "model/model.h"

namespace retort {

class TrainingPass {
 public:
  // ForwardPass without the batch and the observer.
  struct Options {
    const Adapter* adapter = nullptr;
    bool checkpoint = false;
    uint64_t dropout_seed = 0;
    double noise = 0;
    uint64_t noise_seed = 0;
  };

  // Everything is borrowed. The pass must outlive the Run() of the context's tape, if it has one.
  TrainingPass(Context& context, const Model& model, const MicroBatch& micro,
               const Options& options);
  TrainingPass(const TrainingPass&) = delete;
  TrainingPass& operator=(const TrainingPass&) = delete;

  Context& context() { return context_; }
  const Model& model() const { return model_; }
  const MicroBatch& micro() const { return micro_; }
  const LabelledBatch& data() const { return data_; }
  // data().rows and data().targets on the device, i32 [N].
  const Tensor& rows() const { return rows_; }
  const Tensor& targets() const { return targets_; }

  // The forward pass: the final hidden states [T,C]. Call it once.
  Var Hidden(const Observer* observer = nullptr);
  // -log p of every token that carries loss (data().Of: those of one row). Records nothing on the
  // tape, so it can be called before a loss that depends on its result. Costs one more product with
  // the head, and waits for the device.
  std::vector<double> TokenLosses(const Var& hidden) const;
  // Losses of the tokens that carry loss, f64 [N], recorded on the tape (ops::HeadLoss).
  Tensor Losses(const Var& hidden, const ops::LogitsLoss& loss);

 private:
  Context& context_;
  const Model& model_;
  const MicroBatch& micro_;
  const LabelledBatch data_;
  const Tensor rows_, targets_;
  ForwardPass forward_;
};

}  // namespace retort
