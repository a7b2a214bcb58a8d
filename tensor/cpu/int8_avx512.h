// SPDX-License-Identifier: Apache-2.0
// Shared by the int8 kernels.
#pragma once

#ifdef __x86_64__
#include <immintrin.h>

#include "tensor/dtype.h"

#define RETORT_INT8_AVX2 [[gnu::target("avx2,fma")]]
#define RETORT_INT8_AVX512 \
  [[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c,prfchw")]]

namespace retort {

RETORT_INT8_AVX512 inline __m512 LoadScales(const F16* d) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(d)));
}

}  // namespace retort
#endif
