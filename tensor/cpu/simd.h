// SPDX-License-Identifier: Apache-2.0
// Vectors of floats, and kernels that are compiled for every instruction set and selected at run
// time.
//
// A kernel is a struct with
//   template <int W, ...> RETORT_INLINE static void Run(...)
// written with Floats<W> and helpers marked RETORT_INLINE, so that all of it is inlined into the
// function that has the target attribute. CallSimd<Kernel>(isa, args...) calls it with that set's
// W; CallSimd<Kernel, W>(args...) does so from inside a kernel. W may change the last bits of a
// result; the number of threads never does.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

#include "tensor/dtype.h"
#include "tensor/isa.h"

#define RETORT_INLINE [[gnu::always_inline]] inline
#define RETORT_INLINE_LAMBDA __attribute__((always_inline))

// GCC splits vectors of 512 bits in two unless it is told not to.
#if defined(__x86_64__) && defined(__clang__)
#define RETORT_AVX512 [[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]]
#define RETORT_AVX2 [[gnu::target("avx2,fma")]]
#elif defined(__x86_64__)
#define RETORT_AVX512 \
  [[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,prefer-vector-width=512")]]
#define RETORT_AVX2 [[gnu::target("avx2,fma")]]
#else
#define RETORT_AVX512
#define RETORT_AVX2
#endif

namespace retort {

template <class Kernel, class... Args>
RETORT_AVX512 [[gnu::noinline]] void RunAvx512(Args... args) {
  Kernel::template Run<16>(args...);
}
template <class Kernel, class... Args>
RETORT_AVX2 [[gnu::noinline]] void RunAvx2(Args... args) {
  Kernel::template Run<8>(args...);
}
template <class Kernel, class... Args>
[[gnu::noinline]] void RunPortable(Args... args) {
  Kernel::template Run<4>(args...);
}

template <class Kernel, int W, class... Args>
RETORT_INLINE void CallSimd(Args... args) {
  if constexpr (W == 16) {
    RunAvx512<Kernel>(args...);
  } else if constexpr (W == 8) {
    RunAvx2<Kernel>(args...);
  } else {
    RunPortable<Kernel>(args...);
  }
}
template <class Kernel, class... Args>
void CallSimd(Isa isa, Args... args) {
  switch (isa) {
    case Isa::kAvx512:
      return RunAvx512<Kernel>(args...);
    case Isa::kAvx2:
      return RunAvx2<Kernel>(args...);
    case Isa::kPortable:
      return RunPortable<Kernel>(args...);
  }
}

template <int W>
using Floats [[gnu::vector_size(W * 4)]] = float;
template <int W>
using Ints [[gnu::vector_size(W * 4)]] = int32_t;
template <int W>
using Halves [[gnu::vector_size(W * 2)]] = uint16_t;

// The initial value of a maximum.
inline constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

template <int W>
RETORT_INLINE Floats<W> Splat(float x) {
  return x - Floats<W>{};
}
template <int W>
RETORT_INLINE Ints<W> SplatInt(int32_t x) {
  return x + Ints<W>{};
}
// b if either is NaN: a NaN in a is lost. For sums of exponentials, which keep it by themselves.
template <int W>
RETORT_INLINE Floats<W> Max(Floats<W> a, Floats<W> b) {
  return a > b ? a : b;
}
// x, but no less than `floor`; keeps NaN.
template <int W>
RETORT_INLINE Floats<W> AtLeast(Floats<W> x, Floats<W> floor) {
  return x < floor ? floor : x;
}
template <int W>
RETORT_INLINE Floats<W> Sqrt(Floats<W> v) {
  for (int i = 0; i < W; ++i) v[i] = __builtin_sqrtf(v[i]);  // becomes one instruction
  return v;
}

// The sum of the lanes: the two halves of the vector are added, recursively.
template <int W>
RETORT_INLINE float Sum(Floats<W> v) {
  if constexpr (W == 1) {
    return v[0];
  } else {
    struct {
      Floats<W / 2> low, high;
    } parts;
    std::memcpy(&parts, &v, sizeof v);
    return Sum<W / 2>(parts.low + parts.high);
  }
}
template <int W>
RETORT_INLINE float MaxLane(Floats<W> v) {
  if constexpr (W == 1) {
    return v[0];
  } else {
    struct {
      Floats<W / 2> low, high;
    } parts;
    std::memcpy(&parts, &v, sizeof v);
    return MaxLane<W / 2>(Max<W / 2>(parts.low, parts.high));
  }
}

// Folds each group of 2 kHalf lanes of a and b to kHalf lanes with op. Groups of a and b alternate
// in the result.
template <int W, int kHalf, class Vector, class Op, int... kLane>
RETORT_INLINE Vector Fold(Vector a, Vector b, const Op& op, std::integer_sequence<int, kLane...>) {
#define RETORT_FROM(lane, high) \
  ((lane) / kHalf % 2 * W + (lane) / kHalf / 2 * 2 * kHalf + (lane) % kHalf + (high)*kHalf)
  return op(__builtin_shufflevector(a, b, RETORT_FROM(kLane, 0)...),
            __builtin_shufflevector(a, b, RETORT_FROM(kLane, 1)...));
#undef RETORT_FROM
}
// Lane i of the result is the reduction of v[i]'s lanes with op. v [W] is overwritten.
template <int W, int kHalf = W / 2, class Vector, class Op>
RETORT_INLINE Vector FoldEach(Vector* v, const Op& op) {
  for (int i = 0; i < kHalf; ++i) {
    v[i] = Fold<W, kHalf>(v[i], v[i + kHalf], op, std::make_integer_sequence<int, W>());
  }
  if constexpr (kHalf == 1) {
    return v[0];
  } else {
    return FoldEach<W, kHalf / 2>(v, op);
  }
}
template <int W, class Vector>
RETORT_INLINE Vector SumEach(Vector* v) {
  return FoldEach<W>(v, [](Vector a, Vector b) RETORT_INLINE_LAMBDA { return a + b; });
}
template <int W>
RETORT_INLINE Ints<W> MaxEach(Ints<W>* v) {
  return FoldEach<W>(v, [](Ints<W> a, Ints<W> b) RETORT_INLINE_LAMBDA { return a > b ? a : b; });
}

// ---- loading and storing, unaligned ----

template <int W>
RETORT_INLINE Floats<W> Load(const float* p) {
  Floats<W> v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
template <int W>
RETORT_INLINE void Store(float* p, Floats<W> v) {
  std::memcpy(p, &v, sizeof v);
}

// Zero-extends W values of 16 bits, as a shuffle with zeros: compilers turn that into one
// instruction, unlike a conversion.
template <int W, int... kHalf>
RETORT_INLINE Ints<W> LoadWidened(const void* p, std::integer_sequence<int, kHalf...>) {
  Halves<W> h, zeros = {};
  std::memcpy(&h, p, sizeof h);
  return (Ints<W>)__builtin_shufflevector(h, zeros, (kHalf % 2 ? W : kHalf / 2)...);
}
template <int W>
RETORT_INLINE Ints<W> LoadWidened(const void* p) {
  return LoadWidened<W>(p, std::make_integer_sequence<int, 2 * W>());
}
template <int W>
RETORT_INLINE Floats<W> Load(const BF16* p) {
  return (Floats<W>)(LoadWidened<W>(p) << 16);
}
// The same algorithm as ScaleOf (tensor/quant/blocks.h): exponent and fraction are shifted, and no
// subnormal float occurs as an intermediate value.
template <int W>
RETORT_INLINE Floats<W> Load(const F16* p) {
  const Ints<W> h = LoadWidened<W>(p);
  const Ints<W> magnitude = (h & 0x7fff) << 13;
  const Ints<W> small = (Ints<W>)((Floats<W>)(magnitude + 0x38800000) - 0x1p-14f);
  const Ints<W> finite = magnitude < 1 << 23 ? small : magnitude + (112 << 23);
  const Ints<W> value = (h & 0x7c00) == 0x7c00 ? magnitude | 0x7f800000 : finite;
  return (Floats<W>)(value | (h & 0x8000) << 16);
}

// The active lanes of a step: all, or at the end of a row the first n < W. Inactive lanes are
// loaded as 0 and not stored.
struct AllLanes {};
struct FirstLanes {
  int64_t n;
};

template <int W, class T>
RETORT_INLINE Floats<W> Load(const T* p, AllLanes) {
  return Load<W>(p);
}
template <int W, class T>
RETORT_INLINE Floats<W> Load(const T* p, FirstLanes lanes) {
  T part[W] = {};
  for (int64_t i = 0; i < lanes.n; ++i) part[i] = p[i];
  return Load<W>(part);
}
template <int W>
RETORT_INLINE void Store(float* p, Floats<W> v, AllLanes) {
  Store<W>(p, v);
}
template <int W>
RETORT_INLINE void Store(float* p, Floats<W> v, FirstLanes lanes) {
  float part[W];
  Store<W>(part, v);
  for (int64_t i = 0; i < lanes.n; ++i) p[i] = part[i];
}

// ---- functions ----

// e^x to about 1 ulp everywhere. Underflows to 0 through the subnormals, overflows to infinity,
// keeps NaN. x = n ln 2 + r, |r| <= ln(2)/2; e^r by its series to r^7; 2^n in two factors, because
// n ranges from -150 to 128.
template <int W>
RETORT_INLINE Floats<W> Exp(Floats<W> x) {
  x = x < -104.0f ? Splat<W>(-104.0f) : x;
  x = x > 89.0f ? Splat<W>(89.0f) : x;
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const Floats<W> shifted = x * 1.44269504f + kRound;
  const Floats<W> n = shifted - kRound;
  const Floats<W> r = (x - n * 0.693145752f) - n * 1.42860677e-6f;  // ln 2 in two parts
  Floats<W> p = r * (1.0f / 5040) + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * (r * r) + r;
  p = p + 1.0f;
  const Ints<W> power = (Ints<W>)shifted - std::bit_cast<int32_t>(kRound);
  const Ints<W> half = power >> 1;
  const Floats<W> scale1 = (Floats<W>)((half + 127) << 23);
  const Floats<W> scale2 = (Floats<W>)((power - half + 127) << 23);
  return p * scale1 * scale2;
}

// log(1 + e) for e in [0, 1], relative error 1e-7: 2 atanh(s) with s = e / (2 + e) <= 1/3, by its
// series to s^13.
template <int W>
RETORT_INLINE Floats<W> Log1pOfShare(Floats<W> e) {
  const Floats<W> s = e / (e + 2.0f), s2 = s * s;
  Floats<W> p = s2 * (1.0f / 13) + 1.0f / 11;
  p = p * s2 + 1.0f / 9;
  p = p * s2 + 1.0f / 7;
  p = p * s2 + 1.0f / 5;
  p = p * s2 + 1.0f / 3;
  p = p * s2;
  return (p * s + s) * 2.0f;
}

template <int W>
RETORT_INLINE Floats<W> Magnitude(Floats<W> x) {
  return (Floats<W>)((Ints<W>)x & 0x7fffffff);
}
// `magnitude` (>= 0) with the sign of x.
template <int W>
RETORT_INLINE Floats<W> WithSignOf(Floats<W> x, Floats<W> magnitude) {
  return (Floats<W>)((Ints<W>)magnitude | ((Ints<W>)x & std::numeric_limits<int32_t>::min()));
}

// tanh x to 2 ulp everywhere, exactly odd, keeps NaN. Below 0.625: x + x^3 q(x^2), q the minimax
// polynomial of degree 4, relative error 4.4e-9; above: 1 - 2 / (exp(2x) + 1).
template <int W>
RETORT_INLINE Floats<W> Tanh(Floats<W> x) {
  const Floats<W> a = Magnitude<W>(x), z = x * x;
  Floats<W> q = z * -0.00570498686f + 0.0206390861f;
  q = q * z - 0.0537397154f;
  q = q * z + 0.133314416f;
  q = q * z - 0.333332807f;
  const Floats<W> small = q * z * a + a;
  const Floats<W> large = 1.0f - 2.0f / (Exp<W>(a + a) + 1.0f);
  return WithSignOf<W>(x, a < 0.625f ? small : large);
}

// exp(a^2) (1 - erf a) for a >= 0, relative error 4e-7: t p(t) with t = 1 / (1 + a / 2), p of
// degree 9, fitted to 2.1e-8 on 0 <= a <= 10.
template <int W>
RETORT_INLINE Floats<W> ScaledErfc(Floats<W> a) {
  const Floats<W> t = 1.0f / (a * 0.5f + 1.0f);
  Floats<W> p = t * 0.0116839269f - 0.120068729f;
  p = p * t + 0.421630085f;
  p = p * t - 0.660582781f;
  p = p * t + 0.413699895f;
  p = p * t - 0.0944197401f;
  p = p * t + 0.224259406f;
  p = p * t + 0.238904178f;
  p = p * t + 0.282827854f;
  p = p * t + 0.282065898f;
  return p * t;
}

// erf x to 2 ulp everywhere, exactly odd, keeps NaN. Below 1: x + x p(x^2), p of degree 6, fitted
// to a relative error of 1.2e-9; above: 1 - exp(-x^2) ScaledErfc(|x|).
template <int W>
RETORT_INLINE Floats<W> Erf(Floats<W> x) {
  const Floats<W> a = Magnitude<W>(x), z = x * x;
  Floats<W> p = z * 7.85386146e-05f - 0.000801019371f;
  p = p * z + 0.00518832775f;
  p = p * z - 0.0268538129f;
  p = p * z + 0.112835854f;
  p = p * z - 0.376126260f;
  p = p * z + 0.128379166f;
  const Floats<W> large = 1.0f - Exp<W>(-z) * ScaledErfc<W>(a);
  return WithSignOf<W>(x, a < 1.0f ? p * a + a : large);
}

template <int W>
RETORT_INLINE Floats<W> Sigmoid(Floats<W> z) {
  return 1.0f / (1.0f + Exp<W>(-z));
}

}  // namespace retort
