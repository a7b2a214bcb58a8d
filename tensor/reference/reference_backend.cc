// SPDX-License-Identifier: Apache-2.0
// Copies in and out of the reference backend, and conversions between element types.
#include "tensor/reference/reference_backend.h"

#include <algorithm>

namespace retort {

std::unique_ptr<Backend> MakeReferenceBackend() { return std::make_unique<ReferenceBackend>(); }

void ReferenceBackend::UploadBytes(std::span<const std::byte> from, const Tensor& to) {
  RETORT_CHECK(std::ssize(from) == to.bytes(), from.size(), " bytes as ", to.shape().text());
  std::ranges::copy(from, to.raw());
}

Event ReferenceBackend::DownloadBytes(const Tensor& x, std::span<std::byte> out) {
  RETORT_CHECK(std::ssize(out) == x.bytes(), out.size(), " bytes of ", x.shape().text());
  std::copy_n(x.raw(), out.size(), out.begin());
  return {};
}

Tensor ReferenceBackend::AsDoubles(const Tensor& x) {
  if (x.dtype() == DType::kF64) return x;
  Tensor wide = New(x.shape());
  double* out = wide.data<double>();
  for (int64_t i = 0; i < x.elements(); ++i) {
    switch (x.dtype()) {
      case DType::kF32:
        out[i] = x.data<float>()[i];
        break;
      case DType::kF16:
        out[i] = ToFloat(x.data<F16>()[i]);
        break;
      case DType::kBF16:
        out[i] = ToFloat(x.data<BF16>()[i]);
        break;
      default:
        RETORT_CHECK(false, "a tensor of ", NameOf(x.dtype()), " holds no real numbers");
    }
  }
  return wide;
}

}  // namespace retort
