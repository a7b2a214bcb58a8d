// SPDX-License-Identifier: Apache-2.0
// What merging changes in a model's predictions.
#pragma once

#include "base/json.h"
#include "eval/agreement.h"
#include "model/adapter_sum.h"
#include "model/store/base_record.h"

namespace retort {

// Examples of `data`: rows, of which the tokens that carry loss count; or a .txt, of which all
// count. `adapter`: the folder whose chat template is used. Throws Error{kInput} when nothing can
// be compared on them.
Examples AuditExamples(const Path& data, const Path& adapter, const ModelFiles& base);

struct MergeAuditOptions {
  Path base;
  std::vector<WeightedAdapter> adapters;
  Path merged;  // the folder
  int64_t most_tokens = 4096;
  int threads = 0;
};

// All against base + adapters as trained: on the base in the format of the first one's record.
struct MergeAudit {
  Agreement merged;  // the merged model
  Agreement base;    // the base alone, in the format of training: what the adapter changes
  // The adapter on the original base, unrounded; all agrees if that is the format of training.
  Agreement original;
  std::string weights;  // of training: "nf4"

  // The share of the adapter's effect that is lost: KL to the merged model / KL to the base.
  double lost() const { return base.mean_kl > 0 ? merged.mean_kl / base.mean_kl : 0; }
};
Json MergeAuditJson(const MergeAudit& audit);

// More than this of lost() is too much.
inline constexpr double kMostLost = 0.1;

// All models compute in f32.
MergeAudit AuditMerge(const MergeAuditOptions& options, const Examples& examples,
                      const BaseRecord& record);

}  // namespace retort
