// SPDX-License-Identifier: Apache-2.0
// Values in and out of the reference, and the conversions between element types.
#include "tensor/reference/reference_backend.h"

#include <algorithm>

namespace retort {

std::unique_ptr<Backend> MakeReferenceBackend() { return std::make_unique<ReferenceBackend>(); }

Tensor ReferenceBackend::FromFloats(std::span<const float> values, Shape shape) {
  return FromDoubles(std::vector<double>(values.begin(), values.end()), shape);
}

void ReferenceBackend::CopyFloats(const Tensor& x, std::span<float> out) {
  RETORT_CHECK(std::ssize(out) == x.elements(), out.size(), " floats of ", x.shape().text());
  std::copy_n(x.data<double>(), out.size(), out.begin());
}

Tensor ReferenceBackend::FromDoubles(std::span<const double> values, Shape shape) {
  RETORT_CHECK(static_cast<int64_t>(values.size()) == shape.elements(), values.size(),
               " values as ", shape.text());
  Tensor x = New(shape);
  std::copy(values.begin(), values.end(), x.data<double>());
  return x;
}

std::vector<double> ReferenceBackend::ToDoubles(const Tensor& x) {
  const Tensor wide = AsDoubles(x);
  return std::vector<double>(wide.data<double>(), wide.data<double>() + wide.elements());
}

Tensor ReferenceBackend::AsDoubles(const Tensor& x) {
  if (x.dtype() == DType::kF64) return x;
  Tensor wide = New(x.shape());
  double* out = wide.data<double>();
  for (int64_t i = 0; i < x.elements(); ++i) {
    switch (x.dtype()) {
      case DType::kF32: out[i] = x.data<float>()[i]; break;
      case DType::kF16: out[i] = ToFloat(x.data<F16>()[i]); break;
      case DType::kBF16: out[i] = ToFloat(x.data<BF16>()[i]); break;
      default: RETORT_CHECK(false, "a tensor of ", NameOf(x.dtype()), " holds no real numbers");
    }
  }
  return wide;
}

}  // namespace retort
