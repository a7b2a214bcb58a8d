// SPDX-License-Identifier: Apache-2.0
// What kernels are written in, for a C++ compiler and the emulated device: the twin of
// tensor/cuda/language/kernel_language.h, which says what each name means. Every access through
// Global<T> and Shared<T> is checked.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "tensor/cuda/driver.h"
#include "tensor/dtype.h"
#include "tests/cuda_on_cpu/machine.h"
#include "tests/cuda_on_cpu/queue.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(n) alignas(n)

namespace retort::cuda {

inline constexpr unsigned kAllLanes = 0xffffffff;

// Where a pointer's memory is, for checks.
enum class Kind : uint8_t { kGlobal, kShared };

// A pointer whose accesses are checked against its range and its shadow.
template <class T, Kind kKind>
class Checked {
 public:
  using Value = std::remove_const_t<T>;

  // An element that may be written.
  class Element {
   public:
    Element(const Checked& of, int64_t i) : of_(of), i_(i) {}
    Element(const Element&) = default;
    operator Value() const { return of_.Get(i_); }  // NOLINT: stands for the element
    Element& operator=(Value v) { return of_.Set(i_, v), *this; }
    Element& operator=(const Element& other) { return *this = static_cast<Value>(other); }
    Element& operator+=(Value v) { return *this = static_cast<Value>(of_.Get(i_) + v); }
    Element& operator-=(Value v) { return *this = static_cast<Value>(of_.Get(i_) - v); }
    Element& operator*=(Value v) { return *this = static_cast<Value>(of_.Get(i_) * v); }
    Element& operator/=(Value v) { return *this = static_cast<Value>(of_.Get(i_) / v); }
    Element& operator|=(Value v) { return *this = static_cast<Value>(of_.Get(i_) | v); }

   private:
    Checked of_;
    int64_t i_;
  };

  Checked() = default;
  Checked(std::nullptr_t) {}  // NOLINT
  Checked(T* at, const std::byte* begin, const std::byte* end, emulated::Shadow* shadow,
          size_t shadow_begin)
      : at_(at), begin_(begin), end_(end), shadow_(shadow), shadow_begin_(shadow_begin) {}
  // A pointer to what may be written is one to what may be read.
  template <class From>
  requires(std::is_same_v<const From, T>) Checked(const Checked<From, kKind>& from)  // NOLINT
      : Checked(from.template Recast<T>()) {}

  explicit operator bool() const { return at_ != nullptr; }
  bool operator==(std::nullptr_t) const { return at_ == nullptr; }
  Checked operator+(int64_t n) const {
    Checked moved = *this;
    moved.at_ += n;
    return moved;
  }
  Checked operator-(int64_t n) const { return *this + -n; }
  Checked& operator+=(int64_t n) { return at_ += n, *this; }
  int64_t operator-(const Checked& other) const { return at_ - other.at_; }

  decltype(auto) operator[](int64_t i) const {
    if constexpr (std::is_const_v<T>) {
      return Get(i);
    } else {
      return Element(*this, i);
    }
  }
  decltype(auto) operator*() const { return (*this)[0]; }

