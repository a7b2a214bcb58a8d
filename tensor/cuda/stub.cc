// SPDX-License-Identifier: Apache-2.0
// Replaces the CUDA backend in a build without CUDA.
#include "base/error.h"
#include "tensor/backend.h"

namespace retort {

std::unique_ptr<Backend> MakeCudaBackend(int, int, Compute) {
  throw Failure("this retort was built without CUDA; use --device cpu");
}

}  // namespace retort
