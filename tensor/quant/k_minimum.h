// SPDX-License-Identifier: Apache-2.0
// Encoding of ggml's K blocks with minima (Q2_K, Q4_K, Q5_K): 256 values in groups, each
// d * scale * code - dmin * minimum; scale and minimum of a group are small integers. Also the
// packed scales of Q4_K and Q5_K.
#pragma once

#include <cmath>

#include "tensor/quant/fit.h"
#include "tensor/quant/super_blocks.h"

namespace retort {

template <int kGroups>
struct KMinimumCodes {
  F16 d, dmin;
  uint8_t scale[kGroups], minimum[kGroups];
  uint8_t code[kSuperValues];
};

// Integers 0 to top for values >= 0, and their unit, chosen by a weighted sum of squares: the best
// of nine units, then single integers that lower the error, in up to five rounds.
inline float FitPositive(const float* x, const float* weight, int count, int top, uint8_t* codes) {
  float high = 0;
  for (int i = 0; i < count; ++i) high = high > x[i] ? high : x[i];
  if (high < kZeroGroup) {
    std::fill_n(codes, count, uint8_t{0});
    return 0;
  }
  const auto code = [&](float v) { return std::min(top, Nearest(v)); };
  float best = 0, inverse = 0;
  for (const int s : {0, -4, -3, -2, -1, 1, 2, 3, 4}) {
    const float tried = (0.1f * static_cast<float>(s) + static_cast<float>(top)) / high;
    const float unit = 1 / tried;
    float error = 0;
    for (int i = 0; i < count; ++i) {
      const float off = x[i] - unit * static_cast<float>(code(tried * x[i]));
      error += weight[i] * off * off;
    }
    if (s == 0 || error < best) {
      best = error;
      inverse = tried;
    }
  }
  float sum_qx = 0, sum_qq = 0;
  for (int i = 0; i < count; ++i) {
    codes[i] = static_cast<uint8_t>(code(inverse * x[i]));
    const float q = codes[i];
    sum_qx += weight[i] * x[i] * q;
    sum_qq += weight[i] * q * q;
  }
  bool changed = true;
  for (int round = 0; round < 5 && changed; ++round) {
    changed = false;
    for (int i = 0; i < count; ++i) {
      const float w = weight[i], q = codes[i];
      float qx = sum_qx - w * x[i] * q, qq = sum_qq - w * q * q;  // without value i
      if (!(qx > 0 && qq > 0)) continue;
      const int other = code(x[i] * qq / qx);
      if (other == codes[i]) continue;
      qx += w * x[i] * static_cast<float>(other);
      qq += w * static_cast<float>(other) * static_cast<float>(other);
      if (!(qx * qx * sum_qq > sum_qx * sum_qx * qq)) continue;
      codes[i] = static_cast<uint8_t>(other);
      sum_qx = qx;
      sum_qq = qq;
      changed = true;
    }
  }
  return sum_qq > 0 ? sum_qx / sum_qq : 0;
}

// Integers 0 to top for values >= 0; their unit makes the largest `top`.
inline float ScaleByLargest(const float* x, int count, int top, uint8_t* codes) {
  const float high = std::max(0.0f, *std::max_element(x, x + count));
  const float inverse = high > 0 ? static_cast<float>(top) / high : 0.0f;
  for (int i = 0; i < count; ++i)
    codes[i] = std::min(static_cast<uint8_t>(top), static_cast<uint8_t>(Nearest(inverse * x[i])));
  return high / static_cast<float>(top);
}

// How a format with minima is encoded.
struct KMinimumRule {
  int top;           // largest code of a value
  int scale_top;     // largest scale and minimum of a group
  FitSearch search;  // without importance
  // The weight of value x without importance: |x|, plus the root of its group's mean square if
  // `level`. With importance it is that times sqrt(x^2 + spread * the block's mean square).
  bool level;
  float spread;
};

// Weights of W groups of N values, in lanes; `x` too. `importance` of the groups, or null.
template <int W, int N>
RETORT_INLINE void KWeights(const Floats<W>* x, const float* importance, const KMinimumRule& rule,
                            float spread, Floats<W>* weight) {
  if (importance) {
    GroupsToLanes<W, N>(importance, weight);
    for (int i = 0; i < N; ++i) weight[i] *= Sqrt<W>(spread + x[i] * x[i]);
    return;
  }
  Floats<W> level = {};
  if (rule.level) {
    for (int i = 0; i < N; ++i) level += x[i] * x[i];
    level = Sqrt<W>(level / static_cast<float>(N));
  }
  for (int i = 0; i < N; ++i) weight[i] = level + Magnitude<W>(x[i]);
}

template <int kGroups, int W>
RETORT_INLINE KMinimumCodes<kGroups> EncodedWithMinima(const float* x, const float* importance,
                                                       const KMinimumRule& rule) {
  constexpr int N = kSuperValues / kGroups;
  KMinimumCodes<kGroups> out;
  FitWithMinimum<W, N> fits[kGroups / W];
  float scale[kGroups], below[kGroups], total[kGroups];
  const float spread = importance ? rule.spread * SumOfSquares(x, kSuperValues) / kSuperValues : 0;
  for (int part = 0; part < kGroups / W; ++part) {
    Floats<W> values[N], weight[N], sum = {};
    GroupsToLanes<W, N>(x + part * W * N, values);
    KWeights<W, N>(values, importance ? importance + part * W * N : nullptr, rule, spread, weight);
    for (int i = 0; i < N; ++i) sum += weight[i];
    Fit<W, N>(values, weight, rule.top, importance ? kSearchByImportance : rule.search,
              &fits[part]);
    Store<W>(total + part * W, sum);
    Store<W>(scale + part * W, fits[part].scale);
    Store<W>(below + part * W, fits[part].below);
  }
  const auto quantise = [&](const float* of, uint8_t* codes) {
    return ToF16(importance ? FitPositive(of, total, kGroups, rule.scale_top, codes)
                            : ScaleByLargest(of, kGroups, rule.scale_top, codes));
  };
  out.d = quantise(scale, out.scale);
  out.dmin = quantise(below, out.minimum);
  for (int g = 0; g < kGroups; ++g) {
    scale[g] = ScaleOf(out.d) * out.scale[g];
    below[g] = ScaleOf(out.dmin) * out.minimum[g];
  }
  // The codes that are best for the rounded scales; those of the fit where a scale became 0.
  for (int part = 0; part < kGroups / W; ++part) {
    Floats<W> values[N];
    GroupsToLanes<W, N>(x + part * W * N, values);
    const Floats<W> d = Load<W>(scale + part * W), m = Load<W>(below + part * W);
    Ints<W>* codes = fits[part].codes;
    for (int i = 0; i < N; ++i) {
      const Ints<W> code = Clamped<W>(Nearest<W>((values[i] + m) / d), 0, rule.top);
      codes[i] = d != 0.0f ? code : codes[i];
    }
    LanesToGroups<W, N>(codes, out.code + part * W * N);
  }
  return out;
}

// ---- eight scales and minima of 6 bits in 12 bytes (Q4_K, Q5_K): those of groups 0 to 3 fill the
// low bits of bytes 0 to 7; those of groups 4 to 7 have their low four bits in bytes 8 to 11 and
// their high two bits in bits 6 and 7 of bytes 0 to 7 ----

struct KScale {
  int scale, minimum;
};
RETORT_INLINE KScale KScaleOf(const uint8_t* packed, int group) {
  if (group < 4) return {packed[group] & 63, packed[group + 4] & 63};
  const int low = packed[group + 4];
  return {(low & 15) | packed[group - 4] >> 6 << 4, low >> 4 | packed[group] >> 6 << 4};
}
// All of them as floats, times d and dmin; each twice, for groups of 16.
RETORT_INLINE void KScalesOf(const uint8_t* packed, float d, float dmin, SuperCodes* out) {
  const auto a = LoadAs<uint32_t>(packed), b = LoadAs<uint32_t>(packed + 4);
  const auto c = LoadAs<uint32_t>(packed + 8);
  const uint32_t scales[2] = {a & 0x3f3f3f3f, (c & 0x0f0f0f0f) | (a >> 6 & 0x03030303) << 4};
  const uint32_t minima[2] = {b & 0x3f3f3f3f, (c >> 4 & 0x0f0f0f0f) | (b >> 6 & 0x03030303) << 4};
  const auto spread = [](const uint32_t* bytes, float unit, float* to) RETORT_INLINE_LAMBDA {
    const Floats<8> v = AsFloats<8>(Widened<8>(LoadAs<Chars<8>>(bytes))) * unit;
    Store<8>(to, __builtin_shufflevector(v, v, 0, 0, 1, 1, 2, 2, 3, 3));
    Store<8>(to + 8, __builtin_shufflevector(v, v, 4, 4, 5, 5, 6, 6, 7, 7));
  };
  spread(scales, d, out->scale);
  spread(minima, dmin, out->minimum);
}
// The grid of a block with them, codes 0 to top.
inline BlockGrid KMinimumGrid(const uint8_t* packed, float d, float dmin, int top) {
  BlockGrid grid{IntegerLevels(0, top + 1), true, 32, {}, {}};
  for (int g = 0; g < 8; ++g) {
    const KScale of = KScaleOf(packed, g);
    grid.scale[g] = d * static_cast<float>(of.scale);
    grid.low[g] = -dmin * static_cast<float>(of.minimum);
  }
  return grid;
}
inline void PackKScales(const KMinimumCodes<8>& codes, uint8_t* packed) {
  for (int g = 0; g < 4; ++g) {
    const int scale = codes.scale[g + 4], minimum = codes.minimum[g + 4];
    packed[g] = static_cast<uint8_t>(codes.scale[g] | scale >> 4 << 6);
    packed[g + 4] = static_cast<uint8_t>(codes.minimum[g] | minimum >> 4 << 6);
    packed[g + 8] = static_cast<uint8_t>((scale & 15) | (minimum & 15) << 4);
  }
}

}  // namespace retort
