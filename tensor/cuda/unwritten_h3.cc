#include "tensor/cuda/cuda_backend.h"
namespace retort::cuda {
void CudaBackend::CrossEntropy(Tensor&, const Tensor&, const Tensor&, float, Tensor&) {
  RETORT_CHECK(false, "CrossEntropy is not written");
}
void CudaBackend::Distill(const DistillSettings&, const DistillTokens&, bool, Tensor&, Tensor&) {
  RETORT_CHECK(false, "Distill is not written");
}
void CudaBackend::DistillTop(const DistillSettings&, const DistillTokens&, bool, Tensor&,
                             const TopOutcomes&) {
  RETORT_CHECK(false, "DistillTop is not written");
}
void CudaBackend::HiddenDistance(Tensor&, const Tensor&, HiddenLossKind, float, Tensor&) {
  RETORT_CHECK(false, "HiddenDistance is not written");
}
void CudaBackend::AddSum(const Tensor&, double, Tensor&) {
  RETORT_CHECK(false, "AddSum is not written");
}
}  // namespace retort::cuda
