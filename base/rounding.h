// SPDX-License-Identifier: Apache-2.0
// Counts in steps of a size: n >= 0, step > 0.
#pragma once

#include <cstdint>

namespace retort {

constexpr int64_t CeilDiv(int64_t n, int64_t step) { return (n + step - 1) / step; }
constexpr int64_t RoundUp(int64_t n, int64_t step) { return CeilDiv(n, step) * step; }

}  // namespace retort
