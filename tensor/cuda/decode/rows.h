// SPDX-License-Identifier: Apache-2.0
// Decoders of a weight's rows. A decoder is a value that kernels take:
//   // Values [col, col + 8) of a row, col a multiple of 8; zeros beyond the row's end.
//   __device__ void operator()(int64_t row, int64_t col, Eight& out) const;
#pragma once

#include "tensor/cuda/arguments.h"
#include "tensor/cuda/decode/bytes.h"
#include "tensor/cuda/decode/grids.h"
#include "tensor/cuda/device_weight.h"

namespace retort::cuda {

inline constexpr int kEight = 8;

// Formats whose rows are whole blocks.
template <class Format>
struct BlockRows {
  Global<const uint8_t> bytes;
  int64_t row_blocks;

  explicit BlockRows(const DeviceWeight& w)
      : bytes(In<uint8_t>(w.bytes)), row_blocks(w.cols / Format::kElements) {}
  __device__ void operator()(int64_t row, int64_t col, Eight& out) const {
    const auto column = static_cast<uint32_t>(col);
    const int64_t block = row * row_blocks + column / Format::kElements;
    Format::Decode(bytes + block * Format::kBytes,
                   static_cast<int>(column % Format::kElements / kEight), out);
  }
};

// f32, f16 and bf16.
template <class T>
struct PlainRows {
  Global<const T> values;
  int64_t cols;

  PlainRows(Global<const T> at, int64_t row_cols) : values(at), cols(row_cols) {}
  explicit PlainRows(const DeviceWeight& w)
      : values(GlobalAt<const T>(w.bytes.address(), w.bytes.bytes())), cols(w.cols) {}
  __device__ void operator()(int64_t row, int64_t col, Eight& out) const {
    constexpr int kVector = 16 / sizeof(T);  // elements of the widest read
    const Global<const T> at = values + (row * cols + col);
    if (col + kEight <= cols && Aligned<kVector>(at)) {
      for (int i = 0; i < kEight; i += kVector) {
        const Vector<T, kVector> v = LoadVector<kVector>(at + i);
        for (int j = 0; j < kVector; ++j) out[i + j] = Widen(v.value[j]);
      }
      return;
    }
    for (int j = 0; j < kEight; ++j) {
      out[j] = 0;
      if (col + j >= cols) continue;
      const T v = at[j];
      out[j] = Widen(v);
    }
  }
};

// NF4 and FP4: blocks of 64 values of the flattened matrix, which may cross rows. A byte holds two
// values, the first in its high half.
template <bool kNf4>
struct FourBitRows {
  static constexpr int kElements = 64, kNested = 256;  // values of a block, maxima of a nested one
  Global<const uint8_t> bytes;
  int64_t cols;
  Global<const float> absmax;
  bool double_quant;
  Global<const uint8_t> codes;
  Global<const float> nested_absmax, map;
  float offset;

  explicit FourBitRows(const DeviceWeight& w)
      : bytes(In<uint8_t>(w.bytes)),
        cols(w.cols),
        absmax(In<float>(w.scales.absmax)),
        double_quant(w.scales.double_quant),
        codes(In<uint8_t>(w.scales.codes)),
        nested_absmax(In<float>(w.scales.nested_absmax)),
        map(In<float>(w.map)),
        offset(w.scales.offset) {}

  __device__ float Maximum(int64_t block) const {
    if (!double_quant) {
      const float maximum = absmax[block];
      return maximum;
    }
    const uint8_t code = codes[block];
    const float unit = map[code], nested = nested_absmax[block / kNested];
    return Plus(Times(unit, nested), offset);
  }
  __device__ static float Level(uint32_t code) {
    if constexpr (kNf4) {
      return kNf4Table[code];
    } else {
      return kFp4Table[code];
    }
  }
  __device__ void operator()(int64_t row, int64_t col, Eight& out) const {
    const int64_t first = row * cols + col;
    if (first % kEight == 0 && col + kEight <= cols) {  // a word, and of one block
      const uint32_t word = ReadWord<4>(bytes + first / 2);
      const float maximum = Maximum(first / kElements);
      for (int j = 0; j < kEight; ++j) out[j] = Times(Level(word >> (4 * (j ^ 1)) & 15), maximum);
      return;
    }
    for (int j = 0; j < kEight; ++j) {
      out[j] = 0;
      if (col + j >= cols) continue;
      const int64_t i = first + j;
      const uint32_t pair = ReadByte(bytes + i / 2);
      out[j] = Times(Level(pair >> (i % 2 == 0 ? 4 : 0) & 15), Maximum(i / kElements));
    }
  }
};

}  // namespace retort::cuda
