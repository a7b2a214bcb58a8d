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
  for (const int64_t group : order) {
    const int64_t length = lengths.at(group);
    const size_t first = sequences.size() - std::min(sequences.size(), kOpenSequences);
    size_t best = sequences.size();
    for (size_t s = first; s < sequences.size(); ++s) {
      if (room[s] >= length && (best == sequences.size() || room[s] < room[best])) best = s;
    }
    if (best == sequences.size()) {
      sequences.emplace_back();
      room.push_back(max_tokens);
    }
    sequences[best].push_back(group);
    room[best] -= length;
  }
  return sequences;
}

std::vector<PackedSequence> CutByTokens(const std::vector<int64_t>& order,
                                        const std::vector<int64_t>& lengths, int64_t batch_tokens) {
  std::vector<PackedSequence> batches;
  int64_t room = 0;
  for (const int64_t group : order) {
    if (batches.empty() || lengths.at(group) > room) {
      batches.emplace_back();
      room = batch_tokens;
    }
    batches.back().push_back(group);
    room -= lengths[group];
  }
  return batches;
}

std::vector<RowGroup> GroupsOf(const MicroBatch& micro) {
  std::vector<RowGroup> groups;
  for (size_t r = 0; r < micro.rows.size(); ++r) {
    if (groups.empty() || !micro.rows[r]->joined) groups.push_back({r, r});
    groups.back().end = r + 1;
  }
  return groups;
}

std::vector<MicroBatch> CutMicroBatch(const MicroBatch& micro, int64_t tokens) {
  std::vector<MicroBatch> parts;
  for (const RowGroup& group : GroupsOf(micro)) {
    int64_t size = 0;
    for (size_t r = group.begin; r < group.end; ++r) size += micro.rows[r]->size();
    if (parts.empty() || parts.back().tokens + size > tokens) parts.emplace_back();
    MicroBatch& part = parts.back();
    part.tokens += size;
    for (size_t r = group.begin; r < group.end; ++r) {
      part.rows.push_back(micro.rows[r]);
      part.order.push_back(micro.order[r]);
      part.loss_tokens += micro.rows[r]->LossTokens();
    }
  }
  return parts;
}

BatchStream::BatchStream(const std::vector<Example>& examples, const BatchOptions& options)
    : examples_(examples), options_(options) {
  if (options_.batch_tokens > 0) options_.batch_rows = 1;  // a sequence is then a whole micro-batch
  RETORT_CHECK(!examples.empty(), "a batch stream needs examples");
  RETORT_CHECK(options_.batch_rows > 0 && options.accumulate > 0 && options.epochs >= 0);
  RETORT_CHECK(!examples.front().joined, "the first example is joined to none");
  for (size_t e = 0; e < examples.size(); ++e) {
    RETORT_CHECK(examples[e].size() > 0 && examples[e].size() <= options.max_tokens,
                 "an example of ", examples[e].size(), " tokens, at most ", options.max_tokens);
    if (!examples[e].joined) {
      group_begins_.push_back(static_cast<int64_t>(e));
      lengths_.push_back(0);
    }
    lengths_.back() += examples[e].size();
  }
  group_begins_.push_back(static_cast<int64_t>(examples.size()));
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
  if (options_.shuffle) {
    return Permutation(groups(),
                       MakeKey(options_.seed, RandomUse::kShuffle, static_cast<uint64_t>(epoch)));
  }
  std::vector<int64_t> order(lengths_.size());
  std::iota(order.begin(), order.end(), 0);
  return order;
}

std::vector<PackedSequence> BatchStream::Sequences(const std::vector<int64_t>& order) const {
  if (options_.batch_tokens > 0) return CutByTokens(order, lengths_, options_.batch_tokens);
  if (options_.packing) return PackRows(order, lengths_, options_.max_tokens);
  std::vector<PackedSequence> single;
  single.reserve(order.size());
  for (const int64_t group : order) single.push_back({group});
  return single;
}

void BatchStream::LoadEpoch(int64_t epoch) {
  const std::vector<int64_t> order = Order(epoch);
  place_.resize(examples_.size());
  int64_t next = 0;
  for (const int64_t group : order) {
    for (int64_t row = group_begins_[group]; row < group_begins_[group + 1]; ++row)
      place_[row] = next++;
  }
  sequences_ = Sequences(order);
  state_ = {epoch, 0};
}

bool BatchStream::AtEnd() const { return options_.epochs > 0 && state_.epoch >= options_.epochs; }

void BatchStream::Add(const PackedSequence& sequence, MicroBatch& micro) const {
  const int64_t before = state_.epoch * static_cast<int64_t>(examples_.size());
  for (const int64_t group : sequence) {
    micro.tokens += lengths_[group];
    for (int64_t row = group_begins_[group]; row < group_begins_[group + 1]; ++row) {
      micro.rows.push_back(&examples_[row]);
      micro.order.push_back(before + place_[row]);
      micro.loss_tokens += examples_[row].LossTokens();
    }
  }
}

std::optional<StepBatch> BatchStream::Next() {
  if (AtEnd()) return std::nullopt;
  StepBatch step;
  for (int64_t m = 0; m < options_.accumulate && !AtEnd(); ++m) {
    MicroBatch micro;
    for (int64_t s = 0; s < options_.batch_rows && !AtEnd(); ++s) {
      Add(sequences_[state_.position], micro);
      step.epoch = static_cast<double>(state_.epoch) + static_cast<double>(state_.position + 1) /
                                                           static_cast<double>(sequences_.size());
      if (++state_.position == SequencesThisEpoch()) {
        // After the last epoch there is no data to prepare; only the end position is recorded.
        if (state_.epoch + 1 == options_.epochs)
          state_ = {state_.epoch + 1, 0};
        else
          LoadEpoch(state_.epoch + 1);
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
