// SPDX-License-Identifier: Apache-2.0
// Checks of routing (tensor/kernels/experts.h) for devices whose kernels read host memory.
#pragma once

#include <cstdint>
#include <span>

#include "tensor/kernels/experts.h"

namespace retort {

// The i32 elements of x.
std::span<const int32_t> Numbers(const Tensor& x);

// Throw Error{kBug} when shapes do not fit each other, or a row or a place is out of range.
void CheckRoute(const RouteRule& rule, const Tensor& logits, const Tensor& scores,
                const Tensor& experts, const Tensor& weights);
void CheckPlaces(const Tensor& x, const Tensor& weights, std::span<const int32_t> rows,
                 std::span<const int32_t> places, const Tensor& out);

}  // namespace retort
