// SPDX-License-Identifier: Apache-2.0
// The kernels, as one interface that every device implements: tensor/cpu (f32, fast), tensor/cuda,
// tensor/reference (f64, plain loops: what the others are compared with). A caller never knows
// which one it has.
//
// Conventions. T tokens, C model width, H query heads, K key/value heads, D a head's width, F
// feed-forward width, V vocabulary, R adapter rank (docs/notation.md). Activations, gradients,
// gains and biases have the backend's activation type A (f32; the reference's f64) and are
// row-major and contiguous. Outputs are allocated by the caller. "+=" in a contract means that the
// kernel adds to what is there. Sizes that do not fit are bugs (RETORT_CHECK). Results do not
// depend on the number of threads. Not thread-safe: one caller at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/threads.h"
#include "tensor/distillation.h"
#include "tensor/tensor.h"
#include "tensor/weight.h"

namespace retort {

// What the products of activations with weights are computed in. kInt8 quantises activations in
// blocks of 32 for block formats (Q8_0, Q4_0) in LinearForward(s); other formats fall back to bf16
// where that is faster (CpuPrefersBf16), else f32.
enum class Compute : uint8_t { kF32, kBF16, kInt8 };
std::string_view NameOf(Compute compute);

// One run of consecutive queries among a batch's tokens and the keys it may see: a row of a
// training batch, or one stream of the runner. Query i stands at position first_position + i and
// sees keys 0 ... first_position + i (with a window W: the last W of them, itself included).
// Keys and values lie in blocks of layout.block_size rows; key p is row
// block_rows[first_block + p / block_size] + p % block_size. Rows lie in a tensor [rows, K*D], or in
// pages [pages, K, P, D], where row r is row r % P of page r / P for each head: a head's keys follow
// each other, so that one query reads them as a stream. There a block is a page, block_size = P.
struct AttentionRun {
  int32_t first_query;  // index among the batch's tokens
  int32_t queries;
  int32_t first_position;
  int32_t first_block;  // index into block_rows
};
struct AttentionLayout {
  std::vector<AttentionRun> runs;
  std::vector<int32_t> block_rows;
  int32_t block_size = 1;
};

// One layer's attention. A score is s = scale * q.k. With a soft cap c > 0 it becomes c * tanh(s / c)
// before keys are masked (Gemma 2, arXiv 2408.00118).
struct AttentionShape {
  int heads, kv_heads, head_dim;  // H, K, D; H is a multiple of K
  float scale;                    // usually 1 / sqrt(D)
  float soft_cap = 0;             // 0: none
  int window = 0;                 // 0: none
};

// The activation f of a gated feed-forward layer, y = f(gate) * up.
enum class Activation : uint8_t {
  kSilu,      // z / (1 + exp(-z))
  kGelu,      // z Phi(z), Phi(z) = (1 + erf(z / sqrt(2))) / 2
  kGeluTanh,  // z (1 + tanh(u)) / 2, u = sqrt(2 / pi) (z + 0.044715 z^3): Hugging Face's gelu_pytorch_tanh
  kRelu2,     // max(z, 0)^2
};

// Which values of a head are turned together by angle i of n: (x[i], x[i + n]) as Hugging Face stores
// Llama, or (x[2i], x[2i + 1]) as the original does.
enum class RotaryPairs : uint8_t { kHalves, kNeighbours };

// How a router chooses among E experts: softmax over all of them, then the `used` most probable ones; of
// equal ones the lower index. An expert's weight is its probability, divided by the sum of the chosen ones'
// with `renormalise`.
struct RouteRule {
  int used = 1;
  bool renormalise = false;
};

// Where a dropout mask comes from: element (t, c) is kept iff word c % 4 of
// Philox({row_token[t], c / 4, 0, 0}, MakeKey(seed, RandomUse::kDropout, row_index[t]))
// is >= rate * 2^32; what is kept is scaled by 1 / (1 - rate).
struct DropoutMask {
  float rate = 0;
  uint64_t seed = 0;  // mixed from the run's seed, the step and the place in the model
  std::span<const int64_t> row_index;  // [T] the row's index in the data order
  std::span<const int32_t> row_token;  // [T] the token's index in its row
};

// An adapter beside a weight: + u b^T, u = scale * input a^T. Without one, a is empty.
struct AdapterProduct {
  Tensor a, b;       // [R,in], [out,R]
  float scale = 0;
  Tensor input;      // [T,in]: x, or x after dropout
  Tensor u;          // [T,R]: written by the forward product, read by the gradient
};
// One of several products with the same x: y = x w^T, and the adapter's.
struct LinearProduct {
  const Weight* w;
  Tensor y;  // [T,out]
  AdapterProduct adapter;
  bool precise = false;  // kInt8: x in 15 bits, for twice the work, where what comes of y is sensitive to it
};
// The gradient of one of several products with the same x.
struct LinearGradient {
  const Weight* w;
  Tensor dy;  // [T,out]
  AdapterProduct adapter;
  Tensor da, db;   // of the adapter's matrices: +=
  Tensor dropped;  // [T,in]: where the adapter's input was not x itself, its gradient; else empty
};

// How far a student's hidden state is from its teacher's.
enum class HiddenLossKind : uint8_t { kMse, kCosine };

struct AdamWStep {
  float lr, beta1, beta2, epsilon, weight_decay;
  int64_t step;      // from 1
  float grad_scale;  // multiplies the gradient first (clipping)
};

class Backend {
 public:
  virtual ~Backend() = default;

