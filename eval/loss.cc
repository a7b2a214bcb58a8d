// SPDX-License-Identifier: Apache-2.0
#include "eval/loss.h"

#include <numbers>

namespace retort {

std::vector<LossTotal> ExampleLosses(const Model& model, const Adapter* adapter,
                                     const std::vector<const Example*>& examples) {
  Batch batch;
  std::vector<int32_t> rows, targets;
  std::vector<size_t> owner;  // of each loss: the example
  for (size_t e = 0; e < examples.size(); ++e) {
    const Example& example = *examples[e];
    const auto begin = static_cast<int32_t>(batch.tokens());
    batch.AddRow(example.ids, example.row);
    for (size_t i = 1; i < example.labels.size(); ++i) {
      if (example.labels[i] == kNoLoss) continue;
      rows.push_back(begin + static_cast<int32_t>(i) - 1);
      targets.push_back(example.labels[i]);
      owner.push_back(e);
    }
  }
  std::vector<LossTotal> out(examples.size());
  if (rows.empty()) return out;
  Backend& k = model.backend;
  Context context{k};
  const Var hidden = model.Hidden(context, {batch, adapter});
  const std::vector<double> losses = k.ToDoubles(model.Losses(
      context, hidden, k.Upload(rows), ops::CrossEntropy(k.Upload(targets), 1)));
  for (size_t i = 0; i < losses.size(); ++i) {
    out[owner[i]].sum += losses[i];
    ++out[owner[i]].tokens;
  }
  for (LossTotal& one : out) one.likely = one.tokens > 0 && one.sum < std::numbers::ln2;
  return out;
}

void ForEachBatch(const std::vector<Example>& examples, int64_t batch_tokens,
                  const std::function<void(const std::vector<const Example*>&)>& body) {
  std::vector<const Example*> batch;
  int64_t tokens = 0;
  for (const Example& example : examples) {
    if (!batch.empty() && tokens + example.size() > batch_tokens) {
      body(batch);
      batch.clear();
      tokens = 0;
    }
    batch.push_back(&example);
    tokens += example.size();
  }
  if (!batch.empty()) body(batch);
}

LossTotal EvaluateLoss(const Model& model, const Adapter* adapter,
                       const std::vector<Example>& examples, int64_t batch_tokens,
                       const std::function<void(int64_t)>& on_progress) {
  LossTotal total;
  int64_t done = 0;
  ForEachBatch(examples, batch_tokens, [&](const std::vector<const Example*>& batch) {
    for (const LossTotal& one : ExampleLosses(model, adapter, batch)) {
      total.sum += one.sum;
      total.tokens += one.tokens;
      total.likely += one.likely;
    }
    done += std::ssize(batch);
    if (on_progress) on_progress(done);
  });
  return total;
}

}  // namespace retort