  Value Get(int64_t i) const {
    Value v{};
    ReadBytes(i, &v, sizeof(Value));
    return v;
  }
  void Set(int64_t i, Value v) const { WriteBytes(i, &v, sizeof(Value)); }
  // `bytes` from element i on.
  void ReadBytes(int64_t i, void* to, size_t bytes) const {
    const auto* from = reinterpret_cast<const std::byte*>(at_ + i);
    if (!Inside(from, bytes)) return emulated::Fault("a read beyond the end", i);
    if (!IsAligned(from)) emulated::Fault("a read that is not aligned", i);
    if (const char* fault = shadow_->Read(InShadow(from), bytes, emulated::Self()))
      emulated::Fault(fault, i);
    std::memcpy(to, from, bytes);
  }
  void WriteBytes(int64_t i, const void* from, size_t bytes) const {
    auto* to = reinterpret_cast<std::byte*>(const_cast<Value*>(at_ + i));
    if (!Inside(to, bytes)) return emulated::Fault("a write beyond the end", i);
    if (!IsAligned(to)) emulated::Fault("a write that is not aligned", i);
    if (const char* fault = shadow_->Write(InShadow(to), bytes, emulated::Self()))
      emulated::Fault(fault, i);
    std::memcpy(to, from, bytes);
  }
  // `bytes` that will be written, by a copy that begins now.
  void BeginWrite(size_t bytes) const {
    const auto* to = reinterpret_cast<const std::byte*>(at_);
    if (!Inside(to, bytes)) return emulated::Fault("a copy beyond the end", 0);
    if (const char* fault = shadow_->BeginWrite(InShadow(to), bytes, emulated::Self()))
      emulated::Fault(fault, 0);
  }
  // value = change(value) in one step.
  template <class Change>
  Value Atomic(const Change& change) const {
    auto* at = const_cast<Value*>(at_);
    if (!Inside(reinterpret_cast<std::byte*>(at), sizeof(Value)))
      return emulated::Fault("an atomic change beyond the end", 0), Value{};
    if (const char* fault =
            shadow_->Atomic(InShadow(reinterpret_cast<std::byte*>(at)), sizeof(Value)))
      emulated::Fault(fault, 0);
    const Value before = *at;
    *at = change(before);
    return before;
  }

  template <class To>
  Checked<To, kKind> Recast() const {
    return {reinterpret_cast<To*>(at_), begin_, end_, shadow_, shadow_begin_};
  }
  uintptr_t address() const { return reinterpret_cast<uintptr_t>(at_); }

 private:
  static bool IsAligned(const std::byte* at) {
    return reinterpret_cast<uintptr_t>(at) % alignof(Value) == 0;
  }
  bool Inside(const std::byte* at, size_t bytes) const {
    return at_ && at >= begin_ && at + bytes <= end_;
  }
  size_t InShadow(const std::byte* at) const {
    return shadow_begin_ + static_cast<size_t>(at - begin_);
  }

