// SPDX-License-Identifier: Apache-2.0
// Dense products by cuBLASLt. It is column-major: a row-major product c = a b is its c^T = b^T a^T.
#include "tensor/cuda/blas.h"

#include <cublasLt.h>

#include <array>
#include <map>

#include "base/error.h"

namespace retort::cuda {
namespace {

constexpr size_t kWorkspaceBytes = size_t{32} << 20;  // what cuBLAS's manual advises for Hopper

void Check(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS)
    throw Failure("cuBLAS: ", what, ": ", cublasLtGetStatusString(status));
}

cudaDataType TypeOf(DType type) {
  RETORT_CHECK(type == DType::kF32 || type == DType::kBF16, "a matrix of ", NameOf(type));
  return type == DType::kF32 ? CUDA_R_32F : CUDA_R_16BF;
}

// Owns one of the library's descriptions.
template <class Handle, cublasStatus_t (*kDestroy)(Handle)>
struct Owned {
  Owned() = default;
  ~Owned() {
    if (handle) kDestroy(handle);
  }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  Handle handle = nullptr;
};
using Description = Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Layout = Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Preference = Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

void Describe(Layout& layout, DType type, int64_t rows, int64_t cols, int64_t stride) {
  Check(cublasLtMatrixLayoutCreate(&layout.handle, TypeOf(type), static_cast<uint64_t>(rows),
                                   static_cast<uint64_t>(cols), stride),
        "a matrix's layout");
}
// A row-major matrix, as the transpose that the library sees.
void Describe(Layout& layout, const Matrix& m, int64_t rows, int64_t cols) {
  const int64_t stored_rows = m.transposed ? cols : rows;
  const int64_t stored_cols = m.transposed ? rows : cols;
  Describe(layout, m.type, stored_cols, stored_rows, m.stride);
}

// The largest power of two, up to 16, that divides an address.
uint32_t AlignmentOf(const void* at) {
  const auto address = reinterpret_cast<uintptr_t>(at);
  return address % 16 == 0 ? 16 : static_cast<uint32_t>(address & -address);
}

// Of the queue's pool: no call to the system. Not among the bytes that CudaMemory counts.
struct Workspace {
  explicit Workspace(Queue& q) : queue(q), address(q.Allocate(kWorkspaceBytes)) {}
  ~Workspace() { queue.Free(address); }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  Queue& queue;
  void* address;
};

class LtBlas final : public Blas {
 public:
  LtBlas() { Check(cublasLtCreate(&handle_), "starting"); }
  ~LtBlas() override { cublasLtDestroy(handle_); }
  LtBlas(const LtBlas&) = delete;
  LtBlas& operator=(const LtBlas&) = delete;

  void Multiply(Queue& queue, int64_t m, int64_t n, int64_t k, float alpha, const Matrix& a,
                const Matrix& b, float beta, void* c, int64_t c_stride) override {
    RETORT_CHECK(a.type == b.type, NameOf(a.type), " times ", NameOf(b.type));
    RETORT_CHECK(k > 0, "a product over nothing");
    if (m == 0 || n == 0) return;
    Description description;
    Check(cublasLtMatmulDescCreate(&description.handle, CUBLAS_COMPUTE_32F, CUDA_R_32F),
          "a product's description");
    const auto set = [&](cublasLtMatmulDescAttributes_t what, bool transposed) {
      const cublasOperation_t operation = transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
      Check(cublasLtMatmulDescSetAttribute(description.handle, what, &operation, sizeof(operation)),
            "a product's description");
    };
    set(CUBLASLT_MATMUL_DESC_TRANSA, b.transposed);
    set(CUBLASLT_MATMUL_DESC_TRANSB, a.transposed);
    Layout left, right, out;
    Describe(left, b, k, n);
    Describe(right, a, m, k);
    Describe(out, DType::kF32, n, m, c_stride);
    const Key key{m,
                  n,
                  k,
                  a.stride,
                  b.stride,
                  c_stride,
                  int64_t{static_cast<int64_t>(a.type)} | int64_t{a.transposed} << 8 |
                      int64_t{b.transposed} << 9,
                  int64_t{AlignmentOf(a.data)} | int64_t{AlignmentOf(b.data)} << 8 |
                      int64_t{AlignmentOf(c)} << 16};
    const cublasLtMatmulAlgo_t& algorithm =
        Algorithm(key, description, left, right, out, {b.data, a.data, c});
    const Workspace workspace(queue);
    Check(cublasLtMatmul(handle_, description.handle, &alpha, b.data, left.handle, a.data,
                         right.handle, &beta, c, out.handle, c, out.handle, &algorithm,
                         workspace.address, kWorkspaceBytes,
                         static_cast<cudaStream_t>(queue.native())),
          "a product");
  }

 private:
  using Key = std::array<int64_t, 8>;
  struct Operands {
    const void *left, *right, *out;
  };

  // The library's first choice for these sizes, strides and alignments, asked for once.
  const cublasLtMatmulAlgo_t& Algorithm(const Key& key, const Description& description,
                                        const Layout& left, const Layout& right, const Layout& out,
                                        const Operands& operands) {
    if (const auto found = algorithms_.find(key); found != algorithms_.end()) return found->second;
    Preference preference;
    Check(cublasLtMatmulPreferenceCreate(&preference.handle), "a preference");
    const auto set = [&](cublasLtMatmulPreferenceAttributes_t what, const auto& value) {
      Check(cublasLtMatmulPreferenceSetAttribute(preference.handle, what, &value, sizeof(value)),
            "a preference");
    };
    set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspaceBytes);
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, AlignmentOf(operands.left));
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, AlignmentOf(operands.right));
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, AlignmentOf(operands.out));
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, AlignmentOf(operands.out));
    cublasLtMatmulHeuristicResult_t best;
    int found = 0;
    Check(
        cublasLtMatmulAlgoGetHeuristic(handle_, description.handle, left.handle, right.handle,
                                       out.handle, out.handle, preference.handle, 1, &best, &found),
        "choosing an algorithm");
    if (found == 0) throw Failure("cuBLAS: no algorithm for a product of these sizes");
    return algorithms_.emplace(key, best.algo).first->second;
  }

  cublasLtHandle_t handle_ = nullptr;
  std::map<Key, cublasLtMatmulAlgo_t> algorithms_;
};

}  // namespace

std::unique_ptr<Blas> MakeBlas() { return std::make_unique<LtBlas>(); }

}  // namespace retort::cuda
