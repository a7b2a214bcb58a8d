// SPDX-License-Identifier: Apache-2.0
#include "tensor/cpu/cpu_backend.h"

#include <cblas.h>

#include <cstring>

#include "tensor/cpu/loops.h"
#include "tensor/cpu/products.h"

namespace retort {
namespace {

void CopyBytes(ThreadPool& pool, const std::byte* from, int64_t bytes, std::byte* to) {
  ForRanges(pool, bytes, kPieceElements * 4, [&](int64_t begin, int64_t end) {
    std::memcpy(to + begin, from + begin, static_cast<size_t>(end - begin));
  });
}

}  // namespace

bool CpuHasBf16() {
#ifdef __x86_64__
  // All processors with AMX also have AVX512_BF16.
  return HostIsa() == Isa::kAvx512 && __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

bool CpuPrefersBf16() {
#ifdef __x86_64__
  return CpuHasBf16() && (__builtin_cpu_is("amd") || OneDnnHasAmx());
#else
  return false;
#endif
}

CpuProducts::CpuProducts(int workers, Compute compute, Memory& memory, Isa isa) {
  openblas_set_num_threads(1);  // called from the pool's threads
  f32_ = isa == Isa::kPortable ? MakeOpenBlasGemm() : MakeVectorGemm(isa);
  const bool wanted = compute == Compute::kBF16 || (compute != Compute::kF32 && CpuPrefersBf16());
  if (!wanted || isa != Isa::kAvx512) return;
  if (OneDnnHasAmx()) bf16_ = MakeOneDnnGemm(workers, memory);
  if (!bf16_) bf16_ = MakeBF16Gemm();
}

CpuBackend::CpuBackend(int threads, Compute compute, PoolWork work)
    : pool_(threads, work),
      compute_(compute),
      products_(std::make_unique<CpuProducts>(threads, compute, *memory_, isa_)) {}

CpuBackend::~CpuBackend() = default;

void CpuBackend::set_isa(Isa isa) {
  isa_ = isa;
  products_ = std::make_unique<CpuProducts>(threads(), compute_, *memory_, isa);
}

void CpuBackend::UploadBytes(std::span<const std::byte> from, const Tensor& to) {
  RETORT_CHECK(std::ssize(from) == to.bytes(), from.size(), " bytes as ", to.shape().text());
  if (to.dtype() == DType::kI32) {  // kernels check indices before they leave work to the pool
    if (!from.empty()) std::memcpy(to.raw(), from.data(), from.size());
  } else {
    CopyBytes(pool_, from.data(), std::ssize(from), to.raw());
  }
}

Event CpuBackend::DownloadBytes(const Tensor& x, std::span<std::byte> out) {
  RETORT_CHECK(std::ssize(out) == x.bytes(), out.size(), " bytes of ", x.shape().text());
  // Whoever reads what was not computed reads the same each time, not what it left there itself.
  if (pool_.work() == PoolWork::kSkipped) std::ranges::fill(out, std::byte{0});
  CopyBytes(pool_, x.raw(), x.bytes(), out.data());
  return {};
}

std::unique_ptr<Backend> MakeCpuBackend(int threads, Compute compute, PoolWork work) {
  return std::make_unique<CpuBackend>(ThreadsFor(threads), compute, work);
}

}  // namespace retort
