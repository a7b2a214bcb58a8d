// SPDX-License-Identifier: Apache-2.0
#include "train/objectives/training_pass.h"

#include <numeric>

namespace retort {

TrainingPass::TrainingPass(Context& context, const Model& model, const MicroBatch& micro,
                           const Options& options)
    : context_(context),
      model_(model),
      micro_(micro),
      data_(MakeLabelledBatch(micro)),
      forward_{data_.batch, options.adapter} {
  forward_.checkpoint = options.checkpoint;
  forward_.dropout_seed = options.dropout_seed;
}

Var TrainingPass::Hidden(const Observer* observer) {
  forward_.observer = observer;
  return model_.Hidden(context_, forward_);
}

std::vector<double> TrainingPass::TokenLosses(const Var& hidden) const {
  Context plain{model_.backend};
  return model_.Losses(plain, hidden, data_.rows, ops::CrossEntropy(data_.targets, 1));
}

double TrainingPass::Losses(const Var& hidden, const ops::LogitsLoss& loss) {
  const std::vector<double> losses = model_.Losses(context_, hidden, data_.rows, loss);
  return std::accumulate(losses.begin(), losses.end(), 0.0);
}

}  // namespace retort
