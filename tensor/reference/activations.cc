// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <numbers>

#include "tensor/reference/reference_backend.h"

namespace retort {
namespace {

double Sigmoid(double z) { return 1 / (1 + std::exp(-z)); }
double NormalCdf(double z) { return std::erfc(-z / std::numbers::sqrt2) / 2; }
double NormalDensity(double z) { return std::exp(-z * z / 2) / std::sqrt(2 * std::numbers::pi); }

const double kRoot = std::sqrt(2 / std::numbers::pi);
constexpr double kCube = 0.044715;
double TanhOfGelu(double z) { return std::tanh(kRoot * (z + kCube * z * z * z)); }

double Value(Activation activation, double z) {
  switch (activation) {
    case Activation::kSilu:
      return z * Sigmoid(z);
    case Activation::kGelu:
      return z * NormalCdf(z);
    case Activation::kGeluTanh:
      return z * (1 + TanhOfGelu(z)) / 2;
    case Activation::kRelu2:
      return z < 0 ? 0 : z * z;  // NaN stays
  }
  RETORT_CHECK(false, "activation ", static_cast<int>(activation));
}

double Slope(Activation activation, double z) {
  switch (activation) {
    case Activation::kSilu:
      return Sigmoid(z) * (1 + z * (1 - Sigmoid(z)));
    case Activation::kGelu:
      return NormalCdf(z) + z * NormalDensity(z);
    case Activation::kGeluTanh: {
      const double t = TanhOfGelu(z);
      return (1 + t) / 2 + z * (1 - t * t) / 2 * kRoot * (1 + 3 * kCube * z * z);
    }
    case Activation::kRelu2:
      return 2 * std::max(z, 0.0);
  }
  RETORT_CHECK(false, "activation ", static_cast<int>(activation));
}

}  // namespace

void ReferenceBackend::GatedActivation(Activation activation, const Tensor& gate, const Tensor& up,
                                       Tensor& y) {
  RETORT_CHECK(gate.shape() == up.shape() && gate.shape() == y.shape(), gate.shape().text(), ", ",
               up.shape().text(), " into ", y.shape().text());
  for (int64_t i = 0; i < gate.elements(); ++i) {
    y.data<double>()[i] = Value(activation, gate.data<double>()[i]) * up.data<double>()[i];
  }
}

void ReferenceBackend::GatedActivationGrad(Activation activation, const Tensor& dy,
                                           const Tensor& gate, const Tensor& up, Tensor& dgate,
                                           Tensor& dup) {
  RETORT_CHECK(gate.shape() == dy.shape() && up.shape() == dy.shape() &&
                   dgate.shape() == dy.shape() && dup.shape() == dy.shape(),
               "gated activation's gradient of ", dy.shape().text());
  for (int64_t i = 0; i < gate.elements(); ++i) {
    const double z = gate.data<double>()[i], g = dy.data<double>()[i];
    dgate.data<double>()[i] = g * up.data<double>()[i] * Slope(activation, z);
    dup.data<double>()[i] = g * Value(activation, z);
  }
}

void ReferenceBackend::SoftCap(Tensor& x, float cap) {
  RETORT_CHECK(cap > 0, "soft cap ", cap);
  for (int64_t i = 0; i < x.elements(); ++i) {
    x.data<double>()[i] = cap * std::tanh(x.data<double>()[i] / cap);
  }
}

void ReferenceBackend::SoftCapGrad(const Tensor& capped, float cap, Tensor& dx) {
  RETORT_CHECK(cap > 0 && capped.shape() == dx.shape(), "soft cap ", cap, " of ",
               capped.shape().text());
  for (int64_t i = 0; i < dx.elements(); ++i) {
    const double t = capped.data<double>()[i] / cap;
    dx.data<double>()[i] *= 1 - t * t;
  }
}

}  // namespace retort
