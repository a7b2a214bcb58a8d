// SPDX-License-Identifier: Apache-2.0
// Distillation from a teacher that runs on every batch beside the student.
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "train/objectives/distillation.h"

namespace retort {

// An additional term: projected hidden states of the student against the teacher's
// (ops::HiddenLoss). The output of each student block is compared with that of the teacher block at
// the same relative depth.
struct HiddenOptions {
  HiddenLossKind kind = HiddenLossKind::kMse;
  double weight = 1;
  bool all_layers = false;  // false: only the last block
  // Of the projections' initial values: the identity if the widths are equal, otherwise random.
  uint64_t seed = 1;
};

class OnlineDistillation : public Distillation {
 public:
  // model and adapter (may be null) are the teacher's. model may be the same object as student; it
  // is then run without the student's adapter. Everything is borrowed.
  OnlineDistillation(const Model& model, const Adapter* adapter, const Model& student,
                     const DistillationOptions& options,
                     const std::optional<HiddenOptions>& hidden = {});

  // For tokenizers that differ: each row in the teacher's own tokens, by Example::row. The j-th
  // token of a row that carries loss is then compared with the j-th such token of the teacher's
  // row, up to the shorter of the two.
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
    // The teacher's states [N, teacher width] of the tokens that carry loss, on the student's
    // backend.
    Tensor wanted;
    Var found;  // the student's states, all tokens
  };

  void MakePairs(const HiddenOptions& options);
  // Runs the teacher. Returns its final hidden states [N,C] at the places `rows`, and fills the
  // pairs' `wanted`.
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
