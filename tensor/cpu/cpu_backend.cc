// SPDX-License-Identifier: Apache-2.0
#include "tensor/cpu/cpu_backend.h"

#include <cblas.h>

#include "tensor/cpu/products.h"

namespace retort {

bool CpuHasBf16() {
#ifdef __x86_64__
  return __builtin_cpu_supports("avx512bf16");  // every processor with AMX has it too
#else
  return false;
#endif
}

CpuProducts::CpuProducts(int workers, Compute compute, Memory& memory, bool portable) {
  openblas_set_num_threads(1);  // the threads are ours
  if (!portable) {
    if (compute != Compute::kF32 && CpuHasBf16()) {
      bf16_ = MakeOneDnnGemm(DType::kBF16, workers, memory);
    }
    if (!bf16_) f32_ = MakeOneDnnGemm(DType::kF32, workers, memory);
  }
  if (!bf16_ && !f32_) f32_ = MakeOpenBlasGemm();
}

CpuBackend::CpuBackend(int threads, Compute compute)
    : pool_(threads), compute_(compute),
      products_(std::make_unique<CpuProducts>(threads, compute, *memory_, isa_ != Isa::kAvx512)) {}

CpuBackend::~CpuBackend() = default;

void CpuBackend::set_isa(Isa isa) {
  isa_ = isa;
  products_ = std::make_unique<CpuProducts>(threads(), compute_, *memory_, isa != Isa::kAvx512);
}

std::unique_ptr<Backend> MakeCpuBackend(int threads, Compute compute) {
  return std::make_unique<CpuBackend>(threads > 0 ? threads : AvailableProcessors(), compute);
}

}  // namespace retort
