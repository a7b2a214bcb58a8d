// SPDX-License-Identifier: Apache-2.0
#include "train/teach.h"

#include <algorithm>

#include "base/threads.h"
#include "data/labelled_batch.h"

namespace retort {
namespace {

constexpr int64_t kChunkElements = int64_t{1} << 22;  // logits held in memory at once

// Examples from `begin` on, as many as fit into batch_tokens tokens, and at least one.
StepBatch NextBatch(const Examples& examples, int64_t begin, int64_t end, int64_t batch_tokens) {
  StepBatch step;
  step.read = std::make_shared<std::deque<Example>>();
  MicroBatch& micro = step.micro.emplace_back();
  for (int64_t i = begin; i < end; ++i) {
    if (!micro.rows.empty() && micro.tokens + examples.tokens(i) > batch_tokens) break;
    const Example& row = step.read->emplace_back(examples[i]);
    micro.rows.push_back(&row);
    micro.order.push_back(i);
    micro.tokens += row.size();
    micro.loss_tokens += row.LossTokens();
  }
  return step;
}

// One selector per thread: selecting from a large vocabulary is slow, so rows run in parallel.
class Selectors {
 public:
  Selectors(const TeacherCacheKey& key, ThreadPool& pool) : vocab_(key.vocab), pool_(pool) {
    for (int i = 0; i < pool_.threads(); ++i)
      selectors_.emplace_back(key.vocab, key.top_k, key.temperature);
  }
  int64_t kept() const { return selectors_[0].kept(); }
  // Selects from each row of `width` logits into `out`, starting at row `begin` of `out`.
  void Select(std::span<const float> logits, int64_t width, TopTokens& out, int64_t begin) {
    pool_.For(static_cast<int64_t>(logits.size()) / width, [&](int64_t i, int worker) {
      const auto row = logits.subspan(static_cast<size_t>(i * width), static_cast<size_t>(vocab_));
      selectors_[static_cast<size_t>(worker)].Select(row, out, begin + i);
    });
  }

 private:
  int64_t vocab_;
  ThreadPool& pool_;
  std::vector<TopSelector> selectors_;
};

// The most probable outcomes of all the batch's tokens that carry loss. Logits are computed one
// chunk of tokens at a time.
TopTokens OutcomesOf(const Model& model, const Adapter* adapter, const LabelledBatch& data,
                     Selectors& selectors) {
  Backend& k = model.backend;
  Context context{k};
  const auto count = static_cast<int64_t>(data.rows.size());
  TopTokens out(count, selectors.kept());
  if (count == 0) return out;
  const Var hidden = model.Hidden(context, {data.batch, adapter});
  Tensor chosen = k.New({count, hidden.value.cols()});
  k.GatherRows(hidden.value, k.Upload(data.rows), chosen);
  const int64_t width = model.config.vocab, chunk = std::max<int64_t>(1, kChunkElements / width);
  for (int64_t begin = 0; begin < count; begin += chunk) {
    const int64_t n = std::min(chunk, count - begin);
    const std::vector<float> logits =
        k.ToFloats(model.LogitsOf(context, adapter, chosen.RowRange(begin, n)));
    selectors.Select(logits, width, out, begin);
  }
  return out;
}

TopTokens RowsOf(const TopTokens& all, int64_t begin, int64_t count) {
  TopTokens out(count, all.k);
  const auto copy = [](const auto& from, int64_t at, auto& to) {
    std::copy_n(from.begin() + at, to.size(), to.begin());
  };
  copy(all.ids, begin * all.k, out.ids);
  copy(all.log_probs, begin * all.k, out.log_probs);
  copy(all.tail, begin, out.tail);
  return out;
}

}  // namespace

void CacheTeacher(const Model& model, const Adapter* adapter, const Examples& examples,
                  const TeacherCacheKey& key, int64_t batch_tokens, TeacherCacheWriter& writer,
                  const TeachProgress& on_progress) {
  Selectors selectors(key, model.backend.pool());
  int64_t tokens = 0;
  while (writer.next_example() < examples.size()) {
    const StepBatch step =
        NextBatch(examples, writer.next_example(), writer.end_example(), batch_tokens);
    const MicroBatch& micro = step.micro[0];
    const TopTokens all = OutcomesOf(model, adapter, MakeLabelledBatch(micro), selectors);
    int64_t begin = 0;
    for (const Example* row : micro.rows) {
      writer.Append(RowsOf(all, begin, row->LossTokens()));
      begin += row->LossTokens();
    }
    tokens += micro.tokens;
    if (on_progress) on_progress(writer.next_example(), tokens);
  }
  writer.Finish();
}

}  // namespace retort
