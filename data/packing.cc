// SPDX-License-Identifier: Apache-2.0
#include "data/packing.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/random.h"

namespace retort {
namespace {

constexpr size_t kOpenSequences = 64;

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

std::vector<PackedSequence> PackRows(const std::vector<int64_t>& order,
                                     const std::vector<int64_t>& lengths, int64_t max_tokens) {
  std::vector<PackedSequence> sequences;
  std::vector<int64_t> room;  // by sequence
  for (const int64_t row : order) {
    const int64_t length = lengths.at(row);
    RETORT_CHECK(length <= max_tokens, "a row of ", length, " tokens in sequences of ", max_tokens);
    const size_t first = sequences.size() - std::min(sequences.size(), kOpenSequences);
    size_t best = sequences.size();
    for (size_t s = first; s < sequences.size(); ++s) {
      if (room[s] >= length && (best == sequences.size() || room[s] < room[best])) best = s;
    }
    if (best == sequences.size()) {
      sequences.emplace_back();
      room.push_back(max_tokens);
    }
    sequences[best].push_back(row);
    room[best] -= length;
  }
  return sequences;
}

std::vector<PackedSequence> CutByTokens(const std::vector<int64_t>& order,
                                        const std::vector<int64_t>& lengths, int64_t batch_tokens) {
  std::vector<PackedSequence> batches;
  int64_t room = 0;
  for (const int64_t row : order) {
    if (batches.empty() || lengths.at(row) > room) {
      batches.emplace_back();
      room = batch_tokens;
    }
    batches.back().push_back(row);
    room -= lengths[row];
  }
  return batches;
}

BatchStream::BatchStream(const std::vector<Example>& examples, const BatchOptions& options)
    : examples_(examples), options_(options) {
  if (options_.batch_tokens > 0) options_.batch_rows = 1;  // a sequence is a whole micro-batch
  RETORT_CHECK(!examples.empty(), "a batch stream needs examples");
  RETORT_CHECK(options_.batch_rows > 0 && options.accumulate > 0 && options.epochs >= 0);
  for (const Example& e : examples) {
    RETORT_CHECK(e.size() > 0 && e.size() <= options.max_tokens, "an example of ", e.size(),
                 " tokens, at most ", options.max_tokens);
    lengths_.push_back(e.size());
    loss_tokens_.push_back(e.LossTokens());
  }
  if (options_.epochs > 0) {
    int64_t sequences = 0;
    const bool varies = (options_.packing || options_.batch_tokens > 0) && options_.shuffle;
    for (int64_t epoch = 0; epoch < options_.epochs; ++epoch) {
      if (epoch == 0 || varies) LoadEpoch(epoch);
      sequences += SequencesThisEpoch();
    }
    total_steps_ = CeilDiv(sequences, options_.batch_rows * options_.accumulate);
  }
  LoadEpoch(0);
}

std::vector<int64_t> BatchStream::Order(int64_t epoch) const {
  const int64_t n = static_cast<int64_t>(examples_.size());
  if (options_.shuffle) {
    return Permutation(n,
                       MakeKey(options_.seed, RandomUse::kShuffle, static_cast<uint64_t>(epoch)));
  }
  std::vector<int64_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  return order;
}

std::vector<PackedSequence> BatchStream::Sequences(const std::vector<int64_t>& order) const {
  if (options_.batch_tokens > 0) return CutByTokens(order, lengths_, options_.batch_tokens);
  if (options_.packing) return PackRows(order, lengths_, options_.max_tokens);
  std::vector<PackedSequence> single;
  single.reserve(order.size());
  for (const int64_t row : order) single.push_back({row});
  return single;
}

void BatchStream::LoadEpoch(int64_t epoch) {
  const std::vector<int64_t> order = Order(epoch);
  place_.resize(order.size());
  for (size_t i = 0; i < order.size(); ++i) place_[order[i]] = static_cast<int64_t>(i);
  sequences_ = Sequences(order);
  state_ = {epoch, 0};
}

bool BatchStream::AtEnd() const { return options_.epochs > 0 && state_.epoch >= options_.epochs; }

void BatchStream::Add(const PackedSequence& sequence, MicroBatch& micro) const {
  const int64_t before = state_.epoch * static_cast<int64_t>(examples_.size());
  for (const int64_t row : sequence) {
    micro.rows.push_back(&examples_[row]);
    micro.order.push_back(before + place_[row]);
    micro.tokens += lengths_[row];
    micro.loss_tokens += loss_tokens_[row];
  }
}

std::optional<Step> BatchStream::Next() {
  if (AtEnd()) return std::nullopt;
  Step step;
  for (int64_t m = 0; m < options_.accumulate && !AtEnd(); ++m) {
    MicroBatch micro;
    for (int64_t s = 0; s < options_.batch_rows && !AtEnd(); ++s) {
      Add(sequences_[state_.position], micro);
      step.epoch = static_cast<double>(state_.epoch) + static_cast<double>(state_.position + 1) /
                                                           static_cast<double>(sequences_.size());
      if (++state_.position == SequencesThisEpoch()) {
        // Past the last epoch there is nothing to prepare, only a place to stand.
        if (state_.epoch + 1 == options_.epochs) state_ = {state_.epoch + 1, 0};
        else LoadEpoch(state_.epoch + 1);
      }
    }
    step.tokens += micro.tokens;
    step.loss_tokens += micro.loss_tokens;
    step.micro.push_back(std::move(micro));
  }
  return step;
}

void BatchStream::Seek(BatchState state) {
  const bool past_end =
      options_.epochs > 0 && state.epoch == options_.epochs && state.position == 0;
  if (past_end) {
    state_ = state;
    return;
  }
  if (state.epoch < 0 || (options_.epochs > 0 && state.epoch >= options_.epochs)) {
    throw InputError("the data has no epoch ", state.epoch, "; was the recipe changed?");
  }
  if (state.epoch != state_.epoch) LoadEpoch(state.epoch);
  if (state.position < 0 || state.position >= SequencesThisEpoch()) {
    throw InputError("epoch ", state.epoch, " of the data has ", SequencesThisEpoch(),
                     " sequences, not a place ", state.position, "; was the data changed?");
  }
  state_.position = state.position;
}

}  // namespace retort
