// SPDX-License-Identifier: Apache-2.0
// A teacher that reads every batch beside the student and is asked for its logits.
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "train/objectives/distillation.h"

namespace retort {

// A further term: hidden states of the student, projected, against the teacher's (ops::HiddenLoss).
// The outputs of the student's blocks are compared with those of the teacher's blocks at the same
// share of its depth.
struct HiddenOptions {
  HiddenLossKind kind = HiddenLossKind::kMse;
  double weight = 1;
  bool all_layers = false;  // else the last block alone
  uint64_t seed = 1;        // of the projections, which begin as an identity where the widths are
                            // equal, and random otherwise
};

class OnlineDistillation : public Distillation {
 public:
  // model and adapter (may be null) are the teacher's; model may be the student's own, which it
  // then reads without the student's adapter. Everything is borrowed.
  OnlineDistillation(const Model& model, const Adapter* adapter, const Model& student,
                     const DistillationOptions& options,
                     const std::optional<HiddenOptions>& hidden = {});

  // Where the tokenizers differ: the teacher's own tokens of each row, by Example::row. A row's
  // j-th token that carries loss is then compared with the j-th of the teacher's, as far as both
  // go.
  void ReadOwnRows(std::map<int64_t, Example> rows) { own_rows_ = std::move(rows); }

  ops::LogitsLoss LossOf(const MicroBatch& micro, const LabelledBatch& data, float scale,
                         const ops::DistillSums& sums) override;
  std::vector<Parameter*> parameters() override;

 protected:
  const Observer* observer() override { return pairs_.empty() ? nullptr : &observer_; }
  void HiddenTerms(TrainingPass& pass, float scale, Tensor& sum) override;

 private:
  // A pair of blocks whose outputs are compared.
  struct Pair {
    int64_t student, teacher;
    std::unique_ptr<Parameter> projection;
    Tensor wanted;  // the teacher's states of the part's tokens that carry loss, on the student's
                    // backend
    Var found;      // the student's, all tokens
  };

  void MakePairs(const HiddenOptions& options);
  // The final hidden states [N,C] of the places `rows`; fills the pairs' `wanted`.
  Tensor Read(const Batch& batch, const std::vector<int32_t>& rows);
  Tensor ToStudent(const Tensor& x) const;

  const Model& model_;
  const Adapter* adapter_;
  const Model& student_;
  const std::optional<HiddenOptions> hidden_;
  std::optional<std::map<int64_t, Example>> own_rows_;
  std::vector<Pair> pairs_;
  Observer observer_;
};

}  // namespace retort
