// SPDX-License-Identifier: Apache-2.0
// Values for a recipe's "auto" keys, computed from the data and the model.
#pragma once

#include <cstdint>

#include "recipes/recipe.h"

namespace retort {

struct RunFacts {
  int64_t rows = 1;    // training rows, at least 1
  int64_t tokens = 1;  // of all training rows together
  int64_t width = 1;   // of the model (C)
};

// The learning rate. LoRA: 2e-4 (4096 / width)^0.8, between 1e-4 and 3e-3, rounded to two digits.
// 2e-4 is QLoRA's rate for a 7B model of width 4,096 (arXiv 2305.14314). "LoRA Without Regret"
// (Schulman et al. 2025) fits an exponent of 0.78 to Llama models. All weights trained (`lora`
// false): a tenth of that rate (same source).
double DefaultRate(int64_t width, bool lora);

// Tokens per step: rows / 200 rows of mean length, but at least 8 and at most 16 rows, and at most
// 8,192 tokens.
int64_t DefaultBatchTokens(const RunFacts& facts);

// Passes over the data: sqrt(40,000 / rows), rounded, from 1 (for much data) to 10 (for up to 400
// rows).
int64_t DefaultEpochs(int64_t rows);

// The recipe with every "auto" of epochs, batch_tokens, lr, beta1 and beta2 replaced. With Lion the
// rate is a fifth of DefaultRate, with preferences a 40th (ORPO: a 25th), and then epochs are at
// most 3.
Recipe WithDefaults(Recipe recipe, const RunFacts& facts);

}  // namespace retort
