// SPDX-License-Identifier: Apache-2.0
// What merging changes in a model's predictions.
#pragma once

#include "base/json.h"
#include "eval/agreement.h"
#include "model/adapter_sum.h"
#include "model/store/base_record.h"

namespace retort {

struct MergeAuditOptions {
  Path base;
  std::vector<WeightedAdapter> adapters;
  Path merged;  // the folder
  Path data;    // rows, of which the tokens that carry loss count; or a .txt, of which all count
  int64_t most_tokens = 4096;
  int threads = 0;
};

// All against base + adapters as trained: on the base in the format of the first one's record.
struct MergeAudit {
  Agreement merged;  // the merged model
  Agreement base;    // the base alone, in the format of training: what the adapter changes
  Agreement
      original;  // the adapter on the original base, unrounded; the same if that is the format
  std::string weights;  // of training: "nf4"

  // The share of the adapter's effect that is lost: KL to the merged model / KL to the base.
  double lost() const { return base.mean_kl > 0 ? merged.mean_kl / base.mean_kl : 0; }
};
Json MergeAuditJson(const MergeAudit& audit);

// More than this of lost() is too much.
inline constexpr double kMostLost = 0.1;

// All models compute in f32. Throws Error{kInput} when the data cannot be used.
MergeAudit AuditMerge(const MergeAuditOptions& options, const BaseRecord& record);

}  // namespace retort