  // ---- identity and memory ----
  virtual std::string name() const = 0;  // "cpu"
  virtual DType activation_type() const = 0;
  virtual Memory& memory() = 0;
  // The host's threads, for the caller's own work between kernels.
  virtual ThreadPool& pool() = 0;
  int threads() { return pool().threads(); }

  Tensor New(Shape shape) { return Tensor::Make(memory(), shape, activation_type()); }
  Tensor New(Shape shape, DType type) { return Tensor::Make(memory(), shape, type); }
  Tensor Zeros(Shape shape);
  // Host floats to an activation tensor and back.
  virtual Tensor FromFloats(std::span<const float> values, Shape shape) = 0;
  virtual void CopyFloats(const Tensor& x, std::span<float> out) = 0;
  std::vector<float> ToFloats(const Tensor& x) {
    std::vector<float> out(static_cast<size_t>(x.elements()));
    CopyFloats(x, out);
    return out;
  }
  // The elements of an i32 tensor.
  virtual void CopyInts(const Tensor& x, std::span<int32_t> out);
  // Doubles to an activation tensor and back. Only the reference keeps them exactly.
  virtual Tensor FromDoubles(std::span<const double> values, Shape shape) = 0;
  virtual std::vector<double> ToDoubles(const Tensor& x) = 0;

  // The same values, where and as LinearForward(s) read them fastest, in this backend's memory: for weights that are
  // used for many tokens. Every backend reads every layout.
  virtual Weight Resident(const Weight& w);

  // ---- elementwise ----
  virtual void Fill(Tensor& x, float value) = 0;
  virtual void Add(const Tensor& a, const Tensor& b, Tensor& out) = 0;  // out = a + b
  virtual void Accumulate(const Tensor& x, Tensor& sum) = 0;            // sum += x
  virtual void Scale(Tensor& x, float factor) = 0;                      // x *= factor
  virtual void AddBias(Tensor& y, const Tensor& bias) = 0;              // y[t,:] += bias[:]
  virtual void BiasGrad(const Tensor& dy, Tensor& dbias) = 0;           // dbias[c] += sum_t dy[t,c]
  virtual void Dropout(const Tensor& x, const DropoutMask& mask,
                       Tensor& y) = 0;  // y = x * m / (1-rate)
  virtual void DropoutGrad(const Tensor& dy, const DropoutMask& mask,
                           Tensor& dx) = 0;  // dx += dy * m / (1-rate)
  // gate, up, y [T,F]: y = f(gate) * up; y may be gate or up
  virtual void GatedActivation(Activation activation, const Tensor& gate, const Tensor& up,
                               Tensor& y) = 0;
  // dgate = dy * up * f'(gate), dup = dy * f(gate): written, not added
  virtual void GatedActivationGrad(Activation activation, const Tensor& dy, const Tensor& gate,
                                   const Tensor& up, Tensor& dgate, Tensor& dup) = 0;
  // x = cap * tanh(x / cap), cap > 0
  virtual void SoftCap(Tensor& x, float cap) = 0;
  // capped: what SoftCap made. dx *= 1 - (capped / cap)^2
  virtual void SoftCapGrad(const Tensor& capped, float cap, Tensor& dx) = 0;

