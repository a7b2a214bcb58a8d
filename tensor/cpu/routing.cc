// SPDX-License-Identifier: Apache-2.0
// A router's choice of experts, and the weighted addition of expert outputs to their tokens.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/loops.h"
#include "tensor/cpu/softmax.h"
#include "tensor/host_routing.h"

namespace retort {
namespace {

// The routing of one token.
struct RouteRow {
  const float* logits;
  int64_t count;  // of experts
  float* scores;
  int32_t* experts;
  float* weights;
};

// The indices of the `used` highest values, in order; ties go to the lower index. NaN counts as the
// lowest value, so that `used` different ones are chosen from any values.
void Choose(const float* values, int64_t count, int used, int32_t* chosen) {
  for (int j = 0; j < used; ++j) {
    int32_t best = -1;
    for (int32_t e = 0; e < count; ++e) {
      if (std::find(chosen, chosen + j, e) != chosen + j) continue;
      if (best < 0 || values[e] > values[best]) best = e;
    }
    chosen[j] = best;
  }
}

float GroupScoreOf(const RouteRule& rule, const float* values, int64_t size) {
  int32_t best[2];
  const int count = rule.group_score == RouteRule::GroupScore::kBestTwo && size > 1 ? 2 : 1;
  Choose(values, size, count, best);
  return count == 2 ? values[best[0]] + values[best[1]] : values[best[0]];
}

// What the choice goes by where that is not the score itself.
std::vector<float> Merits(const RouteRule& rule, const RouteRow& row) {
  std::vector<float> merits(row.scores, row.scores + row.count);
  if (rule.bias) {
    for (size_t e = 0; e < merits.size(); ++e) merits[e] += rule.bias.data<float>()[e];
  }
  if (rule.used_groups == rule.groups) return merits;
  const int64_t size = row.count / rule.groups;
  std::vector<float> groups(static_cast<size_t>(rule.groups));
  for (int g = 0; g < rule.groups; ++g)
    groups[static_cast<size_t>(g)] = GroupScoreOf(rule, merits.data() + g * size, size);
  std::vector<int32_t> order(groups.size());
  Choose(groups.data(), rule.groups, rule.groups, order.data());
  for (size_t g = static_cast<size_t>(rule.used_groups); g < order.size(); ++g) {
    std::fill_n(merits.begin() + order[g] * size, size, -std::numeric_limits<float>::infinity());
  }
  return merits;
}

struct RouteKernel {
  template <int W>
  RETORT_INLINE static void Run(RouteRow row, const RouteRule& rule) {
    if (rule.score == RouteRule::Score::kSoftmax) {
      const float most = Most<W>(row.logits, row.count);
      const double sum = SumBlocks<W>(ExpTerm{row.logits, most, 1, row.scores}, row.count);
      ForLanes<W>(ScaleOp{row.scores, static_cast<float>(1 / sum)}, 0, row.count);
    } else {
      for (int64_t e = 0; e < row.count; ++e) row.scores[e] = 1 / (1 + std::exp(-row.logits[e]));
    }
    if (rule.bias || rule.used_groups < rule.groups) {
      Choose(Merits(rule, row).data(), row.count, rule.used, row.experts);
    } else {
      Choose(row.scores, row.count, rule.used, row.experts);
    }
    float chosen = 0;
    for (int j = 0; j < rule.used; ++j) chosen += row.weights[j] = row.scores[row.experts[j]];
    if (!rule.renormalise) chosen = 1;
    for (int j = 0; j < rule.used; ++j) row.weights[j] = row.weights[j] / chosen * rule.scale;
  }
};

// The gradient of a token's scores s, ds_j = c dw_j, or c (dw_j - m) / S with renormalisation, m
// the mean of dw by s over the chosen experts and S the sum of their s. With a softmax dz_e += s_e
// (ds_e - sum_i s_i ds_i), where the sum is 0 with renormalisation; with a sigmoid dz_e += s_e (1 -
// s_e) ds_e.
void AddRouteGrad(const RouteRule& rule, const float* dweights, const float* scores, int64_t count,
                  const int32_t* experts, float* dlogits) {
  float chosen = 0, weighted = 0;
  for (int j = 0; j < rule.used; ++j) {
    chosen += scores[experts[j]];
    weighted += scores[experts[j]] * dweights[j];
  }
  const float mean = rule.renormalise ? weighted / chosen : 0;
  if (!rule.renormalise) chosen = 1;
  const bool sigmoid = rule.score == RouteRule::Score::kSigmoid;
  for (int j = 0; j < rule.used; ++j) {
    const float s = scores[experts[j]];
    const float slope = s / chosen * rule.scale * (sigmoid ? 1 - s : 1);
    dlogits[experts[j]] += slope * (dweights[j] - mean);
  }
  if (sigmoid || rule.renormalise) return;
  for (int64_t e = 0; e < count; ++e) dlogits[e] -= scores[e] * rule.scale * weighted;
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

void CpuBackend::Route(const RouteRule& rule, const Tensor& logits, Tensor& scores, Tensor& experts,
                       Tensor& weights) {
  CheckRoute(rule, logits, scores, experts, weights);
  const int64_t count = scores.cols(), used = rule.used;
  ForRanges(pool_, scores.rows(), RowsPerPiece(count * used), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const RouteRow row{logits.data<float>() + t * count, count, scores.data<float>() + t * count,
                         experts.data<int32_t>() + t * used, weights.data<float>() + t * used};
      CallSimd<RouteKernel>(isa_, row, rule);
    }
  });
}

void CpuBackend::RouteGrad(const RouteRule& rule, const Tensor& dweights, const Tensor& scores,
                           const Tensor& experts, Tensor& dlogits) {
  CheckRoute(rule, dlogits, scores, experts, dweights);
  const int64_t count = scores.cols(), used = rule.used;
  ForRanges(pool_, scores.rows(), RowsPerPiece(count), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      AddRouteGrad(rule, dweights.data<float>() + t * used, scores.data<float>() + t * count, count,
                   experts.data<int32_t>() + t * used, dlogits.data<float>() + t * count);
    }
  });
}

// Indices may repeat, so each piece is a strip of columns and adds the rows in order.
void CpuBackend::AddWeightedRows(const Tensor& x, const Tensor& weights, const Tensor& row_numbers,
                                 const Tensor& place_numbers, Tensor& out) {
  const std::span<const int32_t> rows = Numbers(row_numbers), places = Numbers(place_numbers);
  CheckPlaces(x, weights, rows, places, out);
  const int64_t cols = x.cols();
  ForRanges(pool_, cols, kAddedColumns, [&](int64_t begin, int64_t end) {
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
