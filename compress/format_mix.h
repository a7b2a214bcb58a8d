// SPDX-License-Identifier: Apache-2.0
// A mix of weight formats: for each tensor the one that costs least for the whole file's bytes.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "tensor/quant/format.h"

namespace retort {

struct FormatChoice {
  WeightFormat format;
  int64_t bytes;
  double kl;  // expected of the model that has this tensor alone in the format
};
struct MixItem {
  std::string name;                   // of a GGUF's tensor
  std::vector<FormatChoice> choices;  // at least one
};

// At most so many bytes, and as few as give at most this KL.
struct MixLimit {
  int64_t bytes = std::numeric_limits<int64_t>::max();
  double kl = 0;
};

// The index of each item's choice. KL is taken to add up. From the smallest choices on, the step
// that lowers KL most for its bytes is taken next, along the lower convex hull of each item's
// choices, until the KL is reached or no step has room: the optimum of the Lagrangian, but for the
// last steps. Throws Error{kInput} if the smallest choices have more bytes.
std::vector<size_t> ChooseFormats(const std::vector<MixItem>& items, const MixLimit& limit);

}  // namespace retort
