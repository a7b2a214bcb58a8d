// SPDX-License-Identifier: Apache-2.0
// The differentiable operations, one file each in autograd/ops/. Letters as in docs/notation.md.
//
// Every op checks its shapes, computes through context.backend, and records its backward when the
// context has a tape and an input needs a gradient. Without a tape it only computes. A frozen
// weight is borrowed and must outlive the tape's Run(); everything else the op needs is retained.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "autograd/tape.h"

namespace retort::ops {

// a, b, out [T,C]: a + b
Var Add(Context& context, const Var& a, const Var& b);

// x [T,C], bias [C]: x[t,:] + bias
Var AddBias(Context& context, const Var& x, const Var& bias);

// x: factor * x
Var Scale(Context& context, const Var& x, float factor);

// Splits the columns of x [T,M] into consecutive parts[i] [T,widths[i]]. The widths must sum to M.
void Split(Context& context, const Var& x, std::span<const int64_t> widths, std::span<Var> parts);
// The columns of parts [T,N_i] beside each other: [T, sum of N_i].
Var Join(Context& context, std::initializer_list<const Var*> parts);
// The same values in another shape of as many elements.
Var Reshape(Context& context, const Var& x, const Shape& shape);
// x [T,C] -> [N,C]: row rows[i] of x, rows i32 [N]. A row may be selected more than once.
Var Gather(Context& context, const Var& x, const Tensor& rows);

// An adapter beside a weight (LoRA, arXiv 2106.09685): a [R,in], b [out,R].
struct LowRank {
  Var a, b;
  float scale = 1;   // model/adapter.h: LoraScale
  DropoutMask mask;  // on the adapter's input only; rate 0: none
};

// out [T,C]: row ids[t] of the table [V,C], ids i32 [T]. A frozen table gets no gradient, and may
// have an adapter (a [R,C], b [V,R], no dropout) whose gradient is computed; a trained one (Var)
// gets its own.
Var Embedding(Context& context, const PreparedWeight& table, const Tensor& ids,
              const LowRank* adapter = nullptr);
Var Embedding(Context& context, const Var& table, const Tensor& ids);

// x with the rows rows[i] replaced by those of part [N,C], or the columns columns[i] by those of
// part [T,N]; i32 [N], each named once. In place: x must not be used elsewhere.
Var ReplaceRows(Context& context, const Var& x, const Var& part, const Tensor& rows);
Var ReplaceColumns(Context& context, const Var& x, const Var& part, const Tensor& columns);

// y[t,c] = x[t,c] * size[c] / norms[c]; size, norms [C]. norms are constants (DoRA's magnitudes).
Var Resize(Context& context, const Var& x, const Var& size, const Tensor& norms);

// x += noise, in place: x must not be used elsewhere. The gradient is unchanged.
void AddNoise(Context& context, Var& x, const UniformNoise& noise);

// x / sqrt(mean(x^2) + epsilon) * gain, over each run of `width` values of x [T,N*width]: gain
// [width], or [N,width] for a gain of each run (each head).
Var RmsNorm(Context& context, const Var& x, const Var& gain, float epsilon, int64_t width);
// Each run of `width` values of x less its mean.
Var Center(Context& context, const Var& x, int64_t width);

// x [T,in]; w [out,in]; bias [out] or empty: y = x w^T + bias + scale * drop(x) a^T b^T.
Var Linear(Context& context, const Var& x, const PreparedWeight& w, const Var& bias = {},
           const LowRank* adapter = nullptr);
// Several frozen layers over the same x: y[i] = Linear(context, x, *layers[i].w, ...).
struct FrozenLayer {
  const PreparedWeight* w;
  Var bias;
  const LowRank* adapter = nullptr;
};
void Linears(Context& context, const Var& x, std::span<const FrozenLayer> layers, std::span<Var> y);
// Linear with a trained weight.
Var Linear(Context& context, const Var& x, const Var& w, const Var& bias = {});

// Angles of the batch's positions: cos, sin [T,n], with n angles per head, 2 n <= D. Shared by all
// layers.
struct RotaryAngles {
  Tensor cos, sin;
};
// x [T,N*D] of N heads; the first 2 n values of each head are rotated by the angles
// (Backend::Rotary).
Var Rotary(Context& context, const Var& x, const RotaryAngles& angles, int heads,
           RotaryPairs pairs = RotaryPairs::kHalves);

// q [T,H*D]; keys, values [rows,K*D] -> [T,H*D]. In training, keys and values are those of the
// batch; in the runner they are the cache's pages [pages,K,P,D] and have no gradient.
Var Attention(Context& context, const AttentionShape& shape,
              const std::shared_ptr<const AttentionPlan>& plan, const Var& q, const Var& keys,
              const Var& values);

// gate, up [T,F]: f(gate) * up
Var GatedActivation(Context& context, Activation activation, const Var& gate, const Var& up);
// f(x)
Var Activate(Context& context, Activation activation, const Var& x);

// A mixture of experts. logits [T,E] -> the experts of each token, best first, and their weights
// (RouteRule).
struct Routing {
  Tensor experts;  // i32 [T,used]
  Var weights;     // [T,used]
};
Routing Route(Context& context, const Var& logits, const RouteRule& rule);
// One expert's output y [N,C] for the tokens rows[i]; N may be 0. places[i] is the index of the
// corresponding weight in weights [T,used], flattened row by row.
struct ExpertRows {
  Var y;
  Tensor rows, places;  // i32 [N]
};
// out [tokens,C]: out[rows[i]] is the sum over all parts of weights[places[i]] * y[i]. At least one
// part is required.
Var Combine(Context& context, int64_t tokens, std::vector<ExpertRows> parts, const Var& weights);

// Runs body(x) without saving intermediate values and reruns it in the backward pass. The body must
// compute the same result both times.
using Body = std::function<Var(Context& context, const Var& x)>;
Var Checkpoint(Context& context, const Var& x, const Body& body);

// Transforms the head's raw logits z to cap(scale z); cap(z) = soft_cap tanh(z / soft_cap) if
// soft_cap > 0 (Gemma 2), else z.
struct HeadTransform {
  float scale = 1, soft_cap = 0;
};
void TransformLogits(Backend& backend, const HeadTransform& transform, Tensor& logits);

// The head and a loss over its logits, in chunks of tokens: the full logits [N,V] are never stored.
//
// x [T,C]; rows i32 [N]: the tokens that carry loss; head [V,C]. For each chunk `loss` receives the
// transformed logits of rows[begin ... begin + n) and fills losses f64 [n]; with a tape it also
// overwrites the logits with the gradient of the whole objective with respect to them, so it must
// include the normaliser. Returns the losses, f64 [N].
using LogitsLoss = std::function<void(Backend& backend, int64_t begin, Tensor& logits,
                                      Tensor& losses, bool want_gradient)>;
Tensor HeadLoss(Context& context, const Var& x, const Tensor& rows, const PreparedWeight& head,
                const LogitsLoss& loss, const HeadTransform& transform = {});
Tensor HeadLoss(Context& context, const Var& x, const Tensor& rows, const Var& head,
                const LogitsLoss& loss, const HeadTransform& transform = {});
// A head made of ops, which gives raw logits [n,V] for a chunk [n,C]. No op in it may save its
// output. What it trains receives its gradient immediately, x when the tape runs.
Tensor HeadLoss(Context& context, const Var& x, const Tensor& rows, int64_t vocab, const Body& head,
                const LogitsLoss& loss, const HeadTransform& transform = {});

// The losses -log softmax(logits)[target]. The objective weights each loss by its own scale, or all
// by one scale. targets i32 [N], scales f32 [N]. smoothing: LossKernels::CrossEntropy.
LogitsLoss CrossEntropy(Tensor targets, Tensor scales);
LogitsLoss CrossEntropy(Tensor targets, float scale, float smoothing = 0);

// Each token's loss is ce_weight * CE + kd_weight * divergence (tensor/distillation.h).
struct DistillObjective {
  DistillSettings settings;
  Tensor targets;               // i32 [N]
  Tensor ce_weight, kd_weight;  // f32 [N]
};
// Unweighted sums over tokens, f64 [1] each. An empty tensor: the sum is not computed.
struct DistillSums {
  Tensor ce, kd;
};
// Returns a teacher's logits [count,U] of the tokens begin ... begin + count - 1. The loss may
// overwrite them.
using TeacherLogits = std::function<Tensor(int64_t begin, int64_t count)>;

// Distillation from a teacher's logits, requested chunk by chunk, or from its most probable
// outcomes. The objective weights each loss by `scale`. Results are added to `sums`.
LogitsLoss Distill(DistillObjective objective, float scale, TeacherLogits teacher,
                   DistillSums sums = {});
LogitsLoss DistillTop(DistillObjective objective, float scale, TopOutcomes teacher,
                      DistillSums sums = {});

// Distance between a student's hidden states, mapped by a learned projection P, and its teacher's.
//
// x [T,C]; rows i32 [N]: the tokens compared; teacher [N,D]: the teacher's states of those tokens,
// treated as constants; projection [D,C]: y = x[rows] P^T. Returns LossKernels::HiddenDistance(y,
// teacher), f64 [N]. Their sum times `scale` is added to the objective; P receives its gradient
// immediately, x when the tape runs.
Tensor HiddenLoss(Context& context, const Var& x, const Tensor& rows, const Tensor& teacher,
                  const Var& projection, HiddenLossKind kind, float scale);

}  // namespace retort::ops
