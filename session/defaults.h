// SPDX-License-Identifier: Apache-2.0
// The values that a recipe leaves to Retort ("auto"), fitted to the data and the model.
#pragma once

#include <cstdint>

#include "recipes/recipe.h"

namespace retort {

struct RunFacts {
  int64_t rows = 1;    // of the training data, at least 1
  int64_t tokens = 1;  // of them all
  int64_t width = 1;   // of the model (C)
};

// A LoRA rate of 2e-4 suits a width of 4,096 (QLoRA's 7B, arXiv 2305.14314), and narrower models
// want more: the best rate falls with about the 0.8th power of the width ("LoRA Without Regret",
// Schulman et al. 2025, fits 0.78 to Llama's). Between 1e-4 and 3e-3, to two digits. Every weight
// trained: a tenth of it (the same source).
double DefaultRate(int64_t width, bool lora);

// Tokens of a step: 8 to 16 rows of mean length, a two-hundredth of the rows between these, at most
// 8,192 tokens.
int64_t DefaultBatchTokens(const RunFacts& facts);

// Passes over the data, 1 to 10: the square root of 40,000 / rows, rounded. One over much data, ten
// over 400 rows.
int64_t DefaultEpochs(int64_t rows);

// The recipe with every "auto" of epochs, batch_tokens and lr replaced.
Recipe WithDefaults(Recipe recipe, const RunFacts& facts);

}  // namespace retort
