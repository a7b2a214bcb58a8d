// SPDX-License-Identifier: Apache-2.0
// Quantises a model's blocks so that the outputs of their matrices change little on given rows:
// rounding with error feedback (tensor/quant/feedback.h), layer by layer, each layer on what the
// quantised ones before it give.
#pragma once

#include <cstdint>
#include <functional>

#include "data/examples.h"
#include "model/model.h"
#include "model/model_files.h"
#include "tensor/quant/feedback.h"

namespace retort {

struct TuneOptions {
  int64_t batch_tokens = 2048;  // computed at once
  // Bytes of second moments that are held at a time, besides those of one matrix: where a layer has
  // more, the rows pass through it several times.
  int64_t moment_bytes = int64_t{2} << 30;
  double damping = 0.01;                        // FeedbackFactor's
  std::function<void(int64_t layer)> on_layer;  // that is done
};

// How the blocks' matrices are rounded; all rows are in Hugging Face's order.
struct BlockRounding {
  std::function<bool(const TensorSpec& spec)> wanted;  // others stay as they are
  // The rounded matrix, as the model is to have it.
  std::function<Weight(const TensorSpec& spec, const Weight& source, const FeedbackFactor& factor)>
      round;
  // Called with each of them, in the layout's order.
  std::function<void(const TensorSpec& spec, const Weight& rounded)> use;
};

// Replaces matrices of `model`, which was loaded from `files`, by rounded ones. All tokens of the
// examples count. Throws Error{kFailure} naming the layer if an input is not finite.
void TuneBlocks(const ModelFiles& files, const Examples& examples, const BlockRounding& rounding,
                const TuneOptions& options, Model& model);

}  // namespace retort
