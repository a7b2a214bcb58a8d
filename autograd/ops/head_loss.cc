// SPDX-License-Identifier: Apache-2.0
// The head and the loss over its logits, chunk by chunk:
//   z = x[rows] W^T,   y = cap(scale z),   losses = loss(y),   dz = scale cap'(z) dy
//   dx[rows] += dz W,   dW += dz^T x[rows]
// A chunk's logits take at most 32 MiB (or 16 rows, if that is more); twice that if a soft cap's
// outputs are kept. The loss is the tape's root and includes its own scale, so each chunk's
// gradient is computed while its logits exist. Only dx of the rows that carry loss, [N,C], is
// saved.
#include <algorithm>

#include "autograd/ops.h"

namespace retort::ops {
namespace {

constexpr int64_t kChunkElements = int64_t{1} << 23;

// The products with the head: frozen, trained, or made of ops. Backward adds to dx, if given.
struct FrozenHead {
  const PreparedWeight& w;
  int64_t vocab() const { return w.rows(); }
  bool trained() const { return false; }
  Tensor Logits(Backend& k, const Tensor& x) const {
    Tensor z = k.New({x.rows(), w.rows()});
    k.LinearForward(x, w, z);
    return z;
  }
  void Backward(Backend& k, const Tensor& dz, const Tensor&, Tensor* dx) const {
    if (dx) k.LinearInputGrad(dz, w, *dx);
  }
};
struct TrainedHead {
  const Var& w;
  int64_t vocab() const { return w.value.rows(); }
  bool trained() const { return w.wants_gradient(); }
  Tensor Logits(Backend& k, const Tensor& x) const {
    Tensor z = k.New({x.rows(), vocab()});
    k.Gemm(false, true, 1, x, w.value, 0, z);
    return z;
  }
  void Backward(Backend& k, const Tensor& dz, const Tensor& x, Tensor* dx) const {
    if (dx) k.Gemm(false, false, 1, dz, w.value, 1, *dx);
    k.Gemm(true, false, 1, dz, x, 1, w.GradientSum(k));
  }
};
// Each chunk has a tape of its own, which is run before the next chunk.
struct ComposedHead {
  const Body& body;
  int64_t size;
  bool taped;
  std::unique_ptr<Tape> tape = {};
  Gradient dx_of_chunk = {};
  Var logits = {};

