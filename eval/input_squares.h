// SPDX-License-Identifier: Apache-2.0
// What a model's matrices are multiplied by on given rows: the sums of squares of each input, by
// which a quantised format weighs its errors (the diagonal of the inputs' second moments).
#pragma once

#include <cstdint>
#include <vector>

#include "eval/observe.h"

namespace retort {

struct InputSquares {
  std::vector<double> sums;  // [cols]; empty for a matrix that is not in a block
  int64_t tokens = 0;        // summed over; for an expert those routed to it
};

// By LinearId. All tokens of the examples count, whether or not they carry loss: an answer reads
// the keys and values of its prompt. Throws Error{kFailure} naming the layer if an input is not
// finite.
std::vector<InputSquares> SumInputSquares(const Model& model, const Adapter* adapter,
                                          const Examples& examples, const ObserveOptions& options);

}  // namespace retort
