// SPDX-License-Identifier: Apache-2.0
#include "eval/agreement.h"

#include <algorithm>
#include <cmath>

#include "data/labelled_batch.h"
#include "eval/loss.h"

namespace retort {
namespace {

constexpr int64_t kComparedTokens = 1024;  // per forward pass
constexpr size_t kLogitRows = 64;          // whole rows of logits at a time

// The logarithm of the softmax of one row of logits, in double.
std::vector<double> LogSoftmax(std::span<const float> logits) {
  const double top = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (float v : logits) sum += std::exp(v - top);
  std::vector<double> out(logits.size());
  for (size_t i = 0; i < out.size(); ++i) out[i] = logits[i] - top - std::log(sum);
  return out;
}

// Hidden states of a batch, and the logits of some of its rows.
class Scores {
 public:
  Scores(const ScoredModel& scored, const Batch& batch)
      : model_(*scored.model),
        adapter_(scored.adapter),
        context_{model_.backend},
        hidden_(model_.Hidden(context_, {batch, scored.adapter})) {}
  std::vector<float> Logits(const std::vector<int32_t>& rows) {
    return model_.backend.ToFloats(model_.Logits(context_, adapter_, hidden_, rows));
  }

 private:
  const Model& model_;
  const Adapter* adapter_;
  Context context_;
  Var hidden_;
};

}  // namespace

void AgreementSum::Add(std::span<const float> reference, std::span<const float> other) {
  const std::vector<double> p = LogSoftmax(reference), q = LogSoftmax(other);
  double kl = 0;
  for (size_t v = 0; v < p.size(); ++v) kl += std::exp(p[v]) * (p[v] - q[v]);
  kl_ += kl;
  if (!(kl <= largest_)) largest_ = kl;  // or not a number
  same_ += std::max_element(p.begin(), p.end()) - p.begin() ==
           std::max_element(q.begin(), q.end()) - q.begin();
  ++tokens_;
}

Agreement AgreementSum::Mean() const {
  const double n = static_cast<double>(std::max<int64_t>(1, tokens_));
  return {tokens_, kl_ / n, largest_, static_cast<double>(same_) / n};
}

std::vector<Agreement> CompareModels(const ScoredModel& reference,
                                     const std::vector<ScoredModel>& others,
                                     const Examples& examples, int64_t most_tokens) {
  std::vector<AgreementSum> sums(others.size());
  const auto vocab = static_cast<size_t>(reference.model->config.vocab);
  int64_t left = most_tokens;
  ForEachBatch(examples, kComparedTokens, [&](const std::vector<const Example*>& batch) {
    LabelledBatch data;
    for (const Example* example : batch) data.Add(*example, example->row);
    data.rows.resize(std::min(data.rows.size(), static_cast<size_t>(left)));
    if (data.rows.empty()) return;
    left -= std::ssize(data.rows);
    Scores wanted(reference, data.batch);
    std::vector<Scores> scores;
    scores.reserve(others.size());
    for (const ScoredModel& other : others) scores.emplace_back(other, data.batch);
    for (size_t begin = 0; begin < data.rows.size(); begin += kLogitRows) {
      const auto first = data.rows.begin() + static_cast<std::ptrdiff_t>(begin);
      const std::vector<int32_t> rows(first, first + static_cast<std::ptrdiff_t>(std::min(
                                                         kLogitRows, data.rows.size() - begin)));
      const std::vector<float> want = wanted.Logits(rows);
      for (size_t o = 0; o < others.size(); ++o) {
        const std::vector<float> got = scores[o].Logits(rows);
        for (size_t r = 0; r < rows.size(); ++r)
          sums[o].Add(std::span(want).subspan(r * vocab, vocab),
                      std::span(got).subspan(r * vocab, vocab));
      }
    }
  });
  std::vector<Agreement> out;
  out.reserve(sums.size());
  for (const AgreementSum& sum : sums) out.push_back(sum.Mean());
  return out;
}

}  // namespace retort
