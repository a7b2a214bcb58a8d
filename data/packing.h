// SPDX-License-Identifier: Apache-2.0
// The order of the examples, their packing into sequences, and the steps that come of it.
//
// What is ordered, packed and cut are groups: an example with those after it that are joined to it
// (Example::joined), for the most part one alone. Nothing here ever separates a group's rows.
//
// The model takes rows laid end to end without any padding, with attention inside each row and
// positions from 0 in each, so a sequence is only a list of rows, and packing changes how many
// tokens a step has, never what a row computes.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "data/examples.h"

namespace retort {

// Groups (by their index) that share a sequence of at most max_tokens tokens.
using PackedSequence = std::vector<int64_t>;

// Best fit over the last few open sequences, in the order given: each group goes where the least
// room is left, or opens a new one. Sequences come in the order of their first groups, so the order
// of the data (shuffled or not) is kept but for that small neighbourhood. A longer group stands
// alone. lengths[group]: the tokens of all its rows.
std::vector<PackedSequence> PackRows(const std::vector<int64_t>& order,
                                     const std::vector<int64_t>& lengths, int64_t max_tokens);

// Consecutive groups of the order, as many as fit into batch_tokens tokens; a longer one stands
// alone.
std::vector<PackedSequence> CutByTokens(const std::vector<int64_t>& order,
                                        const std::vector<int64_t>& lengths, int64_t batch_tokens);

struct BatchOptions {
  // A micro-batch is as many groups as fit into batch_tokens (CutByTokens), or, where that is 0,
  // batch_rows sequences: groups, or with packing packed ones.
  int64_t batch_tokens = 0;
  int64_t batch_rows = 4;
  int64_t accumulate = 1;  // micro-batches of a step
  int64_t max_tokens = 1024;
  bool packing = true;
  bool shuffle = true;
  uint64_t seed = 1;
  int64_t epochs = 0;  // 0: an endless stream
};

struct MicroBatch {
  std::vector<const Example*> rows;  // end to end; borrowed from the examples
  // For each row its place in the data order, counted over all epochs: what its random numbers are
  // keyed by, however the batch is cut or packed.
  std::vector<int64_t> order;
  int64_t tokens = 0;
  int64_t loss_tokens = 0;
};

// A group of a micro-batch: rows[begin] ... rows[end - 1].
struct RowGroup {
  size_t begin, end;
};
std::vector<RowGroup> GroupsOf(const MicroBatch& micro);

// The micro-batch as parts of whole groups, each of at most `tokens` tokens where its groups allow
// it. What is computed at once, and so how much memory activations take, is a part; gradients are
// summed all the same.
std::vector<MicroBatch> CutMicroBatch(const MicroBatch& micro, int64_t tokens);

struct StepBatch {
  std::vector<MicroBatch> micro;
  int64_t tokens = 0;
  int64_t loss_tokens = 0;  // what the step's summed loss is divided by; may be 0
  double epoch = 0;  // how much of the data has been seen after the step: 0.5, half of it once
};

// Where the stream stands: the epoch, and the next of its sequences.
struct BatchState {
  int64_t epoch = 0;
  int64_t position = 0;
  bool operator==(const BatchState&) const = default;
};

// Steps over examples that outlive it. The same options and state give the same steps, always.
class BatchStream {
 public:
  // No example may be longer than max_tokens or empty, and there must be one. A group may be
  // longer.
  BatchStream(const std::vector<Example>& examples, const BatchOptions& options);

  // The next step; nullopt once all epochs are done. With epochs, the last step may be short;
  // without, a step may straddle epochs.
  std::optional<StepBatch> Next();

  BatchState state() const { return state_; }
  // Goes on from a state that this stream, or one like it, was in. Throws Error{kInput} when the
  // state cannot be one of this data.
  void Seek(BatchState state);

  // Steps of all epochs; 0 when endless.
  int64_t TotalSteps() const { return total_steps_; }
  // Sequences of the epoch that the stream is in.
  int64_t SequencesThisEpoch() const { return static_cast<int64_t>(sequences_.size()); }

 private:
  int64_t groups() const { return static_cast<int64_t>(lengths_.size()); }
  std::vector<int64_t> Order(int64_t epoch) const;
  std::vector<PackedSequence> Sequences(const std::vector<int64_t>& order) const;
  void LoadEpoch(int64_t epoch);
  bool AtEnd() const;
  void Add(const PackedSequence& sequence, MicroBatch& micro) const;

  const std::vector<Example>& examples_;
  BatchOptions options_;
  std::vector<int64_t>
      group_begins_;              // group g: examples group_begins_[g] ... group_begins_[g + 1] - 1
  std::vector<int64_t> lengths_;  // by group
  int64_t total_steps_ = 0;
  BatchState state_;
  std::vector<PackedSequence> sequences_;  // of state_.epoch
  std::vector<int64_t> place_;             // by example: its place in the epoch's order
};

}  // namespace retort
