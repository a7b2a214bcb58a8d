// SPDX-License-Identifier: Apache-2.0
#include "compress/importance.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tensor/cpu/products.h"
#include "tensor/quant/quant.h"
#include "tests/support/random_model.h"

namespace retort {
namespace {

std::vector<Example> SomeExamples() {
  std::vector<Example> out = {
      {0, {3, 1, 4, 1, 5, 9, 2, 6}, {}}, {1, {8, 2, 8}, {}}, {2, {1, 7, 3, 2, 0}, {}}};
  for (Example& example : out) example.labels = example.ids;
  return out;
}

// Of every block, its output on all examples' tokens in order; entry 0: the embeddings.
std::vector<std::vector<float>> Stream(const Model& model, const std::vector<Example>& examples) {
  std::vector<std::vector<float>> out(static_cast<size_t>(model.config.layers()) + 1);
  const auto append = [&](int64_t depth, const Tensor& x) {
    const std::vector<float> values = model.backend.ToFloats(x);
    auto& all = out[static_cast<size_t>(depth)];
    all.insert(all.end(), values.begin(), values.end());
  };
  Observer observer;
  observer.block_output = [&](int64_t layer, const Var& x) { append(layer + 1, x.value); };
  Context context{model.backend};
  for (const Example& example : examples) {
    Batch batch;
    batch.AddRow(example.ids, 0);
    append(0, model.Embed(context, nullptr, batch, model.backend.Upload(batch.ids)).value);
    ForwardPass pass{batch};
    pass.observer = &observer;
    model.Hidden(context, pass);
  }
  return out;
}

double Dot(const float* a, const float* b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += double{a[i]} * b[i];
  return sum;
}

TEST(Importance, InfluenceIsTheTurnOfTheStream) {
  const auto backend = MakeCpuBackend(1, Compute::kF32);
  DenseConfig config = SmallConfig(11);
  config.layers = 4;
  const auto model = RandomModel(config, 3, *backend);
  ImportanceOptions options;
  options.batch_tokens = 9;  // two batches
  const LayerRanking got = RankLayers(*model, SomeExamples(), LayerRule::kCosine, 2, options);
  const auto stream = Stream(*model, SomeExamples());
  std::vector<double> want;
  for (size_t layer = 0; layer < 4; ++layer) {
    double sum = 0;
    for (size_t at = 0; at < stream[0].size(); at += 24) {
      const float *a = &stream[layer][at], *b = &stream[layer + 1][at];
      sum += 1 - Dot(a, b, 24) / std::sqrt(Dot(a, a, 24) * Dot(b, b, 24));
    }
    want.push_back(sum / (static_cast<double>(stream[0].size()) / 24));
    EXPECT_NEAR(got.importance[layer], want[layer], 1e-6);
  }
  EXPECT_EQ(got.kept, LargestPlaces(want, 2));
  EXPECT_LE(want[static_cast<size_t>(got.dropped[0])], want[static_cast<size_t>(got.dropped[1])]);
}

// Without neuron f a block's output changes by active_f times column f of the down projection.
TEST(Importance, ANeuronCountsByWhatTheBlockLosesWithoutIt) {
  const auto backend = MakeCpuBackend(1, Compute::kF32);
  const auto model = RandomModel(SmallConfig(11), 3, *backend);
  const auto whole = Stream(*model, SomeExamples());
  const auto got = NeuronImportance(*model, SomeExamples(), {.batch_tokens = 9});
  ASSERT_EQ(got.size(), 2u);
  ASSERT_EQ(got[1].size(), 40u);
  const LinearId down_id = LinearNamed(model->layout, "model.layers.1.mlp.down_proj");
  const Weight down = model->linear(down_id).frozen().as<CpuWeight>().weight;
  for (const int64_t f : {0, 17, 39}) {
    auto values = std::make_shared<std::vector<float>>(static_cast<size_t>(24 * 40));
    for (int64_t r = 0; r < 24; ++r) DecodeRow(down, r, 0, 40, values->data() + r * 40);
    for (int64_t r = 0; r < 24; ++r) (*values)[static_cast<size_t>(r * 40 + f)] = 0;
    model->linears[static_cast<size_t>(down_id)].weight = backend->Prepare(
        Weight(WeightFormat::kF32, 24, 40, std::as_bytes(std::span(*values)), values));
    const auto without = Stream(*model, SomeExamples());
    double sum = 0;
    for (size_t at = 0; at < whole[2].size(); at += 24) {
      double squares = 0;
      for (size_t i = at; i < at + 24; ++i)
        squares += std::pow(double{whole[2][i]} - without[2][i], 2);
      sum += std::sqrt(squares);
    }
    const double want = sum / (static_cast<double>(whole[2].size()) / 24);
    EXPECT_NEAR(got[1][static_cast<size_t>(f)], want, 1e-5 * want + 1e-7) << f;
  }
}

TEST(Importance, LargestPlacesAreInOrder) {
  EXPECT_EQ(LargestPlaces({1, 5, 2, 5, 0, 2}, 3), (std::vector<int64_t>{1, 2, 3}));
}

}  // namespace
}  // namespace retort
