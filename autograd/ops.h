// SPDX-License-Identifier: Apache-2.0
// The differentiable operations, one page each in autograd/ops/. Letters as in docs/notation.md.
//
// Every op checks its shapes, computes through context.backend, and records its backward when the
// context has a tape and an input wants a gradient. Without a tape it only computes. A frozen
// weight that an op is given must outlive the tape's Run(); all else it holds itself.
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

// x: factor * x
Var Scale(Context& context, const Var& x, float factor);

// x [T,M]: parts[i] [T,widths[i]] are its columns, one part behind the other. The widths add up to
// M.
void Split(Context& context, const Var& x, std::span<const int64_t> widths, std::span<Var> parts);
// x [T,C] -> [N,C]: row rows[i] of x, rows i32 [N]. A row may be named more than once.
Var Gather(Context& context, const Var& x, const Tensor& rows);

// out [T,C]: row ids[t] of the table [V,C], ids i32 [T]. A frozen table has no gradient; a trained
// one (Var) has.
Var Embedding(Context& context, const PreparedWeight& table, const Tensor& ids);
Var Embedding(Context& context, const Var& table, const Tensor& ids);

// x [T,C] with gain [C], or x [T,N*D] with gain [D] (each head apart): x / sqrt(mean(x^2) +
// epsilon) * gain
Var RmsNorm(Context& context, const Var& x, const Var& gain, float epsilon);

// An adapter beside a weight (LoRA, arXiv 2106.09685): a [R,in], b [out,R].
struct LowRank {
  Var a, b;
  float scale = 1;   // model/adapter.h: LoraScale
  DropoutMask mask;  // on the adapter's input only; rate 0: none
};

// x [T,in]; w [out,in]; bias [out] or empty: y = x w^T + bias + scale * drop(x) a^T b^T.
Var Linear(Context& context, const Var& x, const PreparedWeight& w, const Var& bias = {},
           const LowRank* adapter = nullptr);
// Several frozen layers over the same x, y[i] as Linear(context, x, *layers[i].w, ...) makes it.
struct FrozenLayer {
  const PreparedWeight* w;
  Var bias;
  const LowRank* adapter = nullptr;
};
void Linears(Context& context, const Var& x, std::span<const FrozenLayer> layers, std::span<Var> y);
// As Linear with a weight that is trained itself.
Var Linear(Context& context, const Var& x, const Var& w, const Var& bias = {});

// Angles of the batch's positions: cos, sin [T,n], n of them a head, 2 n <= D. Shared by all
// layers.
struct RotaryAngles {
  Tensor cos, sin;
};
// x [T,N*D] of N heads, the first 2 n values of each turned by the angles (Backend::Rotary).
Var Rotary(Context& context, const Var& x, const RotaryAngles& angles, int heads,
           RotaryPairs pairs = RotaryPairs::kHalves);

// q [T,H*D]; keys, values [rows,K*D] -> [T,H*D]. In training they are the batch's own; the runner's
// are its cache's pages [pages,K,P,D], without gradient.
Var Attention(Context& context, const AttentionShape& shape,
              const std::shared_ptr<const AttentionPlan>& plan, const Var& q, const Var& keys,
              const Var& values);

// gate, up [T,F]: f(gate) * up
Var GatedActivation(Context& context, Activation activation, const Var& gate, const Var& up);

// A mixture of experts. logits [T,E] -> which experts each token goes to, by falling weight, and
// the weights [T,used] (RouteRule).
struct Routing {
  std::vector<int32_t> experts;  // [T * used], on the host
  Var weights;                   // [T,used]
};
Routing Route(Context& context, const Var& logits, const RouteRule& rule);
// What one expert made of the tokens rows[i]: y [N,C], N = 0 allowed; its weights lie at places[i].
struct ExpertRows {
  Var y;
  Tensor rows, places;  // i32 [N]; places count through weights [T,used] as it lies
};
// out [tokens,C]: the sum over all parts of weights[places[i]] * y[i] at rows[i]. One part at
// least.
Var Combine(Context& context, int64_t tokens, std::vector<ExpertRows> parts, const Var& weights);

// Runs body(x) without saving anything inside it and runs it again in the backward pass.
// The body must compute the same both times.
using Body = std::function<Var(Context& context, const Var& x)>;
Var Checkpoint(Context& context, const Var& x, const Body& body);

// What happens to a head's logits z before anybody reads them: cap(scale z), cap(z) = soft_cap
// tanh(z / soft_cap) where soft_cap > 0 (Gemma 2).
struct HeadTransform {
  float scale = 1, soft_cap = 0;
};
void TransformLogits(Backend& backend, const HeadTransform& transform, Tensor& logits);

// The head and a loss over its logits, in chunks of tokens: logits [N,V] never exist whole.
//
// x [T,C]; rows i32 [N]: the tokens that carry loss; head [V,C]. For each chunk `loss` receives the
// transformed logits of rows[begin ... begin + n) and fills losses f64 [n]; with a tape it also
// overwrites the logits with the gradient of the whole objective by them (so it knows the
// normaliser). Returns the losses, f64 [N].
using LogitsLoss = std::function<void(Backend& backend, int64_t begin, Tensor& logits,
                                      Tensor& losses, bool want_gradient)>;
Tensor HeadLoss(Context& context, const Var& x, const Tensor& rows, const PreparedWeight& head,
                const LogitsLoss& loss, const HeadTransform& transform = {});
Tensor HeadLoss(Context& context, const Var& x, const Tensor& rows, const Var& head,
                const LogitsLoss& loss, const HeadTransform& transform = {});

// The losses -log softmax(logits)[target]; the objective has each times its own scale, or all times
// one. targets i32 [N], scales f32 [N].
LogitsLoss CrossEntropy(Tensor targets, Tensor scales);
LogitsLoss CrossEntropy(Tensor targets, float scale);

// What each token's loss is made of: ce_weight * CE + kd_weight * divergence
// (tensor/distillation.h).
struct DistillObjective {
  DistillSettings settings;
  Tensor targets;               // i32 [N]
  Tensor ce_weight, kd_weight;  // f32 [N]
};
// Sums over tokens, without weights, f64 [1] each. Empty: not asked for.
struct DistillSums {
  Tensor ce, kd;
};
// A teacher's logits [count,U] of the tokens begin ... begin + count - 1; the loss uses them up.
using TeacherLogits = std::function<Tensor(int64_t begin, int64_t count)>;

// Distillation from a teacher's logits, asked for chunk by chunk, or from its most probable
// outcomes. Each loss is weighted by `scale` in the objective; `sums` are added to.
LogitsLoss Distill(DistillObjective objective, float scale, TeacherLogits teacher,
                   DistillSums sums = {});
LogitsLoss DistillTop(DistillObjective objective, float scale, TopOutcomes teacher,
                      DistillSums sums = {});

// A student's hidden states against its teacher's, through a learned projection P.
//
// x [T,C]; rows i32 [N]: the tokens that are compared; teacher [N,D]: the teacher's states of those
// tokens, constants; projection [D,C]: y = x[rows] P^T. Returns LossKernels::HiddenDistance(y,
// teacher), f64 [N]; the objective has their sum times `scale`, and x and P receive that gradient
// (P's at once, x's when the tape runs).
Tensor HiddenLoss(Context& context, const Var& x, const Tensor& rows, const Tensor& teacher,
                  const Var& projection, HiddenLossKind kind, float scale);

}  // namespace retort::ops
