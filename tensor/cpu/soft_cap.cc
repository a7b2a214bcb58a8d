// SPDX-License-Identifier: Apache-2.0
#include "tensor/cpu/soft_cap.h"

#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/loops.h"

namespace retort {
namespace {

struct SoftCapGradOp {
  const float* capped;
  float cap;
  float* dx;
  template <int W, class Lanes>
  RETORT_INLINE void Step(int64_t i, Lanes lanes) const {
    const Floats<W> slope = SoftCapSlope<W>(Load<W>(capped + i, lanes), cap);
    Store<W>(dx + i, Load<W>(dx + i, lanes) * slope, lanes);
  }
};

}  // namespace

void CpuBackend::SoftCap(Tensor& x, float cap) {
  RETORT_CHECK(cap > 0, "soft cap ", cap);
  ForElements(pool_, isa_, x.elements(), SoftCapOp{x.data<float>(), cap});
}

void CpuBackend::SoftCapGrad(const Tensor& capped, float cap, Tensor& dx) {
  RETORT_CHECK(cap > 0 && capped.elements() == dx.elements(), "soft cap ", cap, " of ",
               capped.shape().text(), ", ", dx.shape().text());
  ForElements(pool_, isa_, dx.elements(),
              SoftCapGradOp{capped.data<float>(), cap, dx.data<float>()});
}

}  // namespace retort
