// SPDX-License-Identifier: Apache-2.0
// Tensors as arguments of kernels.
#pragma once

#include "tensor/cuda/language/kernel_language.h"
#include "tensor/tensor.h"

namespace retort::cuda {

// The elements of a tensor in the device's memory, for reading. An empty tensor gives null.
template <class T>
Global<const T> In(const Tensor& x) {
  if (!x) return {};
  RETORT_CHECK(x.space() == Buffer::Space::kDevice, "a tensor of the host's memory");
  RETORT_CHECK(x.dtype() == kDTypeOf<T>, NameOf(x.dtype()), " read as ", NameOf(kDTypeOf<T>));
  return GlobalAt<const T>(x.address(), x.bytes());
}
// The same for writing.
template <class T>
Global<T> Out(const Tensor& x) {
  if (!x) return {};
  RETORT_CHECK(x.space() == Buffer::Space::kDevice, "a tensor of the host's memory");
  RETORT_CHECK(x.dtype() == kDTypeOf<T>, NameOf(x.dtype()), " written as ", NameOf(kDTypeOf<T>));
  return GlobalAt<T>(x.address(), x.bytes());
}

// One thread an element, in blocks of 256.
inline Grid OneEach(int64_t elements) { return {(elements + 255) / 256}; }
// One block a row.
inline Grid RowEach(int64_t rows, int threads = 256) { return {rows, threads}; }

// The number of this thread among all of a one-dimensional grid.
__device__ inline int64_t ThreadNumber() { return int64_t{blockIdx.x} * blockDim.x + threadIdx.x; }

}  // namespace retort::cuda
