// SPDX-License-Identifier: Apache-2.0
// AdamW with moments of 8 bits a value: block by block decoded, updated in f32 and encoded again.
#include <algorithm>
#include <array>
#include <cmath>

#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/loops.h"
#include "tensor/dynamic_map.h"

namespace retort {
namespace {

struct Decay {
  float beta, rest;  // rest: 1 - beta
  explicit Decay(float b) : beta(b), rest(static_cast<float>(1 - static_cast<double>(b))) {}
};

// One block's moment, decoded.
using BlockValues = std::array<float, kByteBlock>;

void Encode(const BlockValues& values, int64_t n, bool with_sign, uint8_t* codes, float* scale) {
  float most = 0;
  for (int64_t i = 0; i < n; ++i) most = std::max(most, std::abs(values[static_cast<size_t>(i)]));
  *scale = most;
  for (int64_t i = 0; i < n; ++i) {
    const float share = most > 0 ? values[static_cast<size_t>(i)] / most : 0;
    codes[i] = with_sign ? NearestCode(DynamicMap(true), share) : NearestAboveZero(share);
  }
}

}  // namespace

void CpuBackend::AdamWBytes(const AdamWStep& step, const Tensor& factor, Tensor& parameter,
                            const Tensor& gradient, ByteMoment& m, ByteMoment& v) {
  const int64_t n = parameter.elements(), blocks = (n + kByteBlock - 1) / kByteBlock;
  RETORT_CHECK(gradient.elements() == n && m.codes.elements() == n && v.codes.elements() == n &&
               m.scales.elements() == blocks && v.scales.elements() == blocks &&
               factor.elements() == 1 && step.step >= 1);
  const Decay first(step.beta1), second(step.beta2);
  const auto t = static_cast<double>(step.step);
  const double correction1 = 1 - std::pow(static_cast<double>(step.beta1), t),
               correction2 = std::sqrt(1 - std::pow(static_cast<double>(step.beta2), t));
  const auto rate = static_cast<float>(step.lr * correction2 / correction1),
             epsilon = static_cast<float>(step.epsilon * correction2),
             decay = static_cast<float>(static_cast<double>(step.lr) * step.weight_decay),
             scale = *factor.data<float>();
  const auto &map = DynamicMap(true), &plain = DynamicMap(false);
  const auto block = [&](int64_t b) {
    const int64_t begin = b * kByteBlock, count = std::min(kByteBlock, n - begin);
    const float* g = gradient.data<float>() + begin;
    float* p = parameter.data<float>() + begin;
    uint8_t *m_codes = m.codes.data<uint8_t>() + begin, *v_codes = v.codes.data<uint8_t>() + begin;
    float &m_scale = m.scales.data<float>()[b], &v_scale = v.scales.data<float>()[b];
    BlockValues ms, vs;
    for (int64_t i = 0; i < count; ++i) {
      const auto at = static_cast<size_t>(i);
      const float own = g[i] * scale;
      ms[at] = map[m_codes[i]] * m_scale * first.beta + own * first.rest;
      vs[at] = plain[v_codes[i]] * v_scale * second.beta + own * own * second.rest;
      p[i] -= p[i] * decay + rate * ms[at] / (std::sqrt(vs[at]) + epsilon);
    }
    Encode(ms, count, true, m_codes, &m_scale);
    Encode(vs, count, false, v_codes, &v_scale);
  };
  constexpr int64_t kBlocksPerPiece = 16;
  ForRanges(pool_, blocks, kBlocksPerPiece, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) block(b);
  });
}

}  // namespace retort
