// SPDX-License-Identifier: Apache-2.0
#include "data/packing.h"

#include <algorithm>
#include <cmath>
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

std::vector<double> DrawRates(const std::vector<int64_t>& groups,
                              const std::vector<double>& weights) {
  double all = 0, weighted = 0;
  for (size_t s = 0; s < groups.size(); ++s) {
    all += static_cast<double>(groups[s]);
    weighted += static_cast<double>(groups[s]) * weights[s];
  }
  std::vector<double> rates;
  rates.reserve(weights.size());
  for (const double weight : weights) rates.push_back(weight * all / weighted);
  return rates;
}

int64_t DrawsBefore(int64_t groups, double rate, int64_t epoch) {
  return std::llround(static_cast<double>(groups) * rate * static_cast<double>(epoch));
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
  most_rows_ = static_cast<int64_t>(examples.size());
  SortBySource();
  if (options_.epochs > 0) {
    int64_t sequences = 0;
    const bool varies = !by_source_.empty() ||
                        ((options_.packing || options_.batch_tokens > 0) && options_.shuffle);
    for (int64_t epoch = 0; epoch < options_.epochs; ++epoch) {
      if (epoch == 0 || varies) LoadEpoch(epoch);
      sequences += SequencesThisEpoch();
    }
    total_steps_ = CeilDiv(sequences, options_.batch_rows * options_.accumulate);
  }
  LoadEpoch(0);
}

// Leaves by_source_ empty if no weight differs from another: then an epoch is one pass over all.
void BatchStream::SortBySource() {
  const std::vector<double>& weights = options_.weights;
  if (weights.empty() || std::ranges::count(weights, weights[0]) == std::ssize(weights)) return;
  RETORT_CHECK(options_.sources.size() == examples_.size(), "a source for each example");
  by_source_.resize(weights.size());
  std::vector<int64_t> sizes(weights.size()), longest(weights.size());
  for (int64_t group = 0; group < groups(); ++group) {
    const auto source =
        static_cast<size_t>(options_.sources[static_cast<size_t>(group_begins_[group])]);
    by_source_.at(source).push_back(group);
    ++sizes[source];
    longest[source] = std::max(longest[source], group_begins_[group + 1] - group_begins_[group]);
  }
  rates_ = DrawRates(sizes, weights);
  most_rows_ = 0;
  for (size_t s = 0; s < weights.size(); ++s)
    most_rows_ += (DrawsBefore(sizes[s], rates_[s], 1) + 1) * longest[s];
}

std::vector<int64_t> BatchStream::Drawn(int64_t epoch) const {
  std::vector<int64_t> drawn;
  for (size_t s = 0; s < by_source_.size(); ++s) {
    const std::vector<int64_t>& all = by_source_[s];
    const int64_t size = std::ssize(all), end = DrawsBefore(size, rates_[s], epoch + 1);
    std::vector<int64_t> pass;
    for (int64_t draw = DrawsBefore(size, rates_[s], epoch); draw < end; ++draw) {
      if (options_.shuffle && (pass.empty() || draw % size == 0)) {
        pass = Permutation(
            size, MakeKey(options_.seed, RandomUse::kData, s, static_cast<uint64_t>(draw / size)));
      }
      const int64_t at = draw % size;
      drawn.push_back(all[options_.shuffle ? pass[at] : at]);
    }
  }
  return drawn;
}

std::vector<int64_t> BatchStream::Order(int64_t epoch) const {
  std::vector<int64_t> all(lengths_.size());
  if (by_source_.empty())
    std::iota(all.begin(), all.end(), 0);
  else
    all = Drawn(epoch);
  if (!options_.shuffle) return all;
  std::vector<int64_t> order = Permutation(
      std::ssize(all), MakeKey(options_.seed, RandomUse::kShuffle, static_cast<uint64_t>(epoch)));
  for (int64_t& index : order) index = all[index];
  return order;
}

std::vector<PackedSequence> BatchStream::Sequences(const std::vector<int64_t>& order) const {
  std::vector<int64_t> places(order.size()), lengths;
  std::iota(places.begin(), places.end(), 0);
  lengths.reserve(order.size());
  for (const int64_t group : order) lengths.push_back(lengths_[group]);
  if (options_.batch_tokens > 0) return CutByTokens(places, lengths, options_.batch_tokens);
  if (options_.packing) return PackRows(places, lengths, options_.max_tokens);
  std::vector<PackedSequence> single;
  single.reserve(order.size());
  for (const int64_t place : places) single.push_back({place});
  return single;
}

void BatchStream::LoadEpoch(int64_t epoch) {
  order_ = Order(epoch);
  place_.clear();
  int64_t next = 0;
  for (const int64_t group : order_) {
    place_.push_back(next);
    next += group_begins_[group + 1] - group_begins_[group];
  }
  sequences_ = Sequences(order_);
  state_ = {epoch, 0};
}

bool BatchStream::AtEnd() const { return options_.epochs > 0 && state_.epoch >= options_.epochs; }

void BatchStream::Add(const PackedSequence& sequence, MicroBatch& micro) const {
  const int64_t before = state_.epoch * most_rows_;
  for (const int64_t place : sequence) {
    const int64_t group = order_[place];
    micro.tokens += lengths_[group];
    for (int64_t row = group_begins_[group]; row < group_begins_[group + 1]; ++row) {
      micro.rows.push_back(&examples_[row]);
      micro.order.push_back(before + place_[place] + row - group_begins_[group]);
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
