// SPDX-License-Identifier: Apache-2.0
// Weights for tests, with the memory that holds them.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "tensor/quant/quant.h"
#include "tensor/quant/random_blocks.h"
#include "tensor/quant/strips.h"
#include "tests/tensor/cpu_support.h"

namespace retort {

// All values of a weight.
inline std::vector<float> Decoded(const Weight& w) {
  std::vector<float> out(static_cast<size_t>(w.rows() * w.cols()));
  for (int64_t r = 0; r < w.rows(); ++r) DecodeRow(w, r, 0, w.cols(), out.data() + r * w.cols());
  return out;
}

class TestWeights {
 public:
  Memory& memory() { return *memory_; }

  // The first rows x cols values, as f32 and then in `format`.
  Weight Make(WeightFormat format, int64_t rows, int64_t cols, const std::vector<float>& values,
              bool double_quant = false) {
    const Tensor copy = Tensor::Make(*memory_, {rows, cols}, DType::kF32);
    std::copy_n(values.data(), rows * cols, copy.data<float>());
    const Weight plain(WeightFormat::kF32, rows, cols,
                       Bytes(copy.raw(), static_cast<size_t>(copy.bytes())),
                       std::make_shared<Tensor>(copy));
    return format == WeightFormat::kF32 ? plain : Converted(plain, format, double_quant);
  }
  Weight InStrips(const Weight& w) { return retort::InStrips(w, *memory_, pool_); }
  // Of a format that is only read: some blocks of about the size of RandomFloats.
  Weight Converted(const Weight& source, WeightFormat format, bool double_quant = false) {
    const BlockFormat& f = TraitsOf(format);
    if (!f.encode && !f.convert) return Any(format, source.rows(), source.cols());
    return Requantised(source, format, double_quant, *memory_, pool_);
  }

  Weight Any(WeightFormat format, int64_t rows, int64_t cols) {
    RandomStream random(MakeKey(5, RandomUse::kData));
    const int64_t row_bytes = RowBytes(format, cols);
    auto bytes = std::make_shared<std::vector<std::byte>>(static_cast<size_t>(rows * row_bytes));
    for (int64_t r = 0; r < rows; ++r)
      RandomRow(format, cols, 0.3, random, bytes->data() + r * row_bytes);
    return Weight(format, rows, cols, Bytes(*bytes), bytes);
  }

 private:
  std::shared_ptr<Memory> memory_ = MakeHostMemory();
  ThreadPool pool_{1};
};

}  // namespace retort
