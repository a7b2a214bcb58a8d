// SPDX-License-Identifier: Apache-2.0
#include "data/packing.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "base/random.h"
#include "base/rounding.h"

namespace retort {
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

BatchStream::BatchStream(const Examples& examples, const BatchOptions& options)
    : examples_(examples), options_(options), most_rows_(examples.size()) {
  if (options_.batch_tokens > 0) options_.batch_rows = 1;  // a sequence is then a whole micro-batch
  RETORT_CHECK(!examples.empty(), "a batch stream needs examples");
  RETORT_CHECK(options_.batch_rows > 0 && options.accumulate > 0 && options.epochs >= 0);
  FindGroups();
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

void BatchStream::FindGroups() {
  RETORT_CHECK(!examples_.joined(0), "the first example is joined to none");
  RETORT_CHECK(examples_.size() <= std::numeric_limits<uint32_t>::max(), "too many examples");
  for (int64_t e = 0; e < examples_.size(); ++e) {
    RETORT_CHECK(examples_.tokens(e) > 0 && examples_.tokens(e) <= options_.max_tokens,
                 "an example of ", examples_.tokens(e), " tokens, at most ", options_.max_tokens);
  }
  if (examples_.CountJoined() == 0) return;
  for (int64_t e = 0; e < examples_.size(); ++e) {
    if (!examples_.joined(e)) group_begins_.push_back(static_cast<uint32_t>(e));
  }
  group_begins_.push_back(static_cast<uint32_t>(examples_.size()));
}

int64_t BatchStream::groups() const {
  return group_begins_.empty() ? examples_.size() : std::ssize(group_begins_) - 1;
}

RowGroup BatchStream::RowsOf(int64_t group) const {
  const auto g = static_cast<size_t>(group);
  if (group_begins_.empty()) return {g, g + 1};
  return {group_begins_[g], group_begins_[g + 1]};
}

int64_t BatchStream::LengthOf(int64_t group) const {
  const RowGroup rows = RowsOf(group);
  int64_t tokens = 0;
  for (size_t e = rows.begin; e < rows.end; ++e)
    tokens += examples_.tokens(static_cast<int64_t>(e));
  return tokens;
}

// Leaves by_source_ empty if no weight differs from another: then an epoch is one pass over all.
void BatchStream::SortBySource() {
  const std::vector<double>& weights = options_.weights;
  if (weights.empty() || std::ranges::count(weights, weights[0]) == std::ssize(weights)) return;
  RETORT_CHECK(std::ssize(options_.sources) == examples_.size(), "a source for each example");
  by_source_.resize(weights.size());
  std::vector<int64_t> sizes(weights.size()), longest(weights.size());
  for (int64_t group = 0; group < groups(); ++group) {
    const RowGroup rows = RowsOf(group);
    const auto source = static_cast<size_t>(options_.sources[rows.begin]);
    by_source_.at(source).push_back(static_cast<uint32_t>(group));
    ++sizes[source];
    longest[source] = std::max(longest[source], static_cast<int64_t>(rows.end - rows.begin));
  }
  rates_ = DrawRates(sizes, weights);
  most_rows_ = 0;
  for (size_t s = 0; s < weights.size(); ++s)
    most_rows_ += (DrawsBefore(sizes[s], rates_[s], 1) + 1) * longest[s];
}

std::vector<uint32_t> BatchStream::Drawn(int64_t epoch) const {
  std::vector<uint32_t> drawn;
  for (size_t s = 0; s < by_source_.size(); ++s) {
    const int64_t size = std::ssize(by_source_[s]), end = DrawsBefore(size, rates_[s], epoch + 1);
    std::vector<uint32_t> pass;
    for (int64_t draw = DrawsBefore(size, rates_[s], epoch); draw < end; ++draw) {
      if (pass.empty() || draw % size == 0) {
        pass = by_source_[s];
        const auto round = static_cast<uint64_t>(draw / size);
        if (options_.shuffle) Shuffle(pass, MakeKey(options_.seed, RandomUse::kData, s, round));
      }
      drawn.push_back(pass[static_cast<size_t>(draw % size)]);
    }
  }
  return drawn;
}

std::vector<uint32_t> BatchStream::Order(int64_t epoch) const {
  std::vector<uint32_t> order;
  if (by_source_.empty()) {
    order.resize(static_cast<size_t>(groups()));
    std::iota(order.begin(), order.end(), 0);
  } else {
    order = Drawn(epoch);
  }
  if (options_.shuffle)
    Shuffle(order, MakeKey(options_.seed, RandomUse::kShuffle, static_cast<uint64_t>(epoch)));
  return order;
}

PackedSequences BatchStream::Sequences() const {
  const LengthAt length = [this](uint32_t place) { return LengthOf(order_[place]); };
  if (options_.batch_tokens > 0) return CutByTokens(order_.size(), length, options_.batch_tokens);
  if (options_.packing) return PackRows(order_.size(), length, options_.max_tokens);
  std::vector<uint32_t> each(order_.size());
  std::iota(each.begin(), each.end(), 0);
  return {each, each.size()};
}

void BatchStream::LoadEpoch(int64_t epoch) {
  // What is there goes before its successor comes: of many rows both would take much memory.
  order_ = std::vector<uint32_t>();
  sequences_ = PackedSequences();
  order_ = Order(epoch);
  before_.clear();
  if (!group_begins_.empty()) {
    int64_t next = 0;
    for (const uint32_t group : order_) {
      before_.push_back(next);
      next += static_cast<int64_t>(RowsOf(group).end - RowsOf(group).begin);
    }
  }
  sequences_ = Sequences();
  state_ = {epoch, 0};
}

bool BatchStream::AtEnd() const { return options_.epochs > 0 && state_.epoch >= options_.epochs; }

void BatchStream::Add(std::span<const uint32_t> sequence, MicroBatch& micro,
                      std::deque<Example>& read) const {
  for (const uint32_t place : sequence) {
    const RowGroup rows = RowsOf(order_[place]);
    const int64_t first =
        state_.epoch * most_rows_ + (before_.empty() ? int64_t{place} : before_[place]);
    for (size_t row = rows.begin; row < rows.end; ++row) {
      const Example& example = read.emplace_back(examples_[static_cast<int64_t>(row)]);
      micro.rows.push_back(&example);
      micro.order.push_back(first + static_cast<int64_t>(row - rows.begin));
      micro.tokens += example.size();
      micro.loss_tokens += example.LossTokens();
    }
  }
}

std::optional<StepBatch> BatchStream::Next() {
  if (AtEnd()) return std::nullopt;
  StepBatch step;
  step.read = std::make_shared<std::deque<Example>>();
  for (int64_t m = 0; m < options_.accumulate && !AtEnd(); ++m) {
    MicroBatch micro;
    for (int64_t s = 0; s < options_.batch_rows && !AtEnd(); ++s) {
      Add(sequences_[state_.position], micro, *step.read);
      step.epoch =
          static_cast<double>(state_.epoch) +
          static_cast<double>(state_.position + 1) / static_cast<double>(SequencesThisEpoch());
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
