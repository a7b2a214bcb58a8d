// SPDX-License-Identifier: Apache-2.0
// samples.jsonl: what the model answered to some held-out prompts, at each evaluation.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/file.h"

namespace retort {

struct Sample {
  std::string where;   // of the row
  std::string prompt;  // as text, special tokens spelt out
  std::string wanted, answer;
};

struct SampleLine {
  int64_t step;
  Sample sample;
};
// In the file's order; none if there is no file.
std::vector<SampleLine> ReadSamples(const Path& file);

// Appends the samples of a step. Lines of this step and of later ones, which an earlier session may
// have left, are removed first.
void AppendSamples(const Path& file, int64_t step, const std::vector<Sample>& samples);

}  // namespace retort
