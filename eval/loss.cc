// SPDX-License-Identifier: Apache-2.0
#include "eval/loss.h"

#include <cmath>
#include <deque>
#include <numbers>

#include "data/labelled_batch.h"

namespace retort {

std::vector<LossTotal> ExampleLosses(const Model& model, const Adapter* adapter,
                                     const std::vector<const Example*>& examples) {
  LabelledBatch data;
  for (const Example* example : examples) data.Add(*example, example->row);
  std::vector<LossTotal> out(examples.size());
  if (data.rows.empty()) return out;
  Backend& k = model.backend;
  Context context{k};
  const Var hidden = model.Hidden(context, {data.batch, adapter});
  const std::vector<double> losses = k.ToHost<double>(model.Losses(
      context, adapter, hidden, k.Upload(data.rows), ops::CrossEntropy(k.Upload(data.targets), 1)));
  for (size_t e = 0; e < examples.size(); ++e) {
    for (const double loss : data.Of(e, losses)) out[e].sum += loss, ++out[e].tokens;
    out[e].likely = out[e].tokens > 0 && out[e].sum < std::numbers::ln2;
    if (!std::isfinite(out[e].sum)) out[e].odd_row = examples[e]->row;
  }
  return out;
}

void ForEachBatch(const Examples& examples, int64_t batch_tokens,
                  const std::function<void(const std::vector<const Example*>&)>& body) {
  std::deque<Example> read;
  std::vector<const Example*> batch;
  int64_t tokens = 0;
  for (const Example& example : examples) {
    if (!batch.empty() && tokens + example.size() > batch_tokens) {
      body(batch);
      batch.clear();
      read.clear();
      tokens = 0;
    }
    batch.push_back(&read.emplace_back(example));
    tokens += example.size();
  }
  if (!batch.empty()) body(batch);
}

LossTotal EvaluateLoss(const Model& model, const Adapter* adapter, const Examples& examples,
                       int64_t batch_tokens, const std::function<void(int64_t)>& on_progress) {
  LossTotal total;
  int64_t done = 0;
  ForEachBatch(examples, batch_tokens, [&](const std::vector<const Example*>& batch) {
    for (const LossTotal& one : ExampleLosses(model, adapter, batch)) {
      total.sum += one.sum;
      total.tokens += one.tokens;
      total.likely += one.likely;
      if (total.odd_row < 0) total.odd_row = one.odd_row;
    }
    done += std::ssize(batch);
    if (on_progress) on_progress(done);
  });
  return total;
}

}  // namespace retort
