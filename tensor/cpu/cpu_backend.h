// SPDX-License-Identifier: Apache-2.0
// The CPU backend, f32. Member functions are defined in files by topic: prepare.cc (weights and
// their numeric policy), linear.cc (products with weights), gemm.cc (dense products),
// elementwise.cc, attention.cc and so on. The contracts are those of Backend.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/threads.h"
#include "tensor/backend.h"
#include "tensor/cpu/simd.h"
#include "tensor/host_plan.h"

namespace retort {

class CpuProducts;  // tensor/cpu/products.h: state that products keep between calls
struct WeightProduct;
struct Arithmetic;

class CpuBackend final : public Backend {
 public:
  // threads >= 1. With PoolWork::kSkipped the backend computes nothing and copies indices
  // alone, downloads are zeros, but it allocates exactly what it otherwise would: it counts memory.
  CpuBackend(int threads, Compute compute, PoolWork work = PoolWork::kDone);
  ~CpuBackend() override;

  std::string name() const override { return "cpu"; }
  DType activation_type() const override { return DType::kF32; }
  Memory& memory() override { return *memory_; }
  ThreadPool& pool() override { return pool_; }
  Compute compute() const { return compute_; }
  // The instruction set of our own kernels. Tests set the narrower ones in turn.
  Isa isa() const { return isa_; }
  void set_isa(Isa isa);

  void Wait(Event) override {}  // kernels are done when their call returns
  PreparedWeight Prepare(const Weight& w, const WeightUse& use) override;
  std::shared_ptr<const AttentionPlan> Plan(const AttentionLayout& layout) override {
    return planner_.Plan(layout);
  }

  void Fill(Tensor& x, float value) override;
  void Add(const Tensor& a, const Tensor& b, Tensor& out) override;
  void Accumulate(const Tensor& x, Tensor& sum) override;
  void Scale(Tensor& x, float factor) override;
  void AddBias(Tensor& y, const Tensor& bias) override;
  void BiasGrad(const Tensor& dy, Tensor& dbias) override;
  void Dropout(const Tensor& x, const DropoutMask& mask, Tensor& y) override;
  void DropoutGrad(const Tensor& dy, const DropoutMask& mask, Tensor& dx) override;
  void AddNoise(Tensor& x, const UniformNoise& noise) override;
  void GatedActivation(Activation activation, const Tensor& gate, const Tensor& up,
                       Tensor& y) override;
  void GatedActivationGrad(Activation activation, const Tensor& dy, const Tensor& gate,
                           const Tensor& up, Tensor& dgate, Tensor& dup) override;
  void SoftCap(Tensor& x, float cap) override;
  void SoftCapGrad(const Tensor& capped, float cap, Tensor& dx) override;

  void EmbedRows(const PreparedWeight& table, const Tensor& ids, Tensor& out) override;
  void GatherRows(const Tensor& x, const Tensor& rows, Tensor& out) override;
  void ScatterAddRows(const Tensor& x, const Tensor& rows, Tensor& out) override;
  void PutRows(const Tensor& x, const Tensor& rows, Tensor& out) override;
  void PutColumns(const Tensor& x, const Tensor& columns, Tensor& out) override;
  void TakeColumns(Tensor& y, const Tensor& columns, Tensor& x) override;
  void CopyColumns(const Tensor& x, int64_t begin, Tensor& y) override;
  void AddColumns(const Tensor& dy, int64_t begin, Tensor& dx) override;

  void Route(const RouteRule& rule, const Tensor& logits, Tensor& probabilities, Tensor& experts,
             Tensor& weights) override;
  void RouteGrad(const RouteRule& rule, const Tensor& dweights, const Tensor& probabilities,
                 const Tensor& experts, Tensor& dlogits) override;
  void AddWeightedRows(const Tensor& x, const Tensor& weights, const Tensor& rows,
                       const Tensor& places, Tensor& out) override;
  void WeightedRowsGrad(const Tensor& dout, const Tensor& x, const Tensor& weights,
                        const Tensor& rows, const Tensor& places, Tensor& dx,
                        Tensor* dweights) override;

  void RmsNorm(const Tensor& x, const Tensor& gain, float epsilon, Tensor& y,
               Tensor& inv_rms) override;
  void RmsNormGrad(const Tensor& dy, const Tensor& x, const Tensor& gain, const Tensor& inv_rms,
                   Tensor& dx, Tensor* dgain) override;
  void CenterRows(const Tensor& x, bool accumulate, Tensor& y) override;
  void ResizeColumns(const Tensor& x, const Tensor& size, const Tensor& norms, Tensor& y) override;
  void ResizeColumnsGrad(const Tensor& dy, const Tensor& x, const Tensor& norms,
                         Tensor& dsize) override;
  void RotaryTable(const Tensor& positions, const Tensor& inv_freq, double amplitude, Tensor& cos,
                   Tensor& sin) override;
  void Rotary(const Tensor& x, const Tensor& cos, const Tensor& sin, int heads, bool inverse,
              Tensor& y, RotaryPairs pairs = RotaryPairs::kHalves) override;

