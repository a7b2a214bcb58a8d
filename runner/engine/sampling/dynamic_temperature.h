// SPDX-License-Identifier: Apache-2.0
// Dynamic temperature (kalomaze, llama.cpp 2024): hot where the model is unsure, cool where it is
// not.
#pragma once

#include "runner/engine/sampling/candidates.h"

namespace retort {

// Weighs the candidates, which have the weights of temperature 1, by the temperature
//   least + (most - least) * (H / log n) ^ exponent
// where H is the entropy of the n candidates, and least and most are `temperature` - and + `range`,
// but least is not below 0.
void WeighDynamically(Candidates& candidates, double temperature, double range, double exponent);

}  // namespace retort
