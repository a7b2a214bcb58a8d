#include "tensor/cuda/cuda_backend.h"
namespace retort::cuda {
void CudaBackend::Distill(const DistillSettings&, const DistillTokens&, bool, Tensor&, Tensor&) { RETORT_CHECK(false, "Distill is not written"); }
void CudaBackend::DistillTop(const DistillSettings&, const DistillTokens&, bool, Tensor&, const TopOutcomes&) { RETORT_CHECK(false, "DistillTop is not written"); }
}
