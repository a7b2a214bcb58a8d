// SPDX-License-Identifier: Apache-2.0
#include "tensor/cuda/cuda_backend.h"

namespace retort {

std::unique_ptr<Backend> MakeCudaBackend(int index, int threads, Compute compute) {
  return std::make_unique<cuda::CudaBackend>(index, ThreadsFor(threads), compute);
}

}  // namespace retort
