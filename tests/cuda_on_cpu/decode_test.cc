// SPDX-License-Identifier: Apache-2.0
// Decoding on the device gives the bits of BlockFormat::decode, for every format.
#include "tensor/cuda/decode.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tensor/cuda/cuda_backend.h"
#include "tests/tensor/weights.h"

namespace retort {
namespace {

constexpr int64_t kRows = 5;

class CudaDecode : public testing::Test {
 protected:
  // Values that `format` encodes, or some blocks of a format that is only read.
  Weight Usual(WeightFormat format, int64_t cols, bool double_quant = false) {
    return weights_.Make(format, kRows, cols, RandomFloats(kRows * cols, 3, 0.3), double_quant);
  }
  // Blocks of any bytes: scales that are subnormal, infinite or NaN, every code.
  static Weight AnyBytes(WeightFormat format, int64_t cols) {
    RandomStream random(MakeKey(7, RandomUse::kData));
    auto bytes = std::make_shared<std::vector<std::byte>>(
        static_cast<size_t>(kRows * RowBytes(format, cols)));
    for (std::byte& b : *bytes) b = static_cast<std::byte>(random.Uniform() * 256);
    return Weight(format, kRows, cols, Bytes(*bytes), bytes);
  }

  // Rows from the second on, as f32 and bf16, and looked up by id.
  void ExpectDecoded(const Weight& w) {
    SCOPED_TRACE(Cat(TraitsOf(w.format()).name, ", ", w.cols(), " columns"));
    const PreparedWeight prepared = backend_.Prepare(w, {});
    const auto& device = prepared.as<cuda::DeviceWeight>();
    const Shape shape{kRows - 1, w.cols()};
    Tensor looked_up = backend_.New({3, w.cols()});
    backend_.EmbedRows(prepared, backend_.Upload(std::vector<int32_t>{kRows - 1, 0, kRows - 1}),
                       looked_up);
    const auto found = backend_.ToHost<float>(looked_up);
    const Tensor singles = backend_.New(shape), halves = backend_.New(shape, DType::kBF16);
    const std::unique_ptr<cuda::Queue> queue = cuda::MakeQueue();
    cuda::DecodeRows(*queue, device, 1, kRows - 1, singles);
    cuda::DecodeRows(*queue, device, 1, kRows - 1, halves);
    queue->Finish();
    const auto got = backend_.ToHost<float>(singles);
    const auto rounded = backend_.ToHost<BF16>(halves);
    std::vector<float> row(static_cast<size_t>(w.cols()));
    for (int64_t r = 0; r < kRows; ++r) {
      DecodeRow(w, r, 0, w.cols(), row.data());
      for (int64_t c = 0; c < w.cols(); ++c) {
        const float want = row[static_cast<size_t>(c)];
        const auto at = static_cast<size_t>((r - 1) * w.cols() + c);
        if (r > 0) {
          ASSERT_TRUE(Same(got[at], want)) << r << ", " << c << ": " << got[at] << ", not " << want;
          ASSERT_TRUE(Same(ToFloat(rounded[at]), ToFloat(ToBF16(want)))) << r << ", " << c;
        }
        for (int64_t i = 0; i < 3; ++i) {
          if (r != (i == 1 ? 0 : kRows - 1)) continue;
          ASSERT_TRUE(Same(found[static_cast<size_t>(i * w.cols() + c)], want)) << i << ", " << c;
        }
      }
    }
  }
  static bool Same(float a, float b) {
    return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b) ||
           (std::isnan(a) && std::isnan(b));
  }

  cuda::CudaBackend backend_{0, 1, Compute::kF32};
  TestWeights weights_;
};

TEST_F(CudaDecode, GivesTheBitsOfTheCpuForEveryFormat) {
  for (const WeightFormat format : AllFormats()) {
    const BlockFormat& f = TraitsOf(format);
    ExpectDecoded(Usual(format, f.flattened ? 192 : 3 * kMostBlockElements));
    if (!f.flattened) ExpectDecoded(AnyBytes(format, 5 * kMostBlockElements));
  }
}

// Rows that begin anywhere in a word or a block, and end in a part of eight values.
TEST_F(CudaDecode, TakesRowsOfAnyLength) {
  for (const int64_t cols : {1, 7, 37, 101, 1030}) {
    for (const WeightFormat format : {WeightFormat::kF32, WeightFormat::kF16, WeightFormat::kBF16,
                                      WeightFormat::kNF4, FormatNamed("fp4")}) {
      ExpectDecoded(Usual(format, cols));
      if (TraitsOf(format).flattened) ExpectDecoded(Usual(format, cols, true));
    }
  }
}

TEST_F(CudaDecode, TakesDoubleQuantisedMaxima) {
  for (const char* name : {"nf4", "fp4"}) ExpectDecoded(Usual(FormatNamed(name), 64 * 60, true));
}

TEST_F(CudaDecode, PutsStripsBackInRows) {
  for (const WeightFormat format : {WeightFormat::kQ8_0, WeightFormat::kQ4_0})
    ExpectDecoded(weights_.InStrips(Usual(format, 96)));
}

TEST_F(CudaDecode, AnIdWithoutARowGivesNan) {
  const PreparedWeight table = backend_.Prepare(Usual(WeightFormat::kQ8_0, 64), {});
  Tensor out = backend_.New({3, 64});
  backend_.EmbedRows(table, backend_.Upload(std::vector<int32_t>{-1, kRows, 2}), out);
  const std::vector<float> got = backend_.ToFloats(out);
  for (size_t i = 0; i < got.size(); ++i) EXPECT_EQ(std::isnan(got[i]), i < 128) << i;
}

TEST_F(CudaDecode, AWeightsProductsFollowWhatWasAskedFor) {
  const auto compute_of = [&](Compute asked, WeightFormat format) {
    cuda::CudaBackend backend(0, 1, asked);
    return backend.Prepare(Usual(format, 64), {}).compute();
  };
  for (const WeightFormat format : {WeightFormat::kF32, WeightFormat::kQ8_0, WeightFormat::kNF4}) {
    EXPECT_EQ(compute_of(Compute::kF32, format), Compute::kF32);
    EXPECT_EQ(compute_of(Compute::kBF16, format), Compute::kBF16);
    EXPECT_EQ(compute_of(Compute::kInt8, format), Compute::kBF16);
    EXPECT_EQ(compute_of(Compute::kAuto, format),
              format == WeightFormat::kF32 ? Compute::kF32 : Compute::kBF16);
  }
}

}  // namespace
}  // namespace retort
