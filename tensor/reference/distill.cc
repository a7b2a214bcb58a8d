// SPDX-License-Identifier: Apache-2.0
// The distillation losses by their definitions: first the distributions, then L and dL/dq of each
// outcome, then the chain rule through the softmax. An outcome is a set of ids, so that the tail of
// a TopOutcomes needs no special case.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "tensor/reference/reference_backend.h"

namespace retort {
namespace {

using Doubles = std::vector<double>;

double LogSum(const double* x, int64_t n, double temperature) {
  const double top = *std::max_element(x, x + n);
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += std::exp((x[i] - top) / temperature);
  return top / temperature + std::log(sum);
}

Doubles Softmax(const double* x, int64_t n, double temperature) {
  const double log_sum = LogSum(x, n, temperature);
  Doubles p(static_cast<size_t>(n));
  for (size_t i = 0; i < p.size(); ++i) p[i] = std::exp(x[i] / temperature - log_sum);
  return p;
}

double XLogRatio(double x, double y) { return x == 0 ? 0 : x * std::log(x / y); }  // keeps NaN

// Returns L of two distributions; sets dq to dL/dq.
double Value(const DistillSettings& s, const Doubles& p, const Doubles& q, Doubles& dq) {
  double sum = 0;
  const double beta = s.beta;
  for (size_t i = 0; i < p.size(); ++i) {
    const double m = beta * p[i] + (1 - beta) * q[i];
    switch (s.divergence) {
      case Divergence::kForwardKl:
        sum += XLogRatio(p[i], q[i]);
        dq[i] = p[i] == 0 ? 0 : -p[i] / q[i];
        break;
      case Divergence::kReverseKl:
        sum += XLogRatio(q[i], p[i]);
        dq[i] = q[i] == 0 ? 0 : std::log(q[i] / p[i]) + 1;
        break;
      case Divergence::kJsd:
        sum += beta * XLogRatio(p[i], m) + (1 - beta) * XLogRatio(q[i], m);
        if (q[i] != 0) {
          dq[i] = -beta * p[i] * (1 - beta) / m +
                  (1 - beta) * (std::log(q[i] / m) + 1 - q[i] * (1 - beta) / m);
        }
        break;
      case Divergence::kTotalVariation:
      case Divergence::kSorted:
        sum += std::abs(p[i] - q[i]);
        dq[i] = q[i] > p[i] ? 1 : q[i] < p[i] ? -1 : 0;
        break;
    }
  }
  if (s.divergence != Divergence::kTotalVariation) return sum;
  for (double& d : dq) d /= 2;
  return sum / 2;
}

Doubles Sorted(Doubles x, size_t size, std::vector<size_t>& order) {
  order.resize(x.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return x[a] > x[b]; });
  Doubles out;
  for (size_t i : order) out.push_back(x[i]);
  out.resize(size);
  return out;
}

// Returns L; sets dq to dL/dq for the student's ids.
double SortedValue(const DistillSettings& s, const Doubles& p, const Doubles& q, Doubles& dq) {
  const size_t size = std::max(p.size(), q.size());
  std::vector<size_t> unused, order;
  const Doubles top = Sorted(p, size, unused), own = Sorted(q, size, order);
  Doubles sorted_dq(size);
  const double value = Value(s, top, own, sorted_dq);
  for (size_t i = 0; i < order.size(); ++i) dq[order[i]] = sorted_dq[i];
  return value;
}

// Sets the outputs of token i, and with `gradient` overwrites its logits z with the gradient, given
// the divergence kd, the student's distribution q over the first q.size() ids, and dL/dq.
void Finish(const DistillSettings& s, const DistillTokens& tokens, int64_t i, double kd,
            bool gradient, const Doubles& q, const Doubles& dq, double* z, int64_t vocab) {
  const int32_t target = tokens.targets.data<int32_t>()[i];
  RETORT_CHECK(target >= 0 && target < vocab, "target ", target, " of ", vocab);
  const float ce_weight = tokens.ce_weight.data<float>()[i];
  const float kd_weight = tokens.kd_weight.data<float>()[i];
  const double log_sum = LogSum(z, vocab, 1), ce = log_sum - z[target];
  tokens.ce.data<double>()[i] = ce;
  tokens.kd.data<double>()[i] = kd;
  tokens.losses.data<double>()[i] = DistillLoss(ce_weight, ce, kd_weight, kd);
  if (!gradient) return;
  const double mean = std::inner_product(q.begin(), q.end(), dq.begin(), 0.0);
  for (int64_t v = 0; v < vocab; ++v) {
    const auto at = static_cast<size_t>(v);
    double dz = tokens.scale * ce_weight * (std::exp(z[v] - log_sum) - (v == target ? 1 : 0));
    if (at < q.size()) dz += tokens.scale * kd_weight * q[at] * (dq[at] - mean) / s.temperature;
    z[v] = dz;
  }
}

}  // namespace

void ReferenceBackend::Distill(const DistillSettings& s, const DistillTokens& tokens, bool gradient,
                               Tensor& logits, Tensor& teacher) {
  CheckDistill(s, tokens, logits.rows());
  const int64_t vocab = logits.cols();
  const bool sorted = s.divergence == Divergence::kSorted;
  const int64_t shared = std::min(vocab, teacher.cols());
  for (int64_t i = 0; i < logits.rows(); ++i) {
    double* z = logits.data<double>() + i * vocab;
    const double* t = teacher.data<double>() + i * teacher.cols();
    const Doubles q = Softmax(z, sorted ? vocab : shared, s.temperature);
    const Doubles p = Softmax(t, sorted ? teacher.cols() : shared, s.temperature);
    Doubles dq(q.size());
    const double kd = sorted ? SortedValue(s, p, q, dq) : Value(s, p, q, dq);
    Finish(s, tokens, i, kd, gradient, q, dq, z, vocab);
  }
}

void ReferenceBackend::DistillTop(const DistillSettings& s, const DistillTokens& tokens,
                                  bool gradient, Tensor& logits, const TopOutcomes& top) {
  CheckDistill(s, tokens, logits.rows());
  const auto kept = static_cast<size_t>(top.kept);
  for (int64_t i = 0; i < logits.rows(); ++i) {
    double* z = logits.data<double>() + i * logits.cols();
    const int32_t* ids = top.ids.data<int32_t>() + i * top.kept;
    const float* log_probs = top.log_probs.data<float>() + i * top.kept;
    const Doubles q = Softmax(z, top.vocab, s.temperature);
    std::vector<size_t> outcome(q.size(), kept);  // of each id; outcome `kept` is the tail
    Doubles p(kept + 1), student(kept + 1), d_outcome(kept + 1), dq(q.size());
    for (size_t k = 0; k < kept; ++k) {
      outcome[static_cast<size_t>(ids[k])] = k;
      p[k] = std::exp(static_cast<double>(log_probs[k]));
    }
    p[kept] = std::exp(static_cast<double>(top.tail.data<float>()[i]));
    for (size_t v = 0; v < q.size(); ++v) student[outcome[v]] += q[v];
    const double kd = Value(s, p, student, d_outcome);
    for (size_t v = 0; v < q.size(); ++v) dq[v] = d_outcome[outcome[v]];
    Finish(s, tokens, i, kd, gradient, q, dq, z, logits.cols());
  }
}

}  // namespace retort
