// SPDX-License-Identifier: Apache-2.0
#include <cblas.h>

#include "tensor/cpu/block_gemm.h"

namespace retort {
namespace {

class OpenBlasGemm : public BlockGemm {
 public:
  DType type() const override { return DType::kF32; }
  void Prepare(int64_t) override {}
  void Multiply(int, const std::byte* a, const std::byte* b, int64_t rows, int64_t depth,
                float* c) override {
    const auto k = static_cast<blasint>(depth);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, static_cast<blasint>(rows), kPanel, k,
                1.0f, reinterpret_cast<const float*>(a), k, reinterpret_cast<const float*>(b),
                kPanel, 0.0f, c, kPanel);
  }
};

}  // namespace

std::unique_ptr<BlockGemm> MakeOpenBlasGemm() { return std::make_unique<OpenBlasGemm>(); }

}  // namespace retort
