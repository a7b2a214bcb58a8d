// SPDX-License-Identifier: Apache-2.0
#include <cblas.h>

#include "tensor/cpu/block_gemm.h"

namespace retort {
namespace {

class OpenBlasGemm : public BlockGemm {
 public:
  DType type() const override { return DType::kF32; }
  void Multiply(int, const BlockProduct& p) override {
    const auto size = [](int64_t n) { return static_cast<blasint>(n); };
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, size(p.rows), size(p.cols),
                size(p.depth), 1.0f, reinterpret_cast<const float*>(p.a), size(p.a_row),
                reinterpret_cast<const float*>(p.b), kPanel, p.add ? 1.0f : 0.0f, p.out,
                size(p.out_row));
  }
};

}  // namespace

std::unique_ptr<BlockGemm> MakeOpenBlasGemm() { return std::make_unique<OpenBlasGemm>(); }

}  // namespace retort
