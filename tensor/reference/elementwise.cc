// SPDX-License-Identifier: Apache-2.0
#include "tensor/reference/reference_backend.h"

namespace retort {
namespace {

void CheckAlike(const Tensor& a, const Tensor& b) {
  RETORT_CHECK(a.shape() == b.shape(), a.shape().text(), " and ", b.shape().text());
}

// out[t,c] += x[t,c] after dropout, computed from the definition of the mask.
void AddDropped(const Tensor& x, const DropoutMask& mask, Tensor& out) {
  CheckAlike(x, out);
  RETORT_CHECK(mask.rate >= 0 && mask.rate < 1, "dropout rate ", mask.rate);
  RETORT_CHECK(mask.row_index.elements() == x.rows() && mask.row_token.elements() == x.rows(),
               "dropout of ", x.rows(), " tokens with a mask of ", mask.row_index.elements());
  const double rate = mask.rate;
  for (int64_t t = 0; t < x.rows(); ++t) {
    const PhiloxKey key = MakeKey(mask.seed, RandomUse::kDropout,
                                  static_cast<uint64_t>(mask.row_index.data<int64_t>()[t]));
    const uint32_t token = static_cast<uint32_t>(mask.row_token.data<int32_t>()[t]);
    for (int64_t c = 0; c < x.cols(); ++c) {
      const PhiloxCounter words = Philox({token, static_cast<uint32_t>(c / 4), 0, 0}, key);
      const bool kept = words[static_cast<size_t>(c % 4)] >= rate * 4294967296.0;
      const int64_t i = t * x.cols() + c;
      if (kept) out.data<double>()[i] += x.data<double>()[i] / (1 - rate);
    }
  }
}

}  // namespace

void ReferenceBackend::Fill(Tensor& x, float value) {
  for (int64_t i = 0; i < x.elements(); ++i) {
    switch (x.dtype()) {
      case DType::kF64:
        x.data<double>()[i] = value;
        break;
      case DType::kF32:
        x.data<float>()[i] = value;
        break;
      case DType::kF16:
        x.data<F16>()[i] = ToF16(value);
        break;
      case DType::kBF16:
        x.data<BF16>()[i] = ToBF16(value);
        break;
      default:
        RETORT_CHECK(false, "fill of ", NameOf(x.dtype()));
    }
  }
}

void ReferenceBackend::Add(const Tensor& a, const Tensor& b, Tensor& out) {
  CheckAlike(a, b);
  CheckAlike(a, out);
  for (int64_t i = 0; i < a.elements(); ++i) {
    out.data<double>()[i] = a.data<double>()[i] + b.data<double>()[i];
  }
}

void ReferenceBackend::Accumulate(const Tensor& x, Tensor& sum) {
  CheckAlike(x, sum);
  for (int64_t i = 0; i < x.elements(); ++i) sum.data<double>()[i] += x.data<double>()[i];
}

void ReferenceBackend::Scale(Tensor& x, float factor) {
  for (int64_t i = 0; i < x.elements(); ++i) x.data<double>()[i] *= factor;
}

void ReferenceBackend::AddBias(Tensor& y, const Tensor& bias) {
  RETORT_CHECK(bias.elements() == y.cols(), y.shape().text(), " + ", bias.shape().text());
  for (int64_t t = 0; t < y.rows(); ++t) {
    for (int64_t c = 0; c < y.cols(); ++c) {
      y.data<double>()[t * y.cols() + c] += bias.data<double>()[c];
    }
  }
}

void ReferenceBackend::BiasGrad(const Tensor& dy, Tensor& dbias) {
  RETORT_CHECK(dbias.elements() == dy.cols(), dy.shape().text(), ", ", dbias.shape().text());
  for (int64_t t = 0; t < dy.rows(); ++t) {
    for (int64_t c = 0; c < dy.cols(); ++c) {
      dbias.data<double>()[c] += dy.data<double>()[t * dy.cols() + c];
    }
  }
}

void ReferenceBackend::Dropout(const Tensor& x, const DropoutMask& mask, Tensor& y) {
  Fill(y, 0);
  AddDropped(x, mask, y);
}

void ReferenceBackend::DropoutGrad(const Tensor& dy, const DropoutMask& mask, Tensor& dx) {
  AddDropped(dy, mask, dx);
}

void ReferenceBackend::AddNoise(Tensor& x, const UniformNoise& noise) {
  RETORT_CHECK(noise.row_index.elements() == x.rows() && noise.row_token.elements() == x.rows() &&
                   noise.amplitude.elements() == x.rows(),
               "noise for ", noise.row_index.elements(), " of ", x.rows(), " tokens");
  for (int64_t t = 0; t < x.rows(); ++t) {
    const PhiloxKey key = MakeKey(noise.seed, RandomUse::kNoise,
                                  static_cast<uint64_t>(noise.row_index.data<int64_t>()[t]));
    const auto token = static_cast<uint32_t>(noise.row_token.data<int32_t>()[t]);
    for (int64_t c = 0; c < x.cols(); ++c) {
      const PhiloxCounter words = Philox({token, static_cast<uint32_t>(c / 4), 0, 0}, key);
      x.data<double>()[t * x.cols() + c] +=
          noise.amplitude.data<float>()[t] * (words[static_cast<size_t>(c % 4)] * 0x1p-31 - 1);
    }
  }
}

}  // namespace retort
