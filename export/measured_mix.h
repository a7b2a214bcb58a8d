// SPDX-License-Identifier: Apache-2.0
// A GGUF of a wanted size or KL: the format of each tensor by what it was measured to cost.
#pragma once

#include <optional>

#include "base/json.h"
#include "compress/format_losses.h"
#include "export/gguf_export.h"

namespace retort {

// What is wanted of the file: one of the two.
struct MixGoal {
  std::optional<int64_t> bytes;  // at most, of the whole file
  std::optional<double> kl;      // at most, per token, before rounding with error feedback
};

struct MeasuredMix {
  std::vector<MixItem> items;
  std::vector<size_t> chosen;  // by item, an index of its choices
  double kl = 0;               // measured, with each row rounded by itself
};

// The formats that are chosen from: those with a grid, the one that tensors are tried in first.
std::vector<WeightFormat> MixFormats();

// Chooses the formats and sets options->formats and options->type, the coarsest of them.
// Throws Error{kInput} if no mix is small enough, or none is close enough.
MeasuredMix ChooseMix(const ModelFiles& source, const Path& target, const MixGoal& goal,
                      FormatLosses& losses, GgufExportOptions* options);

// {"kl": …, "tensors": [{"name": …, "format": …, "bytes": …, "kl": …}, …]}
Json MixJson(const MeasuredMix& mix);
// A line for each role: "ffn_down: 18 q5_0, 12 q4_0".
std::vector<std::string> MixLines(const MeasuredMix& mix);

}  // namespace retort
