// SPDX-License-Identifier: Apache-2.0
// The order of the examples, their packing into sequences, and the resulting training steps.
//
// The unit of ordering, packing and splitting is a group: an example and the following ones that
// are joined to it (Example::joined). Most groups have one example. The rows of a group are never
// separated.
//
// The model takes rows concatenated without padding, with attention inside each row and positions
// from 0 in each. A sequence is therefore only a list of rows, and packing changes the number of
// tokens in a step but not the result of a row.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "data/example_list.h"
#include "data/packed_sequences.h"

namespace retort {

struct BatchOptions {
  // A micro-batch has as many groups as fit into batch_tokens (CutByTokens) or, if that is 0,
  // batch_rows sequences (packed sequences with packing, else single groups).
  int64_t batch_tokens = 0;
  int64_t batch_rows = 4;
  int64_t accumulate = 1;  // micro-batches per step
  int64_t max_tokens = 1024;
  bool packing = true;
  bool shuffle = true;
  uint64_t seed = 1;
  int64_t epochs = 0;  // 0: an endless stream
  // The source of each example (of each group, by its first), and the sources' weights. Empty:
  // every group occurs once in an epoch.
  std::vector<int32_t> sources;
  std::vector<double> weights;
};

// How often a group of each source occurs in an epoch, on average: proportional to the source's
// weight, so that an epoch has as many groups as the data. groups[s]: of source s.
std::vector<double> DrawRates(const std::vector<int64_t>& groups,
                              const std::vector<double>& weights);

// Epoch e takes the draws DrawsBefore(groups, rate, e) ... DrawsBefore(groups, rate, e + 1) - 1 of
// a source's endless sequence, which is one shuffled pass over all of its groups after another. So
// every group occurs before any group occurs again, whatever the weight.
int64_t DrawsBefore(int64_t groups, double rate, int64_t epoch);

struct MicroBatch {
  std::vector<const Example*> rows;  // in order; borrowed, from StepBatch::read
  // Each row's index in the data order, counted over all epochs. It keys the row's random numbers,
  // so that they do not depend on batching or packing.
  std::vector<int64_t> order;
  int64_t tokens = 0;
  int64_t loss_tokens = 0;
};

// A group in a micro-batch: rows[begin] ... rows[end - 1].
struct RowGroup {
  size_t begin, end;
};
std::vector<RowGroup> GroupsOf(const MicroBatch& micro);

// Splits the micro-batch into parts of whole groups, each of at most `tokens` tokens unless a
// single group is longer. One part is computed at a time, which bounds activation memory; the
// summed gradients are the same.
std::vector<MicroBatch> CutMicroBatch(const MicroBatch& micro, int64_t tokens);

struct StepBatch {
  std::vector<MicroBatch> micro;
  int64_t tokens = 0;
  int64_t loss_tokens = 0;  // divisor of the step's summed loss; may be 0
  double epoch = 0;         // epochs completed after the step: 0.5 is half of the data, once
  std::shared_ptr<std::deque<Example>> read;  // the rows that it was made of
};

// A position in the stream: the epoch, and its next sequence.
struct BatchState {
  int64_t epoch = 0;
  int64_t position = 0;
  bool operator==(const BatchState&) const = default;
};

// Generates steps over examples. Deterministic: the same options and state always give the same
// steps. It holds some 16 bytes for each group, however long the rows are.
class BatchStream {
 public:
  // At least one example; none empty or longer than max_tokens. A group may be longer.
  BatchStream(const Examples& examples, const BatchOptions& options);

  // The next step; nullopt after the last epoch. Steps may straddle epochs; with a limit on epochs,
  // the last step may be short.
  std::optional<StepBatch> Next();

  BatchState state() const { return state_; }
  // Continues from a state of this stream or of one with the same options and examples. Throws
  // Error{kInput} if the state is impossible for this data.
  void Seek(BatchState state);

  // The number of steps in all epochs; 0 if endless.
  int64_t TotalSteps() const { return total_steps_; }
  // The number of sequences in the current epoch.
  int64_t SequencesThisEpoch() const { return sequences_.size(); }

 private:
  int64_t groups() const;
  // The examples of a group: from `begin` up to `end`.
  RowGroup RowsOf(int64_t group) const;
  int64_t LengthOf(int64_t group) const;
  void FindGroups();
  void SortBySource();
  std::vector<uint32_t> Order(int64_t epoch) const;
  std::vector<uint32_t> Drawn(int64_t epoch) const;
  PackedSequences Sequences() const;  // of order_
  void LoadEpoch(int64_t epoch);
  bool AtEnd() const;
  void Add(std::span<const uint32_t> sequence, MicroBatch& micro, std::deque<Example>& read) const;

  const Examples examples_;
  BatchOptions options_;
  // Group g has examples group_begins_[g] ... group_begins_[g + 1] - 1; empty if no example is
  // joined to another, so that each is a group.
  std::vector<uint32_t> group_begins_;
  int64_t total_steps_ = 0;
  BatchState state_;
  std::vector<std::vector<uint32_t>> by_source_;  // groups; empty without weights that differ
  std::vector<double> rates_;                     // by source
  int64_t most_rows_ = 0;                         // at least the number of examples in an epoch
  std::vector<uint32_t> order_;                   // groups of state_.epoch
  // By place in order_: the number of examples before the group; empty if group_begins_ is.
  std::vector<int64_t> before_;
  PackedSequences sequences_;  // of places in order_
};

}  // namespace retort
