// SPDX-License-Identifier: Apache-2.0
// An adapter into its base's weights: W + s B A, written as a Hugging Face folder.
#pragma once

#include <string>

#include "base/json.h"
#include "model/store/base_record.h"

namespace retort {

struct MergeOptions {
  Path base, adapter, out;
  // "original": onto W; "nf4": onto dequant(NF4(W)), which is what an adapter trained on a 4-bit
  // base was fitted to; "": as the adapter was trained (its retort.json), original when that is not
  // known.
  std::string onto;
  int threads = 0;
};

// The audit of a merge.
struct MergeReport {
  std::string onto;
  int64_t matrices = 0, changed = 0;  // changed: by the adapter
  double largest = 0;                 // |s B A| of any element
  double relative = 0;                // norm of s B A over the norm of W, over all changed matrices
  double quantisation = 0;            // onto nf4: norm of dequant(NF4(W)) - W over the norm of W
  double rounding = 0;  // norm of what the base's type rounded away, over that of s B A
};
Json MergeJson(const MergeReport& report);

// Writes the merged model in the base's type, each sum rounded once, in memory bounded by one
// matrix. Shards stay shards, aliases stay aliases; configuration, tokenizer and template come
// along, and the template that the adapter was trained with where the base has none. Throws
// Error{kInput} when base and adapter do not fit, or the base is not the one that the adapter was
// trained on.
MergeReport Merge(const MergeOptions& options);

}  // namespace retort
