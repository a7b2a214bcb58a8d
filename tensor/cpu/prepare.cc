// SPDX-License-Identifier: Apache-2.0
// Preparation of weights: the choice of arithmetic and layout.
#include <algorithm>
#include <cstring>

#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/int8_dots.h"
#include "tensor/cpu/products.h"
#include "tensor/quant/strips.h"

namespace retort {
namespace {

// A copy in large pages, adjacent to the other weights, for fast sequential reads.
Weight LastingCopy(const Weight& w, Memory& memory, ThreadPool& pool) {
  constexpr size_t kPiece = 4 << 20;
  const Bytes from = w.bytes();
  auto buffer = memory.AllocateLasting(std::ssize(from));
  pool.For(static_cast<int64_t>((from.size() + kPiece - 1) / kPiece), [&](int64_t i, int) {
    const size_t begin = static_cast<size_t>(i) * kPiece,
                 size = std::min(kPiece, from.size() - begin);
    std::memcpy(buffer->data() + begin, from.data() + begin, size);
  });
  const Bytes view(buffer->data(), from.size());
  return Weight(w.format(), w.rows(), w.cols(), view, std::move(buffer), w.nf4(), w.layout());
}

}  // namespace

Arithmetic CpuBackend::ArithmeticOf(WeightFormat format, const WeightUse& use) const {
  const bool blocks = HasStrips(format), running = use.purpose == WeightUse::Purpose::kRunning;
  Arithmetic how;
  const bool bytes = compute_ == Compute::kInt8 || (compute_ == Compute::kAuto && running);
  how.int8 = blocks && bytes;
  how.super = TraitsOf(format).codes && bytes && !how.int8;
  how.wide = (how.int8 || how.super) && use.sensitive;
  how.steady = running && use.lasting && !how.int8;
  switch (compute_) {
    case Compute::kF32:
      break;
    case Compute::kBF16:
      how.bf16 = true;
      break;
    case Compute::kInt8:
      how.bf16 = CpuPrefersBf16();
      break;
    case Compute::kAuto:
      how.bf16 = CpuPrefersBf16() && format != WeightFormat::kF32;
      break;
  }
  return how;
}

// Strips are used with AVX-512 VNNI; on other processors the kernels for rows are faster.
PreparedWeight CpuBackend::Prepare(const Weight& w, const WeightUse& use) {
  const Arithmetic how = ArithmeticOf(w.format(), use);
  const bool strips = use.lasting && how.int8 && isa_ == Isa::kAvx512 && CpuHasVnni() &&
                      w.layout() == WeightLayout::kRows;
  strips_ = strips_ || strips;
  Weight own = strips        ? InStrips(w, *memory_, pool_)
               : use.lasting ? LastingCopy(w, *memory_, pool_)
                             : w;
  const Compute compute = how.int8 || how.super ? Compute::kInt8
                          : how.bf16            ? Compute::kBF16
                                                : Compute::kF32;
  const int64_t bytes = own.total_bytes();
  return {w.rows(), w.cols(), bytes, compute, std::make_shared<CpuWeight>(std::move(own), how)};
}

}  // namespace retort
