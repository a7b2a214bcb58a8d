// SPDX-License-Identifier: Apache-2.0
// Choosing experts, and adding their outputs to their tokens. A warp routes a token: lane l holds
// experts l, l + 32, ..., so that no lane reads what another one wrote. With E and the number of
// chosen experts as small as they are, a step takes little more than its launch. The sums over rows
// are bound by memory (rows.h).
#include "tensor/cuda/arguments.h"
#include "tensor/cuda/cuda_backend.h"
#include "tensor/cuda/rows.h"
#include "tensor/host_routing.h"

namespace retort::cuda {
namespace {

// A RouteRule as kernels read it. Where groups are not limited, there is one.
struct RouteTerms {
  int used, groups, used_groups;
  float scale;
  bool renormalise, sigmoid, best_two, biased;
  Global<const float> bias;
};

// An expert or a group in the order of choice.
struct Candidate {
  float value;
  int index;
};
// Before and after every expert.
constexpr Candidate kFirst{INFINITY, -1}, kLast{-INFINITY, INT32_MAX};

// The higher value first, then the lower index.
__device__ bool Before(Candidate a, Candidate b) {
  return a.value > b.value || (a.value == b.value && a.index < b.index);
}

__device__ Candidate WarpFirst(Candidate own) {
  for (int step = kWarp / 2; step > 0; step /= 2) {
    const float value = __shfl_xor_sync(kAllLanes, own.value, step);
    const int index = __shfl_xor_sync(kAllLanes, own.index, step);
    if (Before({value, index}, own)) own = {value, index};
  }
  return own;
}

// One token's experts, seen by one lane.
struct TokenScores {
  RouteTerms rule;
  int count, lane;
  Global<float> scores;

  __device__ void Compute(Global<const float> logits) {
    float top = -INFINITY, sum = 0;
    for (int e = lane; e < count; e += kWarp) {
      const float z = logits[e];
      top = fmaxf(top, z);
    }
    top = WarpReduce(top, MaxOf());
    for (int e = lane; e < count; e += kWarp) {
      const float z = logits[e], s = rule.sigmoid ? 1 / (1 + expf(-z)) : expf(z - top);
      scores[e] = s;
      sum += s;
    }
    sum = WarpSum(sum);
    for (int e = lane; e < count && !rule.sigmoid; e += kWarp) scores[e] *= 1 / sum;
  }

  // What the choice goes by; NaN counts as the lowest value.
  __device__ Candidate Merit(int e) const {
    float merit = scores[e];
    if (rule.biased) merit += rule.bias[e];
    return {merit == merit ? merit : -INFINITY, e};
  }

  // The first candidate after `last` of groups [begin, end) that are kept: bit g of `kept`.
  __device__ Candidate Next(Candidate last, int begin, int end, unsigned kept) const {
    const int size = count / rule.groups, from = begin * size;
    Candidate best = kLast;
    for (int e = from + ((lane - from) & (kWarp - 1)); e < end * size; e += kWarp) {
      const Candidate own = Merit(e);
      if ((kept >> e / size & 1) && Before(last, own) && Before(own, best)) best = own;
    }
    return WarpFirst(best);
  }

