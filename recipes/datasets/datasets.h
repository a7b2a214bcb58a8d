// SPDX-License-Identifier: Apache-2.0
// Public data sets, from the files that their owners publish to rows of prompt and completion.
//
//   banking77     banking_data/ of github.com/PolyAI-LDN/task-specific-datasets: train.csv,
//                 test.csv (text, category) and categories.json
//   clinc150      data/ of github.com/clinc/oos-eval: data_full.json, lists of [text, intent] under
//                 train, val, test, oos_train, oos_val and oos_test
//   restaurant8k  span_extraction/restaurant8k/ of the first: train_0.json and test.json, with the
//                 spans of a message that are the values of slots
//
// Held-out rows are the owner's own, or a part of the training rows that a fixed seed draws.
#pragma once

#include <string>
#include <vector>

#include "base/file.h"

namespace retort::datasets {

struct TextRow {
  std::string prompt, completion;
  bool operator==(const TextRow&) const = default;
};

struct Dataset {
  std::vector<TextRow> train, eval, test;
  std::vector<std::string> labels;  // of classification, the out-of-scope one included; else empty
};

// What the rows of `name` are made of is read from `folder`. Throws Error{kInput} for an unknown
// name, listing the known ones, and naming file and place where they have another form.
Dataset ReadDataset(const std::string& name, const Path& folder);

// Writes train.jsonl, eval.jsonl, test.jsonl and, if there are labels, labels.json.
void WriteDataset(const Dataset& dataset, const Path& out);

}  // namespace retort::datasets
