// SPDX-License-Identifier: Apache-2.0
#include "train/objectives/training_pass.h"

namespace retort {

TrainingPass::TrainingPass(Context& context, const Model& model, const MicroBatch& micro,
                           const Options& options)
    : context_(context),
      model_(model),
      micro_(micro),
      data_(MakeLabelledBatch(micro)),
      rows_(model.backend.Upload(data_.rows)),
      targets_(model.backend.Upload(data_.targets)),
      forward_{data_.batch, options.adapter} {
  forward_.checkpoint = options.checkpoint;
  forward_.dropout_seed = options.dropout_seed;
  forward_.noise = options.noise;
  forward_.noise_seed = options.noise_seed;
}

Var TrainingPass::Hidden(const Observer* observer) {
  forward_.observer = observer;
  return model_.Hidden(context_, forward_);
}

std::vector<double> TrainingPass::TokenLosses(const Var& hidden) const {
  Context plain{model_.backend};
  return model_.backend.ToHost<double>(
      model_.Losses(plain, forward_.adapters.one(), hidden, rows_, ops::CrossEntropy(targets_, 1)));
}

Tensor TrainingPass::Losses(const Var& hidden, const ops::LogitsLoss& loss) {
  return model_.Losses(context_, forward_.adapters.one(), hidden, rows_, loss);
}

}  // namespace retort
