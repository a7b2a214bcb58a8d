// SPDX-License-Identifier: Apache-2.0
// Faults of attention kernels (op_faults.h).
#include <cmath>

#include "tests/tensor/op_faults.h"

namespace retort {
namespace {

struct AttentionWithoutWindow : Reference {
  void Attention(const AttentionShape& shape, const AttentionPlan& plan, const Tensor& q,
                 const Tensor& keys, const Tensor& values, Tensor& out, Tensor& log_sum) override {
    AttentionShape all = shape;
    all.window = 0;
    Reference::Attention(all, plan, q, keys, values, out, log_sum);
  }
};
struct AttentionOfTheLast256Keys : Reference {
  void Attention(const AttentionShape& shape, const AttentionPlan& plan, const Tensor& q,
                 const Tensor& keys, const Tensor& values, Tensor& out, Tensor& log_sum) override {
    AttentionShape last = shape;
    if (last.window == 0) last.window = 256;
    Reference::Attention(last, plan, q, keys, values, out, log_sum);
  }
};
struct AttentionClearsUncoveredTokens : Reference {
  void Attention(const AttentionShape& shape, const AttentionPlan& plan, const Tensor& q,
                 const Tensor& keys, const Tensor& values, Tensor& out, Tensor& log_sum) override {
    Fill(out, 0);
    Reference::Attention(shape, plan, q, keys, values, out, log_sum);
  }
};
struct AttentionInBaseTwo : Reference {
  void Attention(const AttentionShape& shape, const AttentionPlan& plan, const Tensor& q,
                 const Tensor& keys, const Tensor& values, Tensor& out, Tensor& log_sum) override {
    Reference::Attention(shape, plan, q, keys, values, out, log_sum);
    Scale(log_sum, 1.4426950408889634f);
  }
};
struct AttentionGradOfOneHead : Reference {
  void AttentionGrad(const AttentionShape& shape, const AttentionPlan& plan, const Tensor& dout,
                     const Tensor& q, const Tensor& keys, const Tensor& values, const Tensor& out,
                     const Tensor& log_sum, Tensor& dq, Tensor& dkeys, Tensor& dvalues) override {
    Tensor one = FromDoubles(ToDoubles(dout), dout.shape());
    for (int64_t i = 0; i < one.elements(); ++i) {
      const int64_t head = i % one.cols() / shape.head_dim;
      if (head % (shape.heads / shape.kv_heads) != 0) one.data<double>()[i] = 0;
    }
    Tensor ignored = New(dq.shape());
    Fill(ignored, 0);
    Reference::AttentionGrad(shape, plan, one, q, keys, values, out, log_sum, ignored, dkeys,
                             dvalues);
    Tensor ignored_keys = New(dkeys.shape()), ignored_values = New(dvalues.shape());
    Fill(ignored_keys, 0);
    Fill(ignored_values, 0);
    Reference::AttentionGrad(shape, plan, dout, q, keys, values, out, log_sum, dq, ignored_keys,
                             ignored_values);
  }
};
struct AttentionWithoutCap : Reference {
  void Attention(const AttentionShape& shape, const AttentionPlan& plan, const Tensor& q,
                 const Tensor& keys, const Tensor& values, Tensor& out, Tensor& log_sum) override {
    AttentionShape bare = shape;
    bare.soft_cap = 0;
    Reference::Attention(bare, plan, q, keys, values, out, log_sum);
  }
};
// scale * cap(q.k) instead of cap(scale * q.k).
struct AttentionCapsBeforeItScales : Reference {
  void Attention(const AttentionShape& shape, const AttentionPlan& plan, const Tensor& q,
                 const Tensor& keys, const Tensor& values, Tensor& out, Tensor& log_sum) override {
    AttentionShape early = shape;
    early.soft_cap *= shape.scale;
    Reference::Attention(early, plan, q, keys, values, out, log_sum);
  }
};
struct AttentionGradWithoutCap : Reference {
  void AttentionGrad(const AttentionShape& shape, const AttentionPlan& plan, const Tensor& dout,
                     const Tensor& q, const Tensor& keys, const Tensor& values, const Tensor& out,
                     const Tensor& log_sum, Tensor& dq, Tensor& dkeys, Tensor& dvalues) override {
    AttentionShape bare = shape;
    bare.soft_cap = 0;
    Reference::AttentionGrad(bare, plan, dout, q, keys, values, out, log_sum, dq, dkeys, dvalues);
  }
};
// Capped probabilities, but dS as if scores had not been capped. Of one head over one row alone.
struct AttentionGradWithoutTheCapsSlope : Reference {
  static double Dot(const Tensor& a, int64_t i, const Tensor& b, int64_t j) {
    double sum = 0;
    for (int64_t d = 0; d < a.cols(); ++d) {
      sum += a.data<double>()[i * a.cols() + d] * b.data<double>()[j * b.cols() + d];
    }
    return sum;
  }
  static void AddRow(double factor, const Tensor& x, int64_t from, Tensor& sum, int64_t to) {
    for (int64_t d = 0; d < x.cols(); ++d) {
      sum.data<double>()[to * x.cols() + d] += factor * x.data<double>()[from * x.cols() + d];
    }
  }
  void AttentionGrad(const AttentionShape& shape, const AttentionPlan& plan, const Tensor& dout,
                     const Tensor& q, const Tensor& keys, const Tensor& values, const Tensor& out,
                     const Tensor& log_sum, Tensor& dq, Tensor& dkeys, Tensor& dvalues) override {
    RETORT_CHECK(HostPlan::Of(plan).layout().runs.size() == 1 && shape.heads == 1 &&
                 shape.window == 0);
    const double cap = shape.soft_cap;
    for (int64_t t = 0; t < q.rows(); ++t) {
      for (int64_t k = 0; k <= t; ++k) {
        const double score = cap * std::tanh(shape.scale * Dot(q, t, keys, k) / cap);
        const double p = std::exp(score - log_sum.data<double>()[t]);
        const double ds = p * (Dot(dout, t, values, k) - Dot(dout, t, out, t));
        AddRow(p, dout, t, dvalues, k);
        AddRow(shape.scale * ds, keys, k, dq, t);
        AddRow(shape.scale * ds, q, t, dkeys, k);
      }
    }
  }
};

constexpr Fault kAttentionFaults[] = {
    {"AttentionWithoutWindow", "attention", "rows_gap_w7", Make<AttentionWithoutWindow>},
    {"AttentionOfTheLast256Keys", "attention", "decode_long", Make<AttentionOfTheLast256Keys>},
    {"AttentionClearsUncoveredTokens", "attention", "rows_gap_w7",
     Make<AttentionClearsUncoveredTokens>},
    {"AttentionInBaseTwo", "attention", "decode_h4", Make<AttentionInBaseTwo>},
    {"AttentionGradOfOneHead", "attention_grad", "rows_h4", Make<AttentionGradOfOneHead>},
    {"AttentionWithoutCap", "attention", "row17_h4_k2_d64_cap", Make<AttentionWithoutCap>},
    {"AttentionCapsBeforeItScales", "attention", "decode_h4_k2_d64_cap",
     Make<AttentionCapsBeforeItScales>},
    {"AttentionGradWithoutCap", "attention_grad", "row17_h4_k2_d64_cap",
     Make<AttentionGradWithoutCap>},
    {"AttentionGradWithoutTheCapsSlope", "attention_grad", "row17_h1_k1_d8_cap",
     Make<AttentionGradWithoutTheCapsSlope>},
};

INSTANTIATE_TEST_SUITE_P(Attention, OpFaultTest, testing::ValuesIn(kAttentionFaults), NameOfFault);

}  // namespace
}  // namespace retort
