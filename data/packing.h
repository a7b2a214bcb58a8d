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
#include <optional>
#include <vector>

#include "data/examples.h"

namespace retort {

// The groups, by index, of a sequence of at most max_tokens tokens.
using PackedSequence = std::vector<int64_t>;

// Best fit over the last few open sequences, in the order given: each group goes into the fitting
// sequence with the least room left, or opens a new one. Sequences are ordered by their first
// groups, so the order of the data (shuffled or not) changes only locally. A group longer than
// max_tokens gets a sequence of its own. lengths[group]: the tokens of all its rows.
std::vector<PackedSequence> PackRows(const std::vector<int64_t>& order,
                                     const std::vector<int64_t>& lengths, int64_t max_tokens);

// Splits the order into consecutive sequences of as many groups as fit into batch_tokens tokens; a
// longer group gets a sequence of its own.
std::vector<PackedSequence> CutByTokens(const std::vector<int64_t>& order,
                                        const std::vector<int64_t>& lengths, int64_t batch_tokens);

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
  std::vector<const Example*> rows;  // in order; borrowed from the examples
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
};

// A position in the stream: the epoch, and its next sequence.
struct BatchState {
  int64_t epoch = 0;
  int64_t position = 0;
  bool operator==(const BatchState&) const = default;
};

// Generates steps over examples, which must outlive it. Deterministic: the same options and state
// always give the same steps.
class BatchStream {
 public:
  // At least one example; none empty or longer than max_tokens. A group may be longer.
  BatchStream(const std::vector<Example>& examples, const BatchOptions& options);

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
  int64_t SequencesThisEpoch() const { return static_cast<int64_t>(sequences_.size()); }

 private:
  int64_t groups() const { return static_cast<int64_t>(lengths_.size()); }
  void SortBySource();
  std::vector<int64_t> Order(int64_t epoch) const;
  std::vector<int64_t> Drawn(int64_t epoch) const;
  std::vector<PackedSequence> Sequences(const std::vector<int64_t>& order) const;
  void LoadEpoch(int64_t epoch);
  bool AtEnd() const;
  void Add(const PackedSequence& sequence, MicroBatch& micro) const;

  const std::vector<Example>& examples_;
  BatchOptions options_;
  // Group g has examples group_begins_[g] ... group_begins_[g + 1] - 1.
  std::vector<int64_t> group_begins_;
  std::vector<int64_t> lengths_;  // by group
  int64_t total_steps_ = 0;
  BatchState state_;
  std::vector<std::vector<int64_t>> by_source_;  // groups; empty without weights that differ
  std::vector<double> rates_;                    // by source
  int64_t most_rows_ = 0;                        // at least the number of examples in an epoch
  std::vector<int64_t> order_;                   // groups of state_.epoch
  std::vector<int64_t> place_;  // by index in order_: the number of examples before the group
  std::vector<PackedSequence> sequences_;  // of indices in order_
};

}  // namespace retort