  void LinearForward(const Tensor& x, const PreparedWeight& w, Tensor& y) override;
  void LinearForwards(const Tensor& x, std::span<LinearProduct> products) override;
  void AddAdapter(const PreparedWeight& w, AdapterProduct& adapter, Tensor& y) override;
  void FeedForward(Activation activation, const Tensor& x, const PreparedWeight& gate,
                   const PreparedWeight& up, const PreparedWeight& down, Tensor& y) override;
  void LinearInputGrad(const Tensor& dy, const PreparedWeight& w, Tensor& dx) override;
  void LinearGrads(std::span<LinearGradient> layers, Tensor* dx, bool add) override;
  void AdaptedNorms(const PreparedWeight& w, const Tensor& a, const Tensor& b, float scale,
                    Tensor& norms) override;
  void Gemm(bool transpose_a, bool transpose_b, float alpha, const Tensor& a, const Tensor& b,
            float beta, Tensor& c) override;

  void Attention(const AttentionShape& shape, const AttentionPlan& plan, const Tensor& q,
                 const Tensor& keys, const Tensor& values, Tensor& out, Tensor& log_sum) override;
  void AttentionGrad(const AttentionShape& shape, const AttentionPlan& plan, const Tensor& dout,
                     const Tensor& q, const Tensor& keys, const Tensor& values, const Tensor& out,
                     const Tensor& log_sum, Tensor& dq, Tensor& dkeys, Tensor& dvalues) override;
  void StoreRows(const Tensor& x, const Tensor& rows, Tensor& pages) override;

  void CrossEntropy(Tensor& logits, const Tensor& targets, const Tensor& scales, float smoothing,
                    Tensor& losses) override;
  void Distill(const DistillSettings& settings, const DistillTokens& tokens, bool gradient,
               Tensor& logits, Tensor& teacher) override;
  void DistillTop(const DistillSettings& settings, const DistillTokens& tokens, bool gradient,
                  Tensor& logits, const TopOutcomes& teacher) override;

  void HiddenDistance(Tensor& y, const Tensor& target, HiddenLossKind kind, float gradient_scale,
                      Tensor& losses) override;
  void AddSum(const Tensor& x, double factor, Tensor& sum) override;

  void SumSquares(const Tensor& x, Tensor& sum) override;
  void ClipFactor(const Tensor& sum_squares, double limit, Tensor& factor) override;
  void AdamW(const AdamWStep& step, const Tensor& factor, Tensor& parameter, const Tensor& gradient,
             Tensor& m, Tensor& v) override;
  void AdamWBytes(const AdamWStep& step, const Tensor& factor, Tensor& parameter,
                  const Tensor& gradient, ByteMoment& m, ByteMoment& v) override;
  void Lion(const LionStep& step, const Tensor& factor, Tensor& parameter, const Tensor& gradient,
            Tensor& m) override;
  void Sgd(const SgdStep& step, const Tensor& factor, Tensor& parameter, const Tensor& gradient,
           Tensor& velocity) override;
  void Adafactor(const AdafactorStep& step, const Tensor& factor, Tensor& parameter,
                 const Tensor& gradient, Tensor& rows, Tensor& columns) override;

 protected:
  void UploadBytes(std::span<const std::byte> from, const Tensor& to) override;
  Event DownloadBytes(const Tensor& x, std::span<std::byte> out) override;

 private:
  struct TokenSum {  // c [M,N] += a^T b, a [T,M], b [T,N]
    Tensor a, b, c;
  };
  void AddTokenSums(std::span<const TokenSum> sums);
  void Forwards(const Tensor& x, std::span<WeightProduct> products);
  void PanelForwards(const float* x, int64_t rows, std::span<WeightProduct> products);
  void AddAdapters(std::span<WeightProduct> products);
  // The arithmetic of products with a weight of that format.
  Arithmetic ArithmeticOf(WeightFormat format, const WeightUse& use) const;

  std::shared_ptr<Memory> memory_ = MakeHostMemory();
  ThreadPool pool_;
  Compute compute_;
  bool strips_ = false;  // some weight is in strips: a runner's int8 model
  Isa isa_ = HostIsa();
  std::unique_ptr<CpuProducts> products_;
  HostPlanner planner_;
};

}  // namespace retort
