// SPDX-License-Identifier: Apache-2.0
// Faults of gated activations, rotary embeddings, caps, columns and routing (op_faults.h).
#include <algorithm>
#include <numeric>

#include "tests/tensor/op_faults.h"

namespace retort {
namespace {

struct GatedGradAdds : Reference {
  void GatedActivationGrad(Activation activation, const Tensor& dy, const Tensor& gate,
                           const Tensor& up, Tensor& dgate, Tensor& dup) override {
    Tensor before = FromDoubles(ToDoubles(dgate), dgate.shape());
    Reference::GatedActivationGrad(activation, dy, gate, up, dgate, dup);
    Accumulate(before, dgate);
  }
};
struct GeluByTanh : Reference {
  void GatedActivation(Activation activation, const Tensor& gate, const Tensor& up,
                       Tensor& y) override {
    const bool gelu = activation == Activation::kGelu;
    Reference::GatedActivation(gelu ? Activation::kGeluTanh : activation, gate, up, y);
  }
};
struct GeluTanhGradByErf : Reference {
  void GatedActivationGrad(Activation activation, const Tensor& dy, const Tensor& gate,
                           const Tensor& up, Tensor& dgate, Tensor& dup) override {
    const bool tanh = activation == Activation::kGeluTanh;
    Reference::GatedActivationGrad(tanh ? Activation::kGelu : activation, dy, gate, up, dgate, dup);
  }
};
struct Relu2GradWithoutItsFactor : Reference {
  void GatedActivationGrad(Activation activation, const Tensor& dy, const Tensor& gate,
                           const Tensor& up, Tensor& dgate, Tensor& dup) override {
    Reference::GatedActivationGrad(activation, dy, gate, up, dgate, dup);
    Scale(dgate, 0.5f);
  }
};

struct RotaryClearsTheRest : Reference {
  void Rotary(const Tensor& x, const Tensor& cos, const Tensor& sin, int heads, bool inverse,
              Tensor& y, RotaryPairs pairs) override {
    Reference::Rotary(x, cos, sin, heads, inverse, y, pairs);
    const int64_t width = x.cols() / heads;
    for (int64_t i = 0; i < y.elements(); ++i) {
      if (i % width >= 2 * cos.cols()) y.data<double>()[i] = 0;
    }
  }
};
struct RotaryOfHalvesAlone : Reference {
  void Rotary(const Tensor& x, const Tensor& cos, const Tensor& sin, int heads, bool inverse,
              Tensor& y, RotaryPairs) override {
    Reference::Rotary(x, cos, sin, heads, inverse, y, RotaryPairs::kHalves);
  }
};

struct SoftCapOfOne : Reference {
  void SoftCap(Tensor& x, float cap) override {
    Reference::SoftCap(x, cap);
    Scale(x, 1 / cap);
  }
};
struct SoftCapGradOfUnscaledValues : Reference {
  void SoftCapGrad(const Tensor& capped, float, Tensor& dx) override {
    Reference::SoftCapGrad(capped, 1, dx);
  }
};
struct ColumnsFromTheFirst : Reference {
  void CopyColumns(const Tensor& x, int64_t, Tensor& y) override {
    Reference::CopyColumns(x, 0, y);
  }
};
struct AddColumnsOverwrites : Reference {
  void AddColumns(const Tensor& dy, int64_t begin, Tensor& dx) override {
    for (int64_t t = 0; t < dy.rows(); ++t) {
      std::fill_n(dx.data<double>() + t * dx.cols() + begin, dy.cols(), 0.0);
    }
    Reference::AddColumns(dy, begin, dx);
  }
};

// Of equal experts the last: as if the choice began at the end.
struct RouteFromTheEnd : Reference {
  void Route(const RouteRule& rule, const Tensor& logits, Tensor& probabilities, Tensor& experts,
             Tensor& weights) override {
    Tensor reversed = New(logits.shape());
    const auto reverse = [&](const Tensor& from, Tensor& to) {
      for (int64_t i = 0; i < from.elements(); ++i) {
        const int64_t row = i / from.cols(), col = i % from.cols();
        to.data<double>()[(row + 1) * from.cols() - 1 - col] = from.data<double>()[i];
      }
    };
    reverse(logits, reversed);
    Reference::Route(rule, reversed, probabilities, experts, weights);
    const Tensor of_reversed = FromDoubles(ToDoubles(probabilities), probabilities.shape());
    reverse(of_reversed, probabilities);
    for (int64_t i = 0; i < experts.elements(); ++i) {
      int32_t& e = experts.data<int32_t>()[i];
      e = static_cast<int32_t>(logits.cols()) - 1 - e;
    }
  }
};
struct RouteNeverRenormalises : Reference {
  void Route(const RouteRule& rule, const Tensor& logits, Tensor& probabilities, Tensor& experts,
             Tensor& weights) override {
    Reference::Route({rule.used, false}, logits, probabilities, experts, weights);
  }
};
struct RouteInTheOrderOfExperts : Reference {
  void Route(const RouteRule& rule, const Tensor& logits, Tensor& probabilities, Tensor& experts,
             Tensor& weights) override {
    Reference::Route(rule, logits, probabilities, experts, weights);
    for (int64_t t = 0; t < experts.rows(); ++t) {
      int32_t* chosen = experts.data<int32_t>() + t * rule.used;
      std::sort(chosen, chosen + rule.used);
    }
  }
};
struct RouteGradOfPlainSoftmax : Reference {
  void RouteGrad(const RouteRule& rule, const Tensor& dweights, const Tensor& probabilities,
                 const Tensor& experts, Tensor& dlogits) override {
    Reference::RouteGrad({rule.used, false}, dweights, probabilities, experts, dlogits);
  }
};
// d p_e / d z_e alone, without what the softmax takes from the others.
struct RouteGradOfTheChosenAlone : Reference {
  void RouteGrad(const RouteRule& rule, const Tensor& dweights, const Tensor& probabilities,
                 const Tensor& experts, Tensor& dlogits) override {
    for (int64_t i = 0; i < experts.elements(); ++i) {
      const int64_t at = i / rule.used * dlogits.cols() + experts.data<int32_t>()[i];
      const double p = probabilities.data<double>()[at];
      dlogits.data<double>()[at] += p * (1 - p) * dweights.data<double>()[i];
    }
  }
};

struct WeightedRowsCountPlacesAsRows : Reference {
  void AddWeightedRows(const Tensor& x, const Tensor& weights, const Tensor& rows,
                       const Tensor& places, Tensor& out) override {
    std::vector<int32_t> counted(static_cast<size_t>(places.elements()));
    std::iota(counted.begin(), counted.end(), 0);
    Reference::AddWeightedRows(x, weights, rows, Upload(counted), out);
  }
};
struct WeightedRowsGradAddsToRows : Reference {
  void WeightedRowsGrad(const Tensor& dout, const Tensor& x, const Tensor& weights,
                        const Tensor& rows, const Tensor& places, Tensor& dx,
                        Tensor* dweights) override {
    Tensor before = FromDoubles(ToDoubles(dx), dx.shape());
    Reference::WeightedRowsGrad(dout, x, weights, rows, places, dx, dweights);
    Accumulate(before, dx);
  }
};
struct WeightedRowsGradOverwritesWeights : Reference {
  void WeightedRowsGrad(const Tensor& dout, const Tensor& x, const Tensor& weights,
                        const Tensor& rows, const Tensor& places, Tensor& dx,
                        Tensor* dweights) override {
    if (dweights) Fill(*dweights, 0);
    Reference::WeightedRowsGrad(dout, x, weights, rows, places, dx, dweights);
  }
};

constexpr Fault kLayerFaults[] = {
    {"GatedGradAdds", "gated_activation_grad", "silu_t17", Make<GatedGradAdds>},
    {"GeluByTanh", "gated_activation", "gelu_t17", Make<GeluByTanh>},
    {"GeluTanhGradByErf", "gated_activation_grad", "gelu_tanh_t17", Make<GeluTanhGradByErf>},
    {"Relu2GradWithoutItsFactor", "gated_activation_grad", "relu2_t17",
     Make<Relu2GradWithoutItsFactor>},
    {"RotaryClearsTheRest", "rotary", "t17_h3_d96_of72", Make<RotaryClearsTheRest>},
    {"RotaryOfHalvesAlone", "rotary", "t17_h9_d64_neighbours", Make<RotaryOfHalvesAlone>},
    {"SoftCapOfOne", "soft_cap", "t17", Make<SoftCapOfOne>},
    {"SoftCapGradOfUnscaledValues", "soft_cap_grad", "t17", Make<SoftCapGradOfUnscaledValues>},
    {"ColumnsFromTheFirst", "copy_columns", "n129", Make<ColumnsFromTheFirst>},
    {"AddColumnsOverwrites", "add_columns", "n129", Make<AddColumnsOverwrites>},
    {"RouteFromTheEnd", "route", "t17_e8_u2", Make<RouteFromTheEnd>},
    {"RouteNeverRenormalises", "route", "t17_e8_u2_renormalised", Make<RouteNeverRenormalises>},
    {"RouteInTheOrderOfExperts", "route", "t17_e8_u2", Make<RouteInTheOrderOfExperts>},
    {"RouteGradOfPlainSoftmax", "route_grad", "t17_e8_u2_renormalised",
     Make<RouteGradOfPlainSoftmax>},
    {"RouteGradOfTheChosenAlone", "route_grad", "t17_e8_u2", Make<RouteGradOfTheChosenAlone>},
    {"WeightedRowsCountPlacesAsRows", "weighted_rows", "n17", Make<WeightedRowsCountPlacesAsRows>},
    {"WeightedRowsGradAddsToRows", "weighted_rows_grad", "n17", Make<WeightedRowsGradAddsToRows>},
    {"WeightedRowsGradOverwritesWeights", "weighted_rows_grad", "n17_c65_t5_weights",
     Make<WeightedRowsGradOverwritesWeights>},
};

INSTANTIATE_TEST_SUITE_P(Layers, OpFaultTest, testing::ValuesIn(kLayerFaults), NameOfFault);

}  // namespace
}  // namespace retort
