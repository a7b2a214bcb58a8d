// SPDX-License-Identifier: Apache-2.0
// The twin of tensor/cuda/language/blas.cc: plain loops in double, as the reference multiplies.
#include "tensor/cuda/blas.h"

#include "base/error.h"
#include "tests/cuda_on_cpu/memory.h"
#include "tests/cuda_on_cpu/queue.h"

namespace retort::cuda {
namespace {

using emulated::Allocation;

// One operand: op(matrix)[i, j].
class Operand {
 public:
  Operand(const Matrix& matrix, int64_t rows, int64_t cols) : matrix_(matrix) {
    const int64_t stored_rows = matrix.transposed ? cols : rows;
    const int64_t stored_cols = matrix.transposed ? rows : cols;
    const int64_t size = SizeOf(matrix.type);
    for (int64_t r = 0; r < stored_rows; ++r) {
      const auto* row = static_cast<const std::byte*>(matrix.data) + r * matrix.stride * size;
      const Allocation* held = emulated::Find(row, stored_cols * size);
      if (held && !held->shadow.Written(emulated::OffsetIn(*held, row),
                                        static_cast<size_t>(stored_cols * size)))
        emulated::Report("a product reads memory never written");
    }
  }
  double operator()(int64_t i, int64_t j) const {
    const int64_t at = matrix_.transposed ? j * matrix_.stride + i : i * matrix_.stride + j;
    return matrix_.type == DType::kF32 ? double{static_cast<const float*>(matrix_.data)[at]}
                                       : ToFloat(static_cast<const BF16*>(matrix_.data)[at]);
  }

 private:
  Matrix matrix_;
};

class LoopBlas final : public Blas {
 public:
  void Multiply(Queue& queue, int64_t m, int64_t n, int64_t k, float alpha, const Matrix& a,
                const Matrix& b, float beta, void* c, int64_t c_stride) override {
    RETORT_CHECK(k > 0, "a product over nothing");
    RETORT_CHECK(a.type == b.type, NameOf(a.type), " times ", NameOf(b.type));
    static_cast<emulated::LateQueue&>(queue).Enqueue(
        [=] { Loops(m, n, k, alpha, a, b, beta, static_cast<float*>(c), c_stride); });
  }

 private:
  static void Loops(int64_t m, int64_t n, int64_t k, float alpha, const Matrix& a, const Matrix& b,
                    float beta, float* c, int64_t c_stride) {
    const Operand left(a, m, k), right(b, k, n);
    for (int64_t i = 0; i < m; ++i) {
      float* row = c + i * c_stride;
      Allocation* held = emulated::Find(row, n * 4);
      if (!held) return;
      const size_t at = emulated::OffsetIn(*held, row), bytes = static_cast<size_t>(n) * 4;
      if (beta != 0 && !held->shadow.Written(at, bytes))
        emulated::Report("a product adds to memory never written");
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (int64_t p = 0; p < k; ++p) sum += left(i, p) * right(p, j);
        row[j] = static_cast<float>(alpha * sum + (beta != 0 ? beta * double{row[j]} : 0));
      }
      held->shadow.MarkWritten(at, bytes);
    }
  }
};

}  // namespace

std::unique_ptr<Blas> MakeBlas() { return std::make_unique<LoopBlas>(); }

}  // namespace retort::cuda
