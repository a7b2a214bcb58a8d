// SPDX-License-Identifier: Apache-2.0
// Random models made in memory for benchmarks: their weights must be in real memory and have normal
// values.
#include "bench/random_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "base/error.h"
#include "export/init_model.h"
#include "tensor/cpu/products.h"
#include "tensor/quant/quant.h"
#include "tests/support/random_model.h"

namespace retort {
namespace {

std::vector<float> Row(const Weight& w, int64_t row) {
  std::vector<float> out(static_cast<size_t>(w.cols()));
  DecodeRow(w, row, 0, w.cols(), out.data());
  return out;
}

TEST(RandomModelTest, WeightsAreSmallAndDiffer) {
  const auto memory = MakeHostMemory();
  for (const WeightFormat format : AllFormats()) {
    const Weight w = RandomWeight(format, 300, 256, 1, *memory);
    double squares = 0;
    for (int64_t r = 0; r < w.rows(); ++r) {
      for (const float v : Row(w, r)) {
        ASSERT_LT(std::abs(v), 0.2) << TraitsOf(format).name;
        squares += double{v} * v;
      }
    }
    EXPECT_NEAR(std::sqrt(squares / (300 * 256)), 0.02, 0.007) << TraitsOf(format).name;
    EXPECT_NE(Row(w, 0), Row(w, 1)) << TraitsOf(format).name;
    EXPECT_NE(Row(w, 0), Row(RandomWeight(format, 300, 256, 2, *memory), 0));
  }
}

TEST(RandomModelTest, RefusesRowsThatDoNotDivide) {
  const auto memory = MakeHostMemory();
  EXPECT_THROW(RandomWeight(WeightFormat::kQ8_0, 4, 40, 1, *memory), Error);
  EXPECT_NO_THROW(RandomWeight(WeightFormat::kNF4, 3, 41, 1, *memory));  // its blocks cross rows
}

TEST(RandomModelTest, GivesTheTablesTheirOwnFormat) {
  const auto backend = MakeCpuBackend(1, Compute::kF32);
  const DenseConfig c = ShapeNamed("2,64,4,2,128,512");
  const auto q4 = MakeRandomModel(c, WeightFormat::kQ4_0, *backend);
  EXPECT_EQ(q4->linear(LinearNamed(q4->layout, "model.layers.1.mlp.down_proj"))
                .frozen()
                .as<CpuWeight>()
                .weight.format(),
            WeightFormat::kQ4_0);
  EXPECT_EQ(q4->linear(q4->layout.head).frozen().as<CpuWeight>().weight.format(),
            WeightFormat::kQ8_0);
  const auto nf4 = MakeRandomModel(c, WeightFormat::kNF4, *backend);
  EXPECT_EQ(nf4->linear(LinearNamed(nf4->layout, "model.layers.0.self_attn.q_proj"))
                .frozen()
                .as<CpuWeight>()
                .weight.format(),
            WeightFormat::kNF4);
  EXPECT_EQ(nf4->linear(nf4->layout.embedding).frozen().as<CpuWeight>().weight.format(),
            WeightFormat::kBF16);
}

// Every family's extra tensors are there, and no layer lets the numbers run away.
TEST(RandomModelTest, ComputesFiniteLogits) {
  for (const WeightFormat format : AllFormats()) {
    const auto backend = MakeCpuBackend(1, Compute::kF32);
    DenseConfig c = ShapeNamed("2,256,4,2,256,512");
    c.qkv_bias = true, c.qk_norm = QkNorm::kHeads;
    const auto model = MakeRandomModel(c, format, *backend);
    Batch batch;
    std::vector<int32_t> ids(40);
    std::iota(ids.begin(), ids.end(), 3);
    batch.AddRow(ids, 0);
    Context context{*backend};
    const Var hidden = model->Hidden(context, {batch});
    const auto logits = backend->ToFloats(model->Logits(context, nullptr, hidden, {39}));
    ASSERT_EQ(logits.size(), 512u);
    for (const float v : logits) ASSERT_TRUE(std::isfinite(v)) << TraitsOf(format).name;
    EXPECT_NE(logits[0], logits[1]);
  }
}

}  // namespace
}  // namespace retort
