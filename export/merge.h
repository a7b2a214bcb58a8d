// SPDX-License-Identifier: Apache-2.0
// Merges an adapter into its base's weights, W + s B A, and writes a Hugging Face folder.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "export/merge_audit.h"
#include "model/adapter_sum.h"
#include "model/store/base_record.h"

namespace retort {

struct MergeOptions {
  Path base, adapter, out;
  // "original": W + s B A. "nf4": dequant(NF4(W)) + s B A, for an adapter that was trained on a
  // 4-bit base. "": as the adapter was trained (its retort.json), or original if that is unknown.
  std::string onto;
  int threads = 0;
  std::string type = "auto";                 // of the folder, if the base is a GGUF (FolderFormat)
  bool force = false;                        // also when too much of the adapter's change is lost
  double weight = 1;                         // of the adapter's change
  std::vector<WeightedAdapter> others = {};  // whose changes are added
  // Rows or a text (AuditExamples) on which the predictions of the merged model are
  // compared with those of base and adapters; empty: they are not.
  Path audit = {};
  int64_t audit_tokens = 4096;
  bool replace = false;  // `out` may be there, and is exchanged for the merged folder in one step
  // Is given the whole folder before it gets its place.
  std::function<void(const Path&)> before_commit = {};
};

struct MergeReport {
  std::string onto;
  int64_t matrices = 0, changed = 0;  // changed: matrices with an adapter
  double largest = 0;                 // largest |element| of s B A
  double relative = 0;                // norm of s B A / norm of W, over all changed matrices
  double quantisation = 0;            // onto nf4: norm of dequant(NF4(W)) - W / norm of W
  double rounding = 0;  // norm of the error of rounding to the base's type / norm of s B A
  // The share of s B A that is stored: its product with the change of the stored values / its
  // square. A change below half a step of the base's type is lost.
  double kept = 1;
  std::optional<MergeAudit> audit;
  std::vector<std::string> notes;  // for the user
};
Json MergeJson(const MergeReport& report);

// Writes the merged model in the base's type. Each sum is rounded once. Memory is bounded by one
// matrix. The files and names of tensors are those of the base. Configuration, tokenizer and
// template are copied; those of a GGUF are written as ExportFolder writes them; a template other
// than the one that the adapter was trained with is replaced, and the ends that were taught are
// added (model/store/chat_files.h). Throws Error{kInput} when base and adapter do not fit together,
// when the base is not the one that the adapter was trained on, or for an `out` that is there
// already, unless `replace`; Error{kFailure} when rounding takes more than half of s B A away or
// errs by more than s B A, or the audit finds more than kMostLost lost, unless `force`.
MergeReport Merge(const MergeOptions& options);

}  // namespace retort
