// SPDX-License-Identifier: Apache-2.0
// One part of a step, read by the model that is trained.
#pragma once

#include <cstdint>
#include <vector>

#include "autograd/ops.h"
#include "data/labelled_batch.h"
#include "model/model.h"

namespace retort {

class TrainingPass {
 public:
  // How the model reads: ForwardPass, but for the batch and who observes.
  struct Options {
    const Adapter* adapter = nullptr;
    bool checkpoint = false;
    uint64_t dropout_seed = 0;
  };

  // Everything is borrowed. The pass must outlive the Run() of the context's tape, where there is
  // one.
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

  // The forward pass, once: the final hidden states [T,C].
  Var Hidden(const Observer* observer = nullptr);
  // -log p of every token that carries loss (data().Of: those of a row). Leaves nothing on the
  // tape, so it may come before the loss that depends on it; costs the head's product once more,
  // and waits for the device.
  std::vector<double> TokenLosses(const Var& hidden) const;
  // Losses of these tokens, f64 [N], on the tape (ops::HeadLoss).
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
