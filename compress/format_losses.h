// SPDX-License-Identifier: Apache-2.0
// How much each tensor of a model suffers from each format, measured as KL on given rows.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "compress/format_mix.h"
#include "data/examples.h"
#include "model/model.h"
#include "model/model_files.h"

namespace retort {

struct FormatLossOptions {
  int64_t tokens = 512;  // that KL is measured on, at most: they are taken from all over the rows
  std::function<void(int64_t done, int64_t total)> on_progress;  // tensors
};

class FormatLosses {
 public:
  // Measures. The model was loaded from `files`, and has its weights again in the end; both must
  // outlive this.
  FormatLosses(const ModelFiles& files, const Examples& examples,
               const std::vector<WeightFormat>& formats, const FormatLossOptions& options,
               Model& model);
  ~FormatLosses();

  // Every matrix that a GGUF holds by itself (routers and parts of a HeadSplit excepted), in the
  // layout's order, with those of `formats` whose blocks divide its rows, f16 if none does. Each
  // tensor was quantised alone, in the first of its formats, or in the one with the largest error
  // if it is on the grid of the first; the KL of the others is that times the ratio of their
  // squared errors, weighted by the squares of the inputs, since KL grows with the square of a
  // small error.
  const std::vector<MixItem>& items() const { return items_; }

  // The KL of the model with each item's choice of that index, each row rounded by itself.
  double KlOf(const std::vector<size_t>& chosen);

 private:
  class Measurement;
  std::unique_ptr<Measurement> measurement_;
  std::vector<MixItem> items_;
};

}  // namespace retort