  // ---- rows ----
  // out[i,:] = table row ids[i], decoded. ids in [0, rows).
  virtual void EmbedRows(const Weight& table, std::span<const int32_t> ids, Tensor& out) = 0;
  virtual void GatherRows(const Tensor& x, std::span<const int32_t> rows, Tensor& out) = 0;
  virtual void ScatterAddRows(const Tensor& x, std::span<const int32_t> rows,
                              Tensor& out) = 0;  // out[rows[i],:] += x[i,:]
  // x [T,M], y [T,N], begin + N <= M: y[t,:] = x[t, begin ... begin + N)
  virtual void CopyColumns(const Tensor& x, int64_t begin, Tensor& y) = 0;
  // dy [T,N], dx [T,M], begin + N <= M: dx[t, begin + c] += dy[t,c]
  virtual void AddColumns(const Tensor& dy, int64_t begin, Tensor& dx) = 0;

  // ---- mixtures of experts ----
  // logits, probabilities [T,E]; experts [T,used] in i32, by falling probability; weights [T,used].
  // 1 <= used <= E.
  virtual void Route(const RouteRule& rule, const Tensor& logits, Tensor& probabilities,
                     Tensor& experts, Tensor& weights) = 0;
  // dweights [T,used]; dlogits [T,E] +=. The choice itself has no gradient.
  virtual void RouteGrad(const RouteRule& rule, const Tensor& dweights,
                         const Tensor& probabilities, const Tensor& experts, Tensor& dlogits) = 0;
  // x [N,C]; rows, places [N]; weights: any shape, indexed flat: out[rows[i],:] += weights[places[i]] * x[i,:].
  // A row may be named more than once.
  virtual void AddWeightedRows(const Tensor& x, const Tensor& weights,
                               std::span<const int32_t> rows, std::span<const int32_t> places,
                               Tensor& out) = 0;
  // dx[i,:] = weights[places[i]] * dout[rows[i],:], written; where dweights is given,
  // dweights[places[i]] += dout[rows[i],:] . x[i,:]
  virtual void WeightedRowsGrad(const Tensor& dout, const Tensor& x, const Tensor& weights,
                                std::span<const int32_t> rows, std::span<const int32_t> places,
                                Tensor& dx, Tensor* dweights) = 0;

  // ---- normalisation and rotary embedding ----
  // x, y [N,C]; gain [C]; inv_rms [N]: y = x * r * gain, r = 1 / sqrt(mean(x^2) + epsilon)
  virtual void RmsNorm(const Tensor& x, const Tensor& gain, float epsilon, Tensor& y,
                       Tensor& inv_rms) = 0;
  // dx +=; dgain [C] += when not null
  virtual void RmsNormGrad(const Tensor& dy, const Tensor& x, const Tensor& gain,
                           const Tensor& inv_rms, Tensor& dx, Tensor* dgain) = 0;
  // cos, sin [T,n] of positions[t] * inv_freq[i] * 1 (angles taken in double), times `amplitude`.
  virtual void RotaryTable(std::span<const int32_t> positions, std::span<const double> inv_freq,
                           double amplitude, Tensor& cos, Tensor& sin) = 0;
  // x, y [T, heads * D], may be the same tensor; cos, sin [T,n], 2 n <= D. Each head's pairs (a, b) among
  // its first 2 n values are turned by their angles: a cos - b sin, b cos + a sin. The other D - 2 n
  // values are copied. inverse: by minus the angles, which is the gradient.
  virtual void Rotary(const Tensor& x, const Tensor& cos, const Tensor& sin, int heads,
                      bool inverse, Tensor& y, RotaryPairs pairs = RotaryPairs::kHalves) = 0;

  // ---- products ----
  // x [T,in]; w [out,in]; y [T,out]: y = x w^T
  virtual void LinearForward(const Tensor& x, const Weight& w, Tensor& y) = 0;
  // Several products with the same x, one at least, and their adapters.
  virtual void LinearForwards(const Tensor& x, std::span<LinearProduct> products);
  // A gated feed-forward layer of which nothing but y is kept: y = h down^T, h = f(x gate^T) * (x up^T).
  // x [T,in]; gate, up [F,in]; down [out,F]; y [T,out]. precise: of each product, as LinearProduct's.
  virtual void FeedForward(Activation activation, const Tensor& x, const Weight& gate, const Weight& up,
                           const Weight& down, bool precise, Tensor& y);
  // dy [T,out]; dx [T,in]: dx += dy w
  virtual void LinearInputGrad(const Tensor& dy, const Weight& w, Tensor& dx) = 0;
  // Of LinearForwards, with du = scale * dy b: db += dy^T u, da += du^T input, and, where dx is given,
  // dx (+= with `add`) the sum over the layers of dy w + du a; or `dropped` = du a instead of the latter.
  virtual void LinearGrads(std::span<LinearGradient> layers, Tensor* dx, bool add);
  // Dense: c [M,N] = alpha * op(a) op(b) + beta * c. op transposes when asked.
  // In f32 (the reference: f64) whatever the compute type.
  virtual void Gemm(bool transpose_a, bool transpose_b, float alpha, const Tensor& a,
                    const Tensor& b, float beta, Tensor& c) = 0;