  int64_t vocab() const { return size; }
  bool trained() const { return taped; }
  Tensor Logits(Backend& k, const Tensor& x) {
    if (taped) tape = std::make_unique<Tape>(k);
    Context context{k, tape.get()};
    logits = body(context, {x, taped ? &dx_of_chunk : nullptr});
    return logits.value;
  }
  void Backward(Backend& k, const Tensor& dz, const Tensor&, Tensor* dx) {
    if (logits.wants_gradient()) logits.gradient->Accumulate(k, dz);
    tape->Run();
    if (dx && dx_of_chunk.sum()) k.Accumulate(dx_of_chunk.sum(), *dx);
    dx_of_chunk.Release();
  }
};

// One chunk: computes the losses of logits z and, if want_gradient, replaces z by d objective / dz.
// Only a soft cap needs a copy (of its outputs).
void LossOfChunk(Backend& k, const HeadTransform& transform, const LogitsLoss& loss, int64_t begin,
                 Tensor& logits, Tensor& losses, bool want_gradient) {
  TransformLogits(k, transform, logits);
  Tensor capped;
  if (want_gradient && transform.soft_cap > 0) {
    capped = k.New(logits.shape());
    k.CopyColumns(logits, 0, capped);
  }
  loss(k, begin, logits, losses, want_gradient);
  if (!want_gradient) return;
  if (capped) k.SoftCapGrad(capped, transform.soft_cap, logits);
  if (transform.scale != 1) k.Scale(logits, transform.scale);
}

template <class Head>
Tensor ChunkedLoss(Context& context, const Var& x, const Tensor& rows, Head head,
                   const LogitsLoss& loss, const HeadTransform& transform) {
  Backend& k = context.backend;
  const int64_t count = rows.elements(), width = x.value.cols();
  const int64_t most = std::clamp<int64_t>(kChunkElements / head.vocab(), 16, 4096);
  // Chunks of equal size: a last chunk of a few rows would decode the whole head for them.
  const int64_t chunks = (count + most - 1) / most;
  const bool want_dx = context.tape && x.wants_gradient();
  const bool want_gradient = want_dx || (context.tape && head.trained());

  Tensor losses = k.New({count}, DType::kF64);
  Tensor dx_rows = want_dx ? k.Zeros({count, width}) : Tensor();
  for (int64_t i = 0; i < chunks; ++i) {
    const int64_t begin = count * i / chunks, n = count * (i + 1) / chunks - begin;
    Tensor selected = k.New({n, width});
    Tensor part = losses.Part(begin, n);
    k.GatherRows(x.value, rows.Part(begin, n), selected);
    Tensor logits = head.Logits(k, selected);
    LossOfChunk(k, transform, loss, begin, logits, part, want_gradient);
    if (!want_gradient) continue;
    Tensor dx = want_dx ? dx_rows.RowRange(begin, n) : Tensor();
    head.Backward(k, logits, selected, want_dx ? &dx : nullptr);
  }
  if (want_dx) {
    context.tape->RecordRoot(
        [x, dx_rows, rows](Backend& b) { b.ScatterAddRows(dx_rows, rows, x.GradientSum(b)); });
  }
  return losses;
}

}  // namespace

void TransformLogits(Backend& backend, const HeadTransform& transform, Tensor& logits) {
  if (transform.scale != 1) backend.Scale(logits, transform.scale);
  if (transform.soft_cap > 0) backend.SoftCap(logits, transform.soft_cap);
}

Tensor HeadLoss(Context& context, const Var& x, const Tensor& rows, const PreparedWeight& head,
                const LogitsLoss& loss, const HeadTransform& transform) {
  RETORT_CHECK(head.cols() == x.value.cols(), "head: x ", x.shape().text(), ", ", head.cols(),
               " columns");
  return ChunkedLoss(context, x, rows, FrozenHead{head}, loss, transform);
}

Tensor HeadLoss(Context& context, const Var& x, const Tensor& rows, const Var& head,
                const LogitsLoss& loss, const HeadTransform& transform) {
  RETORT_CHECK(head.value.cols() == x.value.cols(), "head: x ", x.shape().text(), ", ",
               head.shape().text());
  return ChunkedLoss(context, x, rows, TrainedHead{head}, loss, transform);
}

Tensor HeadLoss(Context& context, const Var& x, const Tensor& rows, int64_t vocab, const Body& head,
                const LogitsLoss& loss, const HeadTransform& transform) {
  return ChunkedLoss(context, x, rows, ComposedHead{head, vocab, context.tape != nullptr}, loss,
                     transform);
}

LogitsLoss CrossEntropy(Tensor targets, Tensor scales) {
  RETORT_CHECK(scales.elements() == targets.elements(), scales.elements(), " scales for ",
               targets.elements(), " targets");
  return [targets = std::move(targets), scales = std::move(scales)](
             Backend& k, int64_t begin, Tensor& logits, Tensor& losses, bool want_gradient) {
    const int64_t n = losses.elements();
    k.CrossEntropy(logits, targets.Part(begin, n), want_gradient ? scales.Part(begin, n) : Tensor(),
                   0, losses);
  };
}

LogitsLoss CrossEntropy(Tensor targets, float scale, float smoothing) {
  return [targets = std::move(targets), scale, smoothing](Backend& k, int64_t begin, Tensor& logits,
                                                          Tensor& losses, bool want_gradient) {
    const int64_t n = losses.elements();
    Tensor scales;
    if (want_gradient) k.Fill(scales = k.New({n}, DType::kF32), scale);
    k.CrossEntropy(logits, targets.Part(begin, n), scales, smoothing, losses);
  };
}

}  // namespace retort::ops
