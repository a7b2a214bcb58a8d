// SPDX-License-Identifier: Apache-2.0
// The search for NaN and infinity in weights. Quantising a value that is no number gives a number:
// so weights are searched before anything is made of them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/threads.h"
#include "tensor/weight.h"

namespace retort {

struct OddValue {
  int64_t row, col;
  float value;  // NaN or infinite
};

// The first value, row by row, that is NaN or infinite; nullopt if there is none.
std::optional<OddValue> FirstNotFinite(const Weight& w, ThreadPool& pool);

// Throws Error{kInput}: "WHERE: tensor 'NAME' holds nan at row 3, column 7 ...". `name` is quoted
// by the caller; `first_row` is the number of w's first row in that tensor.
void CheckFinite(const Weight& w, std::string_view where, std::string_view name, int64_t first_row,
                 ThreadPool& pool);
// The same for the values of one row.
void CheckFinite(std::span<const float> values, std::string_view where, std::string_view name);

}  // namespace retort