  // The groups whose experts may be chosen. Lane g ranks group g.
  __device__ unsigned KeptGroups() const {
    if (rule.used_groups == rule.groups) return kAllLanes;
    float score = -INFINITY;
    for (int g = 0; g < rule.groups; ++g) {
      const Candidate best = Next(kFirst, g, g + 1, kAllLanes);
      const Candidate second = Next(best, g, g + 1, kAllLanes);
      const bool two = rule.best_two && count > rule.groups;
      if (lane == g) score = two ? best.value + second.value : best.value;
    }
    int rank = 0;
    for (int g = 0; g < rule.groups; ++g) {
      const float other = __shfl_sync(kAllLanes, score, g);
      if (Before({other, g}, {score, lane})) ++rank;
    }
    return __ballot_sync(kAllLanes, lane < rule.groups && rank < rule.used_groups);
  }
};

__global__ void RouteKernel(Global<const float> logits, int count, RouteTerms rule,
                            Global<float> scores, Global<int32_t> experts, Global<float> weights) {
  const int64_t t = blockIdx.x;
  const int lane = static_cast<int>(threadIdx.x);
  TokenScores token{rule, count, lane, scores + t * count};
  token.Compute(logits + t * count);
  const unsigned kept = token.KeptGroups();

  float sum = 0;
  Candidate chosen = kFirst;
  for (int64_t j = t * rule.used; j < (t + 1) * rule.used; ++j) {
    chosen = token.Next(chosen, 0, rule.groups, kept);
    float own = 0;
    if (chosen.index % kWarp == lane) own = token.scores[chosen.index];
    const float score = __shfl_sync(kAllLanes, own, chosen.index % kWarp);
    sum += score;
    if (lane == 0) experts[j] = chosen.index;
    if (lane == 0) weights[j] = score;
  }
  if (!rule.renormalise) sum = 1;
  for (int64_t j = t * rule.used; j < (t + 1) * rule.used && lane == 0; ++j) {
    const float score = weights[j];
    weights[j] = score / sum * rule.scale;
  }
}

// As tensor/cpu/routing.cc: with S the sum of the chosen scores and m the mean of dw by them
// (S = 1, m = 0 without renormalisation), dz_e += s_e c (dw_e - m) / S for the chosen, times
// 1 - s_e with a sigmoid; a softmax without renormalisation moves all experts by -s_e c sum dw s.
__global__ void RouteGradKernel(Global<const float> dweights, Global<const float> all_scores,
                                Global<const int32_t> experts, int count, RouteTerms rule,
                                Global<float> dlogits) {
  const int64_t t = blockIdx.x;
  const int lane = static_cast<int>(threadIdx.x);
  const Global<const float> scores = all_scores + t * count, dw = dweights + t * rule.used;
  const Global<const int32_t> chosen = experts + t * rule.used;
  float sum = 0, weighted = 0;
  for (int j = lane; j < rule.used; j += kWarp) {
    const int32_t e = chosen[j];
    const float s = scores[e];
    sum += s;
    weighted += s * dw[j];
  }
  sum = WarpSum(sum);
  weighted = WarpSum(weighted);
  const float mean = rule.renormalise ? weighted / sum : 0;
  const float all = rule.sigmoid || rule.renormalise ? 0 : rule.scale * weighted;
  if (!rule.renormalise) sum = 1;
  for (int e = lane; e < count; e += kWarp) {
    const float s = scores[e], slope = s / sum * rule.scale * (rule.sigmoid ? 1 - s : 1);
    float change = -s * all;
    for (int j = 0; j < rule.used; ++j) {
      const int32_t own = chosen[j];
      if (own == e) change += slope * (dw[j] - mean);
    }
    dlogits[t * count + e] += change;
  }
}

struct WeightAt {
  Global<const float> weights;
  Global<const int32_t> places;
  __device__ float operator()(int64_t i) const {
    const int32_t place = places[i];
    return weights[place];
  }
};

// dx[i,:] = weight(i) dout[rows[i],:]; with `dots`, dots[i] = dout[rows[i],:] . x[i,:].
template <int kWidth>
__global__ void WeightedRowsGradKernel(Global<const float> dout, Global<const float> x,
                                       WeightAt weight, Global<const int32_t> rows, int64_t cols,
                                       bool with_dots, Global<float> dx, Global<float> dots) {
  RETORT_SHARED(float, scratch, kMostWarps);
  const int64_t i = blockIdx.x, from = rows[i] * cols, to = i * cols;
  const float factor = weight(i);
  float dot = 0;
  for (int64_t c = int64_t{threadIdx.x} * kWidth; c < cols; c += int64_t{blockDim.x} * kWidth) {
    Vector<float, kWidth> d = LoadVector<kWidth>(dout + (from + c));
    if (with_dots) {
      const Vector<float, kWidth> own = LoadVector<kWidth>(x + (to + c));
      for (int j = 0; j < kWidth; ++j) dot += d.value[j] * own.value[j];
    }
    for (int j = 0; j < kWidth; ++j) d.value[j] *= factor;
    StoreVector(dx + (to + c), d);
  }
  if (!with_dots) return;
  dot = BlockSum(dot, scratch);
  if (threadIdx.x == 0) dots[i] = dot;
}

RouteTerms TermsOf(const RouteRule& rule) {
  const bool limited = rule.used_groups < rule.groups;
  RETORT_CHECK(!limited || rule.groups <= kWarp, rule.groups, " groups of experts, more than ",
               kWarp);
  return {.used = rule.used,
          .groups = limited ? rule.groups : 1,
          .used_groups = limited ? rule.used_groups : 1,
          .scale = rule.scale,
          .renormalise = rule.renormalise,
          .sigmoid = rule.score == RouteRule::Score::kSigmoid,
          .best_two = rule.group_score == RouteRule::GroupScore::kBestTwo,
          .biased = static_cast<bool>(rule.bias),
          .bias = In<float>(rule.bias)};
}

// The numbers themselves are in the device's memory.
void CheckPlaces(const Tensor& x, const Tensor& rows, const Tensor& places, const Tensor& out) {
  RETORT_CHECK(
      x.cols() == out.cols() && rows.elements() == x.rows() && places.elements() == x.rows(),
      rows.elements(), " rows and ", places.elements(), " places for ", x.shape().text(), " and ",
      out.shape().text());
}

}  // namespace

void CudaBackend::Route(const RouteRule& rule, const Tensor& logits, Tensor& scores,
                        Tensor& experts, Tensor& weights) {
  CheckRoute(rule, logits, scores, experts, weights);
  Launch(*queue_, RowEach(logits.rows(), kWarp), RouteKernel, In<float>(logits),
         static_cast<int>(logits.cols()), TermsOf(rule), Out<float>(scores), Out<int32_t>(experts),
         Out<float>(weights));
}

void CudaBackend::RouteGrad(const RouteRule& rule, const Tensor& dweights, const Tensor& scores,
                            const Tensor& experts, Tensor& dlogits) {
  CheckRoute(rule, dlogits, scores, experts, dweights);
  Launch(*queue_, RowEach(dlogits.rows(), kWarp), RouteGradKernel, In<float>(dweights),
         In<float>(scores), In<int32_t>(experts), static_cast<int>(dlogits.cols()), TermsOf(rule),
         Out<float>(dlogits));
}

void CudaBackend::AddWeightedRows(const Tensor& x, const Tensor& weights, const Tensor& rows,
                                  const Tensor& places, Tensor& out) {
  CheckPlaces(x, rows, places, out);
  AddRows(*queue_, In<float>(x), In<int32_t>(rows), x.rows(), x.cols(),
          WeightAt{In<float>(weights), In<int32_t>(places)}, out.rows(), Out<float>(out));
}

// The dot products go to dweights as rows of one value, because places may repeat.
void CudaBackend::WeightedRowsGrad(const Tensor& dout, const Tensor& x, const Tensor& weights,
                                   const Tensor& rows, const Tensor& places, Tensor& dx,
                                   Tensor* dweights) {
  CheckPlaces(x, rows, places, dout);
  RETORT_CHECK(
      dx.elements() == x.elements() && (!dweights || dweights->elements() == weights.elements()),
      "weighted rows' gradient of ", x.shape().text());
  const int64_t count = x.rows(), cols = x.cols();
  const Tensor dots = dweights ? New({count}) : Tensor();
  const WeightAt weight{In<float>(weights), In<int32_t>(places)};
  WithWidth(InFours(cols, In<float>(dout), In<float>(x), Out<float>(dx)), [&]<int kWidth>() {
    Launch(*queue_, RowBlocks(count, cols), WeightedRowsGradKernel<kWidth>, In<float>(dout),
           In<float>(x), weight, In<int32_t>(rows), cols, dweights != nullptr, Out<float>(dx),
           Out<float>(dots));
  });
  if (!dweights) return;
  AddRows(*queue_, In<float>(dots), In<int32_t>(places), count, 1, Once(), dweights->elements(),
          Out<float>(*dweights));
}

}  // namespace retort::cuda
