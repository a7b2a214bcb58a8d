// SPDX-License-Identifier: Apache-2.0
// AdamW with moments of 8 bits a value. A block of threads has the 256 values that share a scale,
// one a thread: decodes, updates in f32, finds the largest and encodes by a search in the map.
// Bound by memory (16 bytes a value) while the maps' copies to shared memory are few.
#include <algorithm>
#include <cmath>

#include "tensor/cuda/arguments.h"
#include "tensor/cuda/cuda_backend.h"
#include "tensor/cuda/reduce.h"
#include "tensor/dynamic_map.h"

namespace retort::cuda {
namespace {

constexpr int kCodes = 256;
constexpr int64_t kManyBlocks = 1024, kMostEach = 16;  // see AdamWBytes

// The maps of both moments, an argument of the kernel.
struct Maps {
  float first[kCodes], second[kCodes];
};

struct Moment {
  Global<uint8_t> codes;
  Global<float> scales;
  float beta, rest;  // rest: 1 - beta
};

struct BytesStep {
  float decay, rate, epsilon;
};

// NearestCode of tensor/dynamic_map.h.
__device__ int Nearest(Shared<const float> map, float x) {
  int low = 0, high = kCodes;  // the first value that is not below x is at low ... high
  while (low < high) {
    const int middle = (low + high) / 2;
    if (map[middle] < x) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low == 0) return 0;
  if (low == kCodes) return kCodes - 1;
  const float below = map[low - 1], above = map[low];
  return x - below < above - x ? low - 1 : low;
}

__global__ void AdamWBytesKernel(Maps maps, BytesStep step, Global<const float> gradient,
                                 Global<const float> factor, int64_t count, int64_t each,
                                 Global<float> parameter, Moment m, Moment v) {
  RETORT_SHARED(float, first_map, kCodes);
  RETORT_SHARED(float, second_map, kCodes);
  RETORT_SHARED(float, scratch, kMostWarps);
  const int thread = static_cast<int>(threadIdx.x);
  first_map[thread] = maps.first[thread];
  second_map[thread] = maps.second[thread];
  __syncthreads();
  const int64_t blocks = (count + kByteBlock - 1) / kByteBlock, begin = blockIdx.x * each;
  for (int64_t b = begin; b < begin + each && b < blocks; ++b) {
    const int64_t i = b * kByteBlock + thread;
    const bool within = i < count;
    float first = 0, second = 0;
    if (within) {
      const float g = gradient[i] * factor[0], p = parameter[i];
      const uint8_t m_code = m.codes[i], v_code = v.codes[i];
      first = first_map[m_code] * m.scales[b] * m.beta + g * m.rest;
      second = second_map[v_code] * v.scales[b] * v.beta + g * g * v.rest;
      parameter[i] = p - (p * step.decay + step.rate * first / (sqrtf(second) + step.epsilon));
    }
    const float most_first = BlockMax(fabsf(first), scratch);
    const float most_second = BlockMax(second, scratch);
    if (within) {
      const float second_share = most_second > 0 ? second / most_second : 0;
      const int code = Nearest(second_map, second_share);
      m.codes[i] =
          static_cast<uint8_t>(Nearest(first_map, most_first > 0 ? first / most_first : 0));
      v.codes[i] = static_cast<uint8_t>(second_share > 0 && code == 0 ? 1 : code);
    }
    if (thread == 0) {
      m.scales[b] = most_first;
      v.scales[b] = most_second;
    }
  }
}

Moment MomentOf(const ByteMoment& moment, float beta) {
  return {Out<uint8_t>(moment.codes), Out<float>(moment.scales), beta,
          static_cast<float>(1 - static_cast<double>(beta))};
}

}  // namespace

// With many blocks, one of the device's takes several, so that fewer copy the maps.
void CudaBackend::AdamWBytes(const AdamWStep& step, const Tensor& factor, Tensor& parameter,
                             const Tensor& gradient, ByteMoment& m, ByteMoment& v) {
  const int64_t count = parameter.elements(), blocks = (count + kByteBlock - 1) / kByteBlock;
  RETORT_CHECK(gradient.elements() == count && m.codes.elements() == count &&
                   v.codes.elements() == count && m.scales.elements() == blocks &&
                   v.scales.elements() == blocks && factor.elements() == 1 && step.step >= 1,
               "moments of ", count, " values at step ", step.step);
  const double lr = step.lr, t = static_cast<double>(step.step);
  const double correction1 = 1 - std::pow(double{step.beta1}, t);
  const double correction2 = std::sqrt(1 - std::pow(double{step.beta2}, t));
  const BytesStep rates{.decay = static_cast<float>(lr * step.weight_decay),
                        .rate = static_cast<float>(lr * correction2 / correction1),
                        .epsilon = static_cast<float>(step.epsilon * correction2)};
  Maps maps;
  std::copy_n(DynamicMap(true).begin(), kCodes, maps.first);
  std::copy_n(DynamicMap(false).begin(), kCodes, maps.second);
  const int64_t each = std::clamp<int64_t>(blocks / kManyBlocks, 1, kMostEach);
  Launch(*queue_, {(blocks + each - 1) / each, kCodes}, AdamWBytesKernel, maps, rates,
         In<float>(gradient), In<float>(factor), count, each, Out<float>(parameter),
         MomentOf(m, step.beta1), MomentOf(v, step.beta2));
}

}  // namespace retort::cuda
