// SPDX-License-Identifier: Apache-2.0
// The sums of squares of what matrices are multiplied by.
#include "eval/input_squares.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/eval/support.h"

namespace retort {
namespace {

std::vector<Example> ThreeRows() {
  std::vector<Example> out(3);
  out[0].ids = {1, 2, 3, 4, 5};
  out[1].ids = {6, 7};
  out[2].ids = {8, 9, 10};
  for (Example& example : out) example.labels = example.ids;
  return out;
}

TEST(InputSquares, OfTheFirstLayerAreThoseOfTheNormedEmbeddings) {
  const SmallWorld world;
  const Model& model = *world.model;
  const auto all = SumInputSquares(model, nullptr, ThreeRows(), {.batch_tokens = 6});
  // The root mean square norm of the embeddings' rows, in double.
  const auto width = static_cast<size_t>(model.config.width);
  std::vector<double> gain;
  for (const TensorSpec& spec : model.layout.tensors) {
    if (spec.name == "model.layers.0.input_layernorm.weight")
      gain = model.backend.ToDoubles(model.gains[static_cast<size_t>(spec.target.id)].value);
  }
  ASSERT_EQ(gain.size(), width);
  Context context{model.backend};
  std::vector<double> sums(width);
  for (const Example& example : ThreeRows()) {
    Batch batch;
    batch.AddRow(example.ids, 0);
    const std::vector<float> x = model.backend.ToFloats(
        model.Embed(context, nullptr, batch, model.backend.Upload(batch.ids)).value);
    for (size_t t = 0; t < example.ids.size(); ++t) {
      double square = 0;
      for (size_t c = 0; c < width; ++c) square += double{x[t * width + c]} * x[t * width + c];
      const double scale = 1 / (square / static_cast<double>(width) + model.config.norm.epsilon);
      for (size_t c = 0; c < width; ++c) {
        const double input = gain[c] * x[t * width + c];
        sums[c] += scale * input * input;
      }
    }
  }
  int found = 0;
  for (size_t id = 0; id < all.size(); ++id) {
    const LinearSpec& linear = model.layout.linears[id];
    if (linear.layer != 0 || !linear.name.ends_with("_proj")) continue;
    if (linear.name.find("q_proj") == std::string::npos &&
        linear.name.find("v_proj") == std::string::npos)
      continue;
    ++found;
    EXPECT_EQ(all[id].tokens, 10);
    for (size_t c = 0; c < width; ++c) EXPECT_NEAR(all[id].sums[c], sums[c], 1e-5 * sums[c]);
  }
  EXPECT_EQ(found, 2);
}

TEST(InputSquares, CountAllTokensOfEveryMatrixOfABlockAndNoOther) {
  const SmallWorld world;
  const auto at_once = SumInputSquares(*world.model, nullptr, ThreeRows(), {.batch_tokens = 100});
  const auto apart = SumInputSquares(*world.model, nullptr, ThreeRows(), {.batch_tokens = 1});
  for (size_t id = 0; id < at_once.size(); ++id) {
    const LinearSpec& linear = world.model->layout.linears[id];
    SCOPED_TRACE(linear.name);
    ASSERT_EQ(std::ssize(at_once[id].sums), linear.in_block() ? linear.cols : 0);
    EXPECT_EQ(at_once[id].tokens, linear.in_block() ? 10 : 0);
    for (size_t c = 0; c < at_once[id].sums.size(); ++c) {
      EXPECT_GT(at_once[id].sums[c], 0);
      EXPECT_NEAR(at_once[id].sums[c], apart[id].sums[c], 1e-5 * at_once[id].sums[c]);
    }
  }
}

}  // namespace
}  // namespace retort
