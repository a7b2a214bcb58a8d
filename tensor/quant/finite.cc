// SPDX-License-Identifier: Apache-2.0
#include "tensor/quant/finite.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <limits>

#include "tensor/cpu/simd.h"
#include "tensor/quant/decode.h"

namespace retort {
namespace {

constexpr int64_t kSearched = 2048;          // values decoded at a time
constexpr int64_t kPieceSearched = 1 << 18;  // of a piece of work
constexpr int32_t kExponent = 0x7f800000;    // all ones: NaN or infinity

// Whether any of n values is not finite.
struct AnyOddKernel {
  template <int W>
  RETORT_INLINE static void Run(const float* x, int64_t n, bool* any) {
    Ints<W> odd = {};
    int64_t i = 0;
    for (; i + W <= n; i += W) odd |= ((Ints<W>)Load<W>(x + i) & kExponent) == kExponent;
    if (i < n) odd |= ((Ints<W>)Load<W>(x + i, FirstLanes{n - i}) & kExponent) == kExponent;
    for (int lane = 0; lane < W; ++lane) *any |= odd[lane] != 0;
  }
};

std::optional<OddValue> FirstInRows(const Weight& w, int64_t begin, int64_t end) {
  alignas(64) std::array<float, kSearched> values;
  for (int64_t row = begin; row < end; ++row) {
    for (int64_t col = 0; col < w.cols(); col += kSearched) {
      const int64_t n = std::min(kSearched, w.cols() - col);
      DecodeRow(HostIsa(), w, row, col, n, values.data());
      bool any = false;
      CallSimd<AnyOddKernel>(HostIsa(), static_cast<const float*>(values.data()), n, &any);
      if (!any) continue;
      const auto odd = std::find_if(values.begin(), values.begin() + n,
                                    [](float v) { return !std::isfinite(v); });
      return OddValue{row, col + (odd - values.begin()), *odd};
    }
  }
  return std::nullopt;
}

[[noreturn]] void Refuse(const OddValue& odd, std::string_view where, std::string_view name,
                         std::string_view place) {
  throw InputError(where, ": tensor ", name, " holds ", odd.value, " at ", place,
                   "; weights must be numbers: fetch or convert the model again");
}

}  // namespace

std::optional<OddValue> FirstNotFinite(const Weight& w, ThreadPool& pool) {
  const int64_t grain = std::max<int64_t>(1, kPieceSearched / std::max<int64_t>(1, w.cols()));
  std::atomic<int64_t> first = std::numeric_limits<int64_t>::max();  // row with such a value
  pool.For((w.rows() + grain - 1) / grain, [&](int64_t piece, int) {
    if (piece * grain > first.load(std::memory_order_relaxed)) return;
    const auto odd = FirstInRows(w, piece * grain, std::min(w.rows(), (piece + 1) * grain));
    if (!odd) return;
    int64_t known = first;
    while (odd->row < known && !first.compare_exchange_weak(known, odd->row)) {
    }
  });
  const int64_t row = first;
  if (row == std::numeric_limits<int64_t>::max()) return std::nullopt;
  return FirstInRows(w, row, row + 1);
}

void CheckFinite(const Weight& w, std::string_view where, std::string_view name, int64_t first_row,
                 ThreadPool& pool) {
  const auto odd = FirstNotFinite(w, pool);
  if (odd) Refuse(*odd, where, name, Cat("row ", first_row + odd->row, ", column ", odd->col));
}

void CheckFinite(std::span<const float> values, std::string_view where, std::string_view name) {
  const auto odd = std::ranges::find_if(values, [](float v) { return !std::isfinite(v); });
  if (odd == values.end()) return;
  Refuse({0, 0, *odd}, where, name, Cat("place ", odd - values.begin()));
}

}  // namespace retort
