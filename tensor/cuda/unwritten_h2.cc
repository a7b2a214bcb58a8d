#include "tensor/cuda/cuda_backend.h"
namespace retort::cuda {
std::shared_ptr<const AttentionPlan> CudaBackend::Plan(const AttentionLayout&) {
  RETORT_CHECK(false, "Plan is not written");
}
void CudaBackend::Attention(const AttentionShape&, const AttentionPlan&, const Tensor&,
                            const Tensor&, const Tensor&, Tensor&, Tensor&) {
  RETORT_CHECK(false, "Attention is not written");
}
void CudaBackend::AttentionGrad(const AttentionShape&, const AttentionPlan&, const Tensor&,
                                const Tensor&, const Tensor&, const Tensor&, const Tensor&,
                                const Tensor&, Tensor&, Tensor&, Tensor&) {
  RETORT_CHECK(false, "AttentionGrad is not written");
}
}  // namespace retort::cuda