  // ---- attention ----
  // q, out [T,H*D]; keys, values [rows,K*D] or pages, in A, f16 or bf16; log_sum [T,H]: natural log of the sum of
  // exp(score), which the backward needs. Query head h reads key head h / (H/K).
  // Tokens that no run covers are left alone.
  virtual void Attention(const AttentionShape& shape, const AttentionLayout& layout,
                         const Tensor& q, const Tensor& keys, const Tensor& values, Tensor& out,
                         Tensor& log_sum) = 0;
  // dq, dkeys, dvalues +=. Keys and values [rows,K*D] in A. Never T x T in memory.
  virtual void AttentionGrad(const AttentionShape& shape, const AttentionLayout& layout,
                             const Tensor& dout, const Tensor& q, const Tensor& keys,
                             const Tensor& values, const Tensor& out, const Tensor& log_sum,
                             Tensor& dq, Tensor& dkeys, Tensor& dvalues) = 0;
  // x [T,K*D] to rows[t] of pages [pages,K,P,D], converted to their type (A, f16 or bf16).
  virtual void StoreRows(const Tensor& x, std::span<const int32_t> rows, Tensor& pages) = 0;

  // ---- losses over logits ----
  // logits [N,V]; targets [N]: losses[i] = log sum exp(logits[i]) - logits[i][targets[i]]. When
  // gradient_scale is not 0 the logits are overwritten by gradient_scale * d losses[i] / d logits.
  // Returns nothing whole: losses are host doubles.
  virtual void CrossEntropy(Tensor& logits, std::span<const int32_t> targets, float gradient_scale,
                            std::span<double> losses) = 0;

  // logits [N,V], teacher [N,U], both as they left their heads; teacher is used up. Fills tokens.ce and tokens.kd, and when
  // `gradient` overwrites the logits with the objective's gradient (tensor/distillation.h).
  virtual void Distill(const DistillSettings& settings, const DistillTokens& tokens, bool gradient,
                       Tensor& logits, Tensor& teacher) = 0;
  // The same against the most probable outcomes alone. Not for kSorted.
  virtual void DistillTop(const DistillSettings& settings, const DistillTokens& tokens,
                          bool gradient, Tensor& logits, const TopOutcomes& teacher) = 0;

  // ---- losses over hidden states ----
  // y, target [N,D]. mse: losses[i] = mean_d (y[i][d] - t[i][d])^2; cosine: losses[i] =
  // 1 - y[i].t[i] / (|y[i]| |t[i]|), which is 1 and flat where either is zero. When gradient_scale
  // is not 0, y is overwritten by gradient_scale * d losses[i] / d y.
  virtual void HiddenDistance(Tensor& y, const Tensor& target, HiddenLossKind kind,
                              float gradient_scale, std::span<double> losses) = 0;

  // ---- optimiser ----
  virtual double SumSquares(const Tensor& x) = 0;  // in double, in a fixed order
  // parameter, gradient, m, v of one length. The decoupled rule:
  // p *= 1 - lr*wd; p -= lr * sqrt(1-b2^t)/(1-b1^t) * m / (sqrt(v) + eps*sqrt(1-b2^t))
  virtual void AdamW(const AdamWStep& step, Tensor& parameter, const Tensor& gradient, Tensor& m,
                     Tensor& v) = 0;
};

struct BackendOptions {
  std::string device = "auto";  // auto | cpu | cuda[:N]
  int threads = 0;              // 0: all this process may use
  Compute compute = Compute::kF32;
};

// Throws Error{kInput} for an unknown device, Error{kFailure} "built without CUDA" for a missing one.
std::unique_ptr<Backend> MakeBackend(const BackendOptions& options);
std::unique_ptr<Backend> MakeCpuBackend(int threads, Compute compute);
std::unique_ptr<Backend> MakeReferenceBackend();  // f64, one thread, plain loops
std::unique_ptr<Backend> MakeCudaBackend(int index, Compute compute);

// Whether the processor multiplies bf16 natively (AVX512_BF16 or AMX),
bool CpuHasBf16();
// and whether that is faster than f32, which is what "auto" asks: with AMX, and on AMD's processors.
// Intel's AVX512_BF16 without AMX takes as long for a pair of products as for four in f32.
bool CpuPrefersBf16();

}  // namespace retort
