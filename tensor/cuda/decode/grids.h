// SPDX-License-Identifier: Apache-2.0
// Tables of weight formats in the device's memory, made by the compiler from the same sources as
// the CPU's. They are read through the L1 cache: the 16 levels of a format fill half a line, so
// that a warp's look-ups are one access whatever the codes.
#pragma once

#include <array>
#include <cstddef>

#include "tensor/cuda/language/kernel_language.h"
#include "tensor/quant/iq_points.h"
#include "tensor/quant/levels.h"

namespace retort::cuda {

template <class T, size_t kCount>
struct alignas(64) Table {
  T value[kCount];
  __device__ T operator[](uint32_t i) const { return value[i]; }
};
template <class T, size_t kCount, class From>
constexpr Table<T, kCount> TableOf(const From& from) {
  Table<T, kCount> table{};
  for (size_t i = 0; i < kCount; ++i) table.value[i] = from[i];
  return table;
}
template <class Point, size_t kCount, class Levels>
constexpr Table<Point, kCount> GridOf(std::string_view text, const Levels& levels) {
  return TableOf<Point, kCount>(Points<Point, kCount>(text, levels));
}

static __device__ const Table<float, 16> kIq4Table = TableOf<float, 16>(kIq4Levels);
static __device__ const Table<float, 16> kMxfp4Table = TableOf<float, 16>(kMxfp4Levels);
static __device__ const Table<float, 16> kNf4Table = TableOf<float, 16>(kNf4Levels);
static __device__ const Table<float, 16> kFp4Table = TableOf<float, 16>(kFp4Levels);

static __device__ const Table<uint64_t, 256> kIq2XxsPoints =
    GridOf<uint64_t, 256>(kIq2XxsText, kIq2Levels);
static __device__ const Table<uint64_t, 512> kIq2XsPoints =
    GridOf<uint64_t, 512>(kIq2XsText, kIq2Levels);
static __device__ const Table<uint64_t, 1024> kIq2SPoints =
    GridOf<uint64_t, 1024>(kIq2SText, kIq2Levels);
static __device__ const Table<uint32_t, 256> kIq3XxsPoints =
    GridOf<uint32_t, 256>(kIq3XxsText, kIq3XxsLevels);
static __device__ const Table<uint32_t, 512> kIq3SPoints =
    GridOf<uint32_t, 512>(kIq3SText, kIq3SLevels);
static __device__ const Table<uint64_t, 2048> kIq1Points =
    GridOf<uint64_t, 2048>(kIq1Text, kIq1Levels);

}  // namespace retort::cuda
