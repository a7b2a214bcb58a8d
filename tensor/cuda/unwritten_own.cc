#include "tensor/cuda/cuda_backend.h"
namespace retort::cuda {
void CudaBackend::LinearForward(const Tensor&, const PreparedWeight&, Tensor&) {
  RETORT_CHECK(false, "LinearForward is not written");
}
void CudaBackend::LinearForwards(const Tensor&, std::span<LinearProduct>) {
  RETORT_CHECK(false, "LinearForwards is not written");
}
void CudaBackend::LinearInputGrad(const Tensor&, const PreparedWeight&, Tensor&) {
  RETORT_CHECK(false, "LinearInputGrad is not written");
}
void CudaBackend::AdaptedNorms(const PreparedWeight&, const Tensor&, const Tensor&, float,
                               Tensor&) {
  RETORT_CHECK(false, "AdaptedNorms is not written");
}
void CudaBackend::Gemm(bool, bool, float, const Tensor&, const Tensor&, float, Tensor&) {
  RETORT_CHECK(false, "Gemm is not written");
}
}  // namespace retort::cuda
