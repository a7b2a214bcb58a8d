// SPDX-License-Identifier: Apache-2.0
// The amount of work per token, against numbers counted by hand and published numbers.
#include "bench/work.h"

#include <gtest/gtest.h>

#include "bench/random_model.h"
#include "bench/timing.h"
#include "export/init_model.h"

namespace retort {
namespace {

TEST(WorkTest, CountsTheParametersOfProducts) {
  const DenseConfig c = ShapeNamed("2,64,4,2,128,512");  // head width 16: k and v are 32 wide
  const int64_t block = 64 * 64 + 2 * (32 * 64) + 64 * 64 + 3 * (64 * 128);
  EXPECT_EQ(BlockParameters(c), 2 * block);
  EXPECT_EQ(MatrixParameters(c), 2 * block + 512 * 64);
}

TEST(WorkTest, AgreesWithPublishedSizes) {
  // SmolLM2-135M has 134,515,008 parameters: the norms' 61 x 576 are no products.
  EXPECT_EQ(MatrixParameters(ShapeNamed("smollm2-135m")), 134515008 - 61 * 576);
  // Llama-3.2-1B: 1,235,814,400, with 33 norms of 2048.
  EXPECT_EQ(MatrixParameters(ShapeNamed("llama3.2-1b")), 1235814400 - 33 * 2048);
  // Llama-3.1-8B: 8,030,261,248, with 65 norms of 4096 and an embedding beside the head.
  EXPECT_EQ(MatrixParameters(ShapeNamed("llama3.1-8b")), 8030261248 - 65 * 4096 - 128256 * 4096);
}

TEST(WorkTest, CountsTheBytesThatDecodingReads) {
  const auto backend = MakeCpuBackend(1, Compute::kF32);
  DenseConfig c = ShapeNamed("2,64,4,2,128,512");
  const double matrices = 2.0 * static_cast<double>(MatrixParameters(c));  // bf16
  const double token = 2 * 32 * 2 * 2;  // keys and values, 32 wide, 2 layers, 2 bytes
  const auto untied = MakeRandomModel(c, WeightFormat::kBF16, *backend);
  EXPECT_EQ(DecodeBytes(*untied, DType::kBF16, 1, 10), matrices + 10 * token);
  EXPECT_EQ(DecodeBytes(*untied, DType::kF16, 3, 64.5), matrices + 3 * 64.5 * token);
  EXPECT_EQ(DecodeBytes(*untied, DType::kF32, 1, 10), matrices + 20 * token);
  c.tied = true;
  const auto tied = MakeRandomModel(c, WeightFormat::kBF16, *backend);
  EXPECT_EQ(DecodeBytes(*tied, DType::kBF16, 1, 10), matrices + 10 * token);
  c.window = 4;
  const auto sliding = MakeRandomModel(c, WeightFormat::kBF16, *backend);
  EXPECT_EQ(DecodeBytes(*sliding, DType::kBF16, 1, 10), matrices + 4 * token);
}

TEST(WorkTest, CountsBlockFormatsWithTheirScales) {
  const auto backend = MakeCpuBackend(1, Compute::kF32);
  const DenseConfig c = ShapeNamed("2,64,4,2,128,512");
  const auto blocks = static_cast<double>(BlockParameters(c));
  const double head = 512 * 64;
  const auto q8 = MakeRandomModel(c, WeightFormat::kQ8_0, *backend);
  EXPECT_EQ(DecodeBytes(*q8, DType::kF16, 1, 0), (blocks + head) * 34 / 32);
  const auto q4 = MakeRandomModel(c, WeightFormat::kQ4_0, *backend);
  EXPECT_EQ(DecodeBytes(*q4, DType::kF16, 1, 0), blocks * 18 / 32 + head * 34 / 32);
}

TEST(SpreadTest, TakesTheMiddle) {
  const Spread odd = SpreadOf({9, 1, 5});
  EXPECT_EQ(odd.median, 5);
  EXPECT_EQ(odd.least, 1);
  EXPECT_EQ(odd.most, 9);
  EXPECT_EQ(SpreadOf({4, 1, 2, 9}).median, 3);
}

}  // namespace
}  // namespace retort
