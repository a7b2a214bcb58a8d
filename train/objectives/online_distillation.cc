// SPDX-License-Identifier: Apache-2.0
#include "train/objectives/online_distillation.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/random.h"

namespace retort {
namespace {

// The rows in the teacher's tokens, and for each of the student's tokens that carry loss the
// teacher's place that corresponds to it (any place if `matched` is false: there is none).
struct OwnReading {
  LabelledBatch own;
  std::vector<int32_t> rows;
  std::vector<bool> matched;
};

OwnReading ReadingOf(const MicroBatch& micro, const std::map<int64_t, Example>& own) {
  OwnReading out;
  for (size_t r = 0; r < micro.rows.size(); ++r) {
    const auto found = own.find(micro.rows[r]->row);
    RETORT_CHECK(found != own.end(), "the teacher has no tokens of row ", micro.rows[r]->row);
    const auto begin = static_cast<int32_t>(out.own.batch.tokens());
    out.own.Add(found->second, micro.order[r]);
    const std::span<const int32_t> places = out.own.Of(r, out.own.rows);
    const auto wanted = static_cast<size_t>(micro.rows[r]->LossTokens());
    for (size_t i = 0; i < wanted; ++i) {
      out.matched.push_back(i < places.size());
      out.rows.push_back(i < places.size() ? places[i] : begin);
    }
  }
  return out;
}

std::vector<float> InitialProjection(int64_t rows, int64_t cols, uint64_t seed, int64_t index) {
  std::vector<float> values(static_cast<size_t>(rows * cols));
  RandomStream random(MakeKey(seed, RandomUse::kInit, ~uint64_t{0}, static_cast<uint64_t>(index)));
  const double deviation = 1 / std::sqrt(static_cast<double>(cols));
  for (int64_t i = 0; i < rows * cols; ++i) {
    const bool diagonal = i / cols == i % cols;
    values[static_cast<size_t>(i)] =
        rows == cols ? (diagonal ? 1.0f : 0.0f) : static_cast<float>(deviation * random.Normal());
  }
  return values;
}

}  // namespace

OnlineDistillation::OnlineDistillation(const Model& model, const Adapter* adapter,
                                       const Model& student, const DistillationOptions& options,
                                       const std::optional<HiddenOptions>& hidden)
    : Distillation(options, student.backend),
      model_(model),
      adapter_(adapter),
      student_(student),
      hidden_(hidden) {
  if (hidden_) MakePairs(*hidden_);
}

void OnlineDistillation::MakePairs(const HiddenOptions& options) {
  const int64_t layers = student_.config.layers(), deep = model_.config.layers();
  for (int64_t i = options.all_layers ? 0 : layers - 1; i < layers; ++i) {
    const int64_t at = ((i + 1) * deep + layers - 1) / layers - 1;
    const Shape shape{model_.config.width, student_.config.width};
    const std::vector<float> values = InitialProjection(shape[0], shape[1], options.seed, i);
    pairs_.push_back({i,
                      at,
                      std::make_unique<Parameter>(Cat("teacher.projection.", i),
                                                  student_.backend.FromFloats(values, shape)),
                      {},
                      {}});
  }
  observer_.block_output = [this](int64_t layer, const Var& x) {
    for (Pair& pair : pairs_) {
      if (pair.student == layer) pair.found = x;
    }
  };
}

std::vector<Parameter*> OnlineDistillation::parameters() {
  std::vector<Parameter*> out;
  for (const Pair& pair : pairs_) out.push_back(pair.projection.get());
  return out;
}

ops::LogitsLoss OnlineDistillation::LossOf(const MicroBatch& micro, const LabelledBatch& data,
                                           float scale, const ops::DistillSums& sums) {
  std::vector<bool> matched;
  Tensor hidden;
  if (own_rows_) {
    OwnReading reading = ReadingOf(micro, *own_rows_);
    hidden = Read(reading.own.batch, reading.rows);
    matched = std::move(reading.matched);
  } else {
    hidden = Read(MakeLabelledBatch(micro).batch, data.rows);
  }
  const auto logits = [this, hidden](int64_t begin, int64_t count) {
    Context context{model_.backend};
    return ToStudent(model_.LogitsOf(context, adapter_, hidden.RowRange(begin, count)));
  };
  return ops::Distill(Weighed(micro, data, matched), scale, logits, sums);
}

Tensor OnlineDistillation::Read(const Batch& batch, const std::vector<int32_t>& rows) {
  Backend& k = model_.backend;
  Context context{k};
  const Tensor places = k.Upload(rows);
  const auto chosen = [&](const Tensor& x) {
    Tensor out = k.New({places.elements(), x.cols()});
    k.GatherRows(x, places, out);
    return out;
  };
  const Observer observer{[&](int64_t layer, const Var& x) {
                            for (Pair& pair : pairs_) {
                              if (pair.teacher == layer) pair.wanted = ToStudent(chosen(x.value));
                            }
                          },
                          {}};
  ForwardPass pass{batch, adapter_};
  if (!pairs_.empty()) pass.observer = &observer;
  return chosen(model_.Hidden(context, pass).value);
}

// Copies through host memory if the teacher and the student are on different devices.
Tensor OnlineDistillation::ToStudent(const Tensor& x) const {
  if (model_.backend.name() == student_.backend.name()) return x;
  return student_.backend.FromFloats(model_.backend.ToFloats(x), x.shape());
}

void OnlineDistillation::HiddenTerms(TrainingPass& pass, float scale, Tensor& sum) {
  if (pairs_.empty()) return;
  const double weight = hidden_->weight / static_cast<double>(pairs_.size());
  for (Pair& pair : pairs_) {
    const Tensor losses =
        ops::HiddenLoss(pass.context(), pair.found, pass.rows(), pair.wanted,
                        pair.projection->var(), hidden_->kind, static_cast<float>(weight) * scale);
    backend_.AddSum(losses, weight, sum);
    pair.found = {};
    pair.wanted = Tensor();
  }
}

}  // namespace retort
