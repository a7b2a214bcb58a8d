// SPDX-License-Identifier: Apache-2.0
// Writes a model's tensors to a GGUF in which they are declared.
#pragma once

#include <span>
#include <vector>

#include "base/threads.h"
#include "formats/gguf.h"
#include "model/layout.h"
#include "tensor/weight.h"

namespace retort {

// A bias or a gain, of values in Hugging Face's order.
void WriteVector(const TensorSpec& spec, const std::vector<float>& values, GgufWriter& writer);
// In that format, a panel of rows at a time. `importance` of the matrix's inputs, or none.
void WriteMatrix(const TensorSpec& spec, const Weight& w, WeightFormat format,
                 std::span<const float> importance, ThreadPool& pool, GgufWriter& writer);
// In the format that it has; its rows are in Hugging Face's order.
void WriteQuantised(const TensorSpec& spec, const Weight& w, GgufWriter& writer);

// The shapes of the two tensors that a GGUF keeps a matrix as (HeadSplit), and their values.
std::vector<int64_t> FirstShape(const TensorSpec& spec);
std::vector<int64_t> SecondShape(const TensorSpec& spec);
void WriteSplit(const TensorSpec& spec, const Weight& w, WeightFormat first_format,
                WeightFormat second_format, GgufWriter& writer);

}  // namespace retort
