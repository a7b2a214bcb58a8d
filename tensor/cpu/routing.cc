// SPDX-License-Identifier: Apache-2.0
// A router's choice of experts, and the weighted addition of expert outputs to their tokens.
#include <algorithm>

#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/loops.h"
#include "tensor/cpu/softmax.h"
#include "tensor/host_routing.h"

namespace retort {
namespace {

constexpr int64_t kStrip = 256;  // columns per piece of AddWeightedRows

// The routing of one token.
struct RouteRow {
  const float* logits;
  int64_t count;  // of experts
  float* probabilities;
  int32_t* experts;
  float* weights;
};

// Chooses the experts in order: each the most probable of the remaining ones, ties to the lower
// index. NaN counts as the lowest value, so that `used` different experts are chosen for any
// logits.
void Choose(const RouteRow& row, int used) {
  for (int j = 0; j < used; ++j) {
    int32_t best = -1;
    for (int32_t e = 0; e < row.count; ++e) {
      if (std::find(row.experts, row.experts + j, e) != row.experts + j) continue;
      if (best < 0 || row.probabilities[e] > row.probabilities[best]) best = e;
    }
    row.experts[j] = best;
    row.weights[j] = row.probabilities[best];
  }
}

struct RouteKernel {
  template <int W>
  RETORT_INLINE static void Run(RouteRow row, RouteRule rule) {
    const float most = Most<W>(row.logits, row.count);
    const double sum = SumBlocks<W>(ExpTerm{row.logits, most, 1, row.probabilities}, row.count);
    ForLanes<W>(ScaleOp{row.probabilities, static_cast<float>(1 / sum)}, 0, row.count);
    Choose(row, rule.used);
    if (!rule.renormalise) return;
    float chosen = 0;
    for (int j = 0; j < rule.used; ++j) chosen += row.weights[j];
    for (int j = 0; j < rule.used; ++j) row.weights[j] /= chosen;
  }
};

// With p the probabilities, w the weights and m = sum_j w_j dw_j over the chosen experts:
// dz_e += p_e (dp_e - m), where dp_e is dw_e for chosen experts and 0 for others. With
// renormalisation the sum over all experts cancels: dz_e += w_e (dw_e - m) for chosen experts only.
void AddRouteGrad(const RouteRule& rule, const float* dweights, const float* probabilities,
                  int64_t count, const int32_t* experts, float* dlogits) {
  float chosen = 0, mean = 0;
  for (int j = 0; j < rule.used; ++j) {
    chosen += probabilities[experts[j]];
    mean += probabilities[experts[j]] * dweights[j];
  }
  if (rule.renormalise) {
    mean /= chosen;
    for (int j = 0; j < rule.used; ++j) {
      dlogits[experts[j]] += probabilities[experts[j]] / chosen * (dweights[j] - mean);
    }
    return;
  }
  for (int64_t e = 0; e < count; ++e) dlogits[e] -= probabilities[e] * mean;
  for (int j = 0; j < rule.used; ++j)
    dlogits[experts[j]] += probabilities[experts[j]] * dweights[j];
}

struct WeightedRow {  // y = weight * x, or y += it
  const float* x;
  float weight;
  bool add;
  float* y;
  template <int W, class Lanes>
  RETORT_INLINE void Step(int64_t i, Lanes lanes) const {
    const Floats<W> term = Load<W>(x + i, lanes) * weight;
    Store<W>(y + i, add ? Load<W>(y + i, lanes) + term : term, lanes);
  }
};

struct DotKernel {
  template <int W>
  RETORT_INLINE static void Run(const float* a, const float* b, int64_t n, float* out) {
    *out = SumLanes<W>(DotTerm{a, b}, 0, n);
  }
};

}  // namespace

void CpuBackend::Route(const RouteRule& rule, const Tensor& logits, Tensor& probabilities,
                       Tensor& experts, Tensor& weights) {
  CheckRoute(rule, logits, probabilities, experts, weights);
  RETORT_CHECK(logits.elements() == probabilities.elements());
  const int64_t count = probabilities.cols(), used = rule.used;
  ForRanges(
      pool_, probabilities.rows(), RowsPerPiece(count * used), [&](int64_t begin, int64_t end) {
        for (int64_t t = begin; t < end; ++t) {
          const RouteRow row{logits.data<float>() + t * count, count,
                             probabilities.data<float>() + t * count,
                             experts.data<int32_t>() + t * used, weights.data<float>() + t * used};
          CallSimd<RouteKernel>(isa_, row, rule);
        }
      });
}

void CpuBackend::RouteGrad(const RouteRule& rule, const Tensor& dweights,
                           const Tensor& probabilities, const Tensor& experts, Tensor& dlogits) {
  CheckRoute(rule, dlogits, probabilities, experts, dweights);
  RETORT_CHECK(dlogits.elements() == probabilities.elements());
  const int64_t count = probabilities.cols(), used = rule.used;
  ForRanges(pool_, probabilities.rows(), RowsPerPiece(count), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      AddRouteGrad(rule, dweights.data<float>() + t * used, probabilities.data<float>() + t * count,
                   count, experts.data<int32_t>() + t * used, dlogits.data<float>() + t * count);
    }
  });
}

// Indices may repeat, so each piece is a strip of columns and adds the rows in order.
void CpuBackend::AddWeightedRows(const Tensor& x, const Tensor& weights, const Tensor& row_numbers,
                                 const Tensor& place_numbers, Tensor& out) {
  const std::span<const int32_t> rows = Numbers(row_numbers), places = Numbers(place_numbers);
  CheckPlaces(x, weights, rows, places, out);
  const int64_t cols = x.cols();
  ForRanges(pool_, cols, kStrip, [&](int64_t begin, int64_t end) {
    for (size_t i = 0; i < rows.size(); ++i) {
      const float* from = x.data<float>() + static_cast<int64_t>(i) * cols;
      const WeightedRow op{from, weights.data<float>()[places[i]], true,
                           out.data<float>() + rows[i] * cols};
      CallSimd<LanesKernel>(isa_, &op, begin, end);
    }
  });
}

// The terms of dweights are computed row by row and then added in order, because places may repeat.
void CpuBackend::WeightedRowsGrad(const Tensor& dout, const Tensor& x, const Tensor& weights,
                                  const Tensor& row_numbers, const Tensor& place_numbers,
                                  Tensor& dx, Tensor* dweights) {
  const std::span<const int32_t> rows = Numbers(row_numbers), places = Numbers(place_numbers);
  CheckPlaces(x, weights, rows, places, dout);
  RETORT_CHECK(dx.elements() == x.elements() &&
               (!dweights || dweights->elements() == weights.elements()));
  const int64_t cols = x.cols();
  const Tensor sums = dweights ? New({x.rows()}) : Tensor();
  ForRanges(pool_, x.rows(), RowsPerPiece(cols), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const auto at = static_cast<size_t>(i);
      const float* from = dout.data<float>() + rows[at] * cols;
      if (dweights) {
        const float* row = x.data<float>() + i * cols;
        CallSimd<DotKernel>(isa_, from, row, cols, sums.data<float>() + i);
      }
      const WeightedRow op{from, weights.data<float>()[places[at]], false,
                           dx.data<float>() + i * cols};
      CallSimd<LanesKernel>(isa_, &op, int64_t{0}, cols);
    }
  });
  if (!dweights) return;
  for (size_t i = 0; i < places.size(); ++i)
    dweights->data<float>()[places[i]] += sums.data<float>()[i];
}

}  // namespace retort