  T* at_ = nullptr;
  const std::byte *begin_ = nullptr, *end_ = nullptr;
  emulated::Shadow* shadow_ = nullptr;
  size_t shadow_begin_ = 0;  // the place of begin_ in the shadow
};

template <class T>
using Global = Checked<T, Kind::kGlobal>;
template <class T>
using Shared = Checked<T, Kind::kShared>;

template <class T>
Shared<T> SharedAt(std::byte* at, size_t bytes) {
  return {reinterpret_cast<T*>(at), at, at + bytes, &emulated::SharedShadow(),
          emulated::SharedOffset(at)};
}
#define RETORT_SHARED(T, name, count)                                           \
  static const char name##_tag = 0;                                             \
  const ::retort::cuda::Shared<T> name = ::retort::cuda::SharedAt<T>(           \
      ::retort::cuda::emulated::StaticShared(&name##_tag, sizeof(T) * (count)), \
      sizeof(T) * (count))

template <class T>
Shared<T> DynamicShared() {
  size_t bytes = 0;
  std::byte* at = emulated::DynamicSharedBytes(&bytes);
  return SharedAt<T>(at, bytes);
}

template <class T>
Global<T> GlobalAt(void* address, int64_t bytes) {
  emulated::Allocation* allocation = emulated::Find(address, bytes);
  if (!allocation) return {};
  auto* at = static_cast<std::byte*>(address);
  return {reinterpret_cast<T*>(at), at, at + bytes, &allocation->shadow,
          emulated::OffsetIn(*allocation, address)};
}

struct Grid {
  int64_t x = 1;
  int threads = 256;
  int64_t y = 1, z = 1;
  size_t shared_bytes = 0;
};

template <class... Parameters, class... Arguments>
void Launch(Queue& queue, const Grid& grid, void (*kernel)(Parameters...),
            const Arguments&... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  const emulated::GridSize size{
      {static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y), static_cast<unsigned>(grid.z)},
      grid.threads,
      grid.shared_bytes};
  static_cast<emulated::LateQueue&>(queue).Enqueue(
      [size, kernel, ... values = static_cast<Parameters>(arguments)] {
        emulated::RunGrid(size, [&] { kernel(values...); });
      });
}

// Barriers, shuffles and votes. All lanes take part.

inline void __syncthreads() { emulated::BlockBarrier(); }
inline void CheckMask(unsigned mask) {
  if (mask != kAllLanes) emulated::Fault("a shuffle of some lanes alone", mask);
}
inline void __syncwarp(unsigned mask = kAllLanes,
                       const emulated::Place& place = emulated::Place::current()) {
  CheckMask(mask);
  emulated::WarpBarrier(place);
}
inline int LaneOf() { return static_cast<int>(threadIdx.x % 32); }
template <class T>
T __shfl_sync(unsigned mask, T value, int lane,
              const emulated::Place& place = emulated::Place::current()) {
  CheckMask(mask);
  return emulated::ExchangeAs(value, place)[static_cast<size_t>(lane & 31)];
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int with,
                  const emulated::Place& place = emulated::Place::current()) {
  return __shfl_sync(mask, value, LaneOf() ^ with, place);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned step,
                 const emulated::Place& place = emulated::Place::current()) {
  const int lane = LaneOf(), from = lane - static_cast<int>(step);
  return __shfl_sync(mask, value, from < 0 ? lane : from, place);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned step,
                   const emulated::Place& place = emulated::Place::current()) {
  const int lane = LaneOf(), from = lane + static_cast<int>(step);
  return __shfl_sync(mask, value, from > 31 ? lane : from, place);
}
inline unsigned __ballot_sync(unsigned mask, bool vote,
                              const emulated::Place& place = emulated::Place::current()) {
  CheckMask(mask);
  const auto votes = emulated::ExchangeAs(vote, place);
  unsigned bits = 0;
  for (unsigned i = 0; i < 32; ++i) bits |= unsigned{votes[i]} << i;
  return bits;
}
inline bool __any_sync(unsigned mask, bool vote,
                       const emulated::Place& place = emulated::Place::current()) {
  return __ballot_sync(mask, vote, place) != 0;
}
inline bool __all_sync(unsigned mask, bool vote,
                       const emulated::Place& place = emulated::Place::current()) {
  return __ballot_sync(mask, vote, place) == kAllLanes;
}

// Integers alone are changed atomically: floating-point sums have an order.
template <class T, Kind kKind>
requires std::is_integral_v<T> T atomicAdd(const Checked<T, kKind>& at, std::type_identity_t<T> v) {
  return at.Atomic([v](T before) { return static_cast<T>(before + v); });
}
template <class T, Kind kKind>
requires std::is_integral_v<T> T atomicMax(const Checked<T, kKind>& at, std::type_identity_t<T> v) {
  return at.Atomic([v](T before) { return before > v ? before : v; });
}
template <class T, Kind kKind>
requires std::is_integral_v<T> T atomicMin(const Checked<T, kKind>& at, std::type_identity_t<T> v) {
  return at.Atomic([v](T before) { return before < v ? before : v; });
}
template <class T, Kind kKind>
requires std::is_integral_v<T> T atomicOr(const Checked<T, kKind>& at, std::type_identity_t<T> v) {
  return at.Atomic([v](T before) { return static_cast<T>(before | v); });
}

inline unsigned __float_as_uint(float v) { return std::bit_cast<unsigned>(v); }
inline float __uint_as_float(unsigned v) { return std::bit_cast<float>(v); }
inline int __float_as_int(float v) { return std::bit_cast<int>(v); }
inline float __int_as_float(int v) { return std::bit_cast<float>(v); }
inline int __popc(unsigned v) { return std::popcount(v); }
inline int __clz(int v) { return std::countl_zero(static_cast<unsigned>(v)); }
inline int __ffs(int v) { return v == 0 ? 0 : std::countr_zero(static_cast<unsigned>(v)) + 1; }
inline float rsqrtf(float v) { return 1 / std::sqrt(v); }
inline double rsqrt(double v) { return 1 / std::sqrt(v); }
template <class T>
constexpr T min(T a, T b) {
  return b < a ? b : a;
}
template <class T>
constexpr T max(T a, T b) {
  return a < b ? b : a;
}

inline float Widen(float v) { return v; }
inline float Widen(BF16 v) { return ToFloat(v); }
inline float Widen(F16 v) { return ToFloat(v); }
template <class T>
T Narrow(float v);
template <>
inline float Narrow<float>(float v) {
  return v;
}
template <>
inline BF16 Narrow<BF16>(float v) {
  return ToBF16(v);
}
template <>
inline F16 Narrow<F16>(float v) {
  return ToF16(v);
}
inline uint32_t PackPair(float low, float high) {
  return ToBF16(low).bits | uint32_t{ToBF16(high).bits} << 16;
}
// The emulated sources are compiled without contraction.
inline float Times(float a, float b) { return a * b; }
inline float Plus(float a, float b) { return a + b; }
inline uint32_t BitsOf(float v) { return std::bit_cast<uint32_t>(v); }
inline float FloatOf(uint32_t bits) { return std::bit_cast<float>(bits); }
inline int CountBits(uint32_t bits) { return std::popcount(bits); }

template <class T, int N>
struct alignas(sizeof(T) * N) Vector {
  T value[N];
};
template <int N, class T, Kind kKind>
Vector<std::remove_const_t<T>, N> LoadVector(const Checked<T, kKind>& from) {
  Vector<std::remove_const_t<T>, N> v{};
  if (from.address() % sizeof(v) != 0) emulated::Fault("a vector that is not aligned", 0);
  from.ReadBytes(0, &v, sizeof(v));
  return v;
}
template <int N, class T, Kind kKind>
void StoreVector(const Checked<T, kKind>& to, const Vector<T, N>& v) {
  if (to.address() % sizeof(v) != 0) emulated::Fault("a vector that is not aligned", 0);
  to.WriteBytes(0, &v, sizeof(v));
}
template <int N, class T, Kind kKind>
bool Aligned(const Checked<T, kKind>& at) {
  return at.address() % (sizeof(T) * N) == 0;
}
template <class To, class From, Kind kKind>
Checked<const To, kKind> As(const Checked<From, kKind>& from) {
  return from.template Recast<const To>();
}

template <class T, class From>
void CopyAsync16(const Shared<T>& to, const Global<From>& from, bool valid) {
  static_assert(std::is_same_v<const T, const From>);
  if (to.address() % 16 != 0 || (valid && from.address() % 16 != 0))
    emulated::Fault("a copy that is not aligned", 0);
  to.BeginWrite(16);
  emulated::QueueCopy([to, from, valid] {
    std::byte bytes[16] = {};
    if (valid) from.ReadBytes(0, bytes, sizeof(bytes));
    to.WriteBytes(0, bytes, sizeof(bytes));
  });
}
inline void CommitCopies() { emulated::CommitQueued(); }
template <int Pending>
void WaitCopies() {
  emulated::WaitQueued(Pending);
}

// bf16 value `high` of a word.
inline float HalfOf(uint32_t word, int high) {
  return ToFloat(BF16{static_cast<uint16_t>(high ? word >> 16 : word)});
}
void MultiplyTiles(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                   const emulated::Place& place = emulated::Place::current());

struct TileRow {
  uint16_t value[8];
};
void ArrangeTiles(uint32_t (&r)[4], const TileRow& own, bool transposed,
                  const emulated::Place& place);
template <bool kTransposed, class T>
void LoadTiles(uint32_t (&r)[4], const Shared<T>& row,
               const emulated::Place& place = emulated::Place::current()) {
  if (row.address() % 16 != 0) emulated::Fault("a row of a tile that is not aligned", 0);
  TileRow own{};
  row.ReadBytes(0, &own, sizeof(own));
  ArrangeTiles(r, own, kTransposed, place);
}

}  // namespace retort::cuda
