// SPDX-License-Identifier: Apache-2.0
// The CUDA backend, f32 activations. Member functions are defined in files by topic, as the
// interfaces of tensor/kernels/ are: elementwise.cu, rows.cu, ... The contracts are those of
// Backend. Results have the same bits for the same device and build: no kernel adds floating-point
// numbers by atomics, and all sums have a fixed order.
//
// One queue runs kernels and copies. Copies are staged in pinned memory (staging.h), so that the
// host goes on while they are under way.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "tensor/backend.h"
#include "tensor/cuda/blas.h"
#include "tensor/cuda/cuda_memory.h"
#include "tensor/cuda/staging.h"

namespace retort::cuda {

class CudaPlan;

class CudaBackend final : public Backend {
 public:
  // compute: kF32 multiplies in f32, kBF16 and kAuto in bf16 with f32 sums. Throws Error{kFailure}
  // if there is no such device.
  // threads: of the host's pool.
  CudaBackend(int index, int threads, Compute compute);
  ~CudaBackend() override;

  std::string name() const override { return "cuda"; }
  DType activation_type() const override { return DType::kF32; }
  Memory& memory() override { return *memory_; }
  Memory& host_memory() override { return *host_memory_; }
  ThreadPool& pool() override { return pool_; }
  void Wait(Event event) override;
  PreparedWeight Prepare(const Weight& w, const WeightUse& use) override;

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
  void StoreRows(const Tensor& x, const Tensor& rows, Tensor& pages) override;

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
  void LinearInputGrad(const Tensor& dy, const PreparedWeight& w, Tensor& dx) override;
  void AdaptedNorms(const PreparedWeight& w, const Tensor& a, const Tensor& b, float scale,
                    Tensor& norms) override;
  void Gemm(bool transpose_a, bool transpose_b, float alpha, const Tensor& a, const Tensor& b,
            float beta, Tensor& c) override;

  std::shared_ptr<const AttentionPlan> Plan(const AttentionLayout& layout) override;
  void Attention(const AttentionShape& shape, const AttentionPlan& plan, const Tensor& q,
                 const Tensor& keys, const Tensor& values, Tensor& out, Tensor& log_sum) override;
  void AttentionGrad(const AttentionShape& shape, const AttentionPlan& plan, const Tensor& dout,
                     const Tensor& q, const Tensor& keys, const Tensor& values, const Tensor& out,
                     const Tensor& log_sum, Tensor& dq, Tensor& dkeys, Tensor& dvalues) override;

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
  struct Arrival {  // a download under way
    uint64_t number;
    std::unique_ptr<Staging::Piece> piece;
    std::span<std::byte> out;
  };

  DeviceFacts facts_;
  Compute compute_;
  ThreadPool pool_;
  std::shared_ptr<Memory> host_memory_ = MakeHostMemory();
  std::shared_ptr<Queue> queue_;
  std::unique_ptr<CudaMemory> memory_;
  std::unique_ptr<Blas> blas_;
  Staging staging_;
  std::shared_ptr<CudaPlan> plan_;  // the last one, used again when nobody else holds it
  std::deque<Arrival> arrivals_;
  uint64_t downloads_ = 0;
};

}  // namespace retort::cuda
