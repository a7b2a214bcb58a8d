// SPDX-License-Identifier: Apache-2.0
// A loss that an observer puts on the outputs of blocks, with and without gradient checkpointing.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/random_model.h"

namespace retort {
namespace {

struct Observed {
  double loss = 0;
  int outputs = 0;
  std::vector<std::vector<double>> gradients;  // of the adapter's parameters, then the projection's
};

// The adapter's gradient of 0.5 times the distance of block 0's output to a constant, in double.
Observed Pass(bool checkpoint, bool later_loss) {
  const auto backend = MakeReferenceBackend();
  const auto model = RandomModel(SmallConfig(11), 3, *backend);
  const auto adapter = Adapter::Make({.rank = 2}, model->layout, 5, *backend);
  RandomStream random(MakeKey(9, RandomUse::kInit));
  const auto normal = [&](Shape shape) {
    std::vector<double> values(static_cast<size_t>(shape.elements()));
    for (double& v : values) v = random.Normal();
    return backend->FromDoubles(values, shape);
  };
  for (Parameter* p : adapter->parameters()) p->value = normal(p->value.shape());
  Parameter projection("projection", normal({7, 24}));
  const Tensor teacher = normal({2, 7});
  const Tensor rows = backend->Upload(std::vector<int32_t>{4, 1});

  Observed out;
  Tape tape(*backend);
  Context context{*backend, &tape};
  Observer observer;
  observer.block_output = [&](int64_t layer, const Var& x) {
    ++out.outputs;
    if (layer != 0) return;
    out.loss = 0;
    for (double l : backend->ToDoubles(ops::HiddenLoss(context, x, rows, teacher, projection.var(),
                                                       HiddenLossKind::kMse, 0.5f)))
      out.loss += l;
  };
  Batch batch;
  batch.AddRow(std::vector<int32_t>{3, 1, 4, 1, 5}, 0);
  ForwardPass pass{batch, adapter.get()};
  pass.checkpoint = checkpoint;
  pass.observer = &observer;
  const Var hidden = model->Hidden(context, pass);
  if (later_loss)
    model->Losses(context, nullptr, hidden, backend->Upload(std::vector<int32_t>{1, 2}),
                  ops::CrossEntropy(backend->Upload(std::vector<int32_t>{4, 1}), 0.25f));
  tape.Run();
  for (Parameter* p : adapter->parameters())
    out.gradients.push_back(p->gradient.sum() ? backend->ToDoubles(p->gradient.sum())
                                              : std::vector<double>());
  out.gradients.push_back(backend->ToDoubles(projection.gradient.sum()));
  return out;
}

TEST(Observer, ALossOnABlockReachesWhatComesBeforeIt) {
  const Observed alone = Pass(false, false);
  EXPECT_EQ(alone.outputs, 2);
  EXPECT_GT(alone.loss, 0);
  const size_t half = (alone.gradients.size() - 1) / 2;  // block 0's parameters
  for (size_t i = 0; i < 2 * half; ++i) EXPECT_EQ(alone.gradients[i].empty(), i >= half) << i;
}

TEST(Observer, CheckpointingChangesNoGradient) {
  const Observed plain = Pass(false, true), checkpointed = Pass(true, true);
  EXPECT_EQ(plain.outputs, checkpointed.outputs);
  EXPECT_EQ(plain.loss, checkpointed.loss);
  ASSERT_EQ(plain.gradients.size(), checkpointed.gradients.size());
  for (size_t i = 0; i < plain.gradients.size(); ++i) {
    ASSERT_EQ(plain.gradients[i].size(), checkpointed.gradients[i].size());
    for (size_t j = 0; j < plain.gradients[i].size(); ++j)
      EXPECT_NEAR(plain.gradients[i][j], checkpointed.gradients[i][j],
                  1e-12 * (1 + std::abs(plain.gradients[i][j])));
  }
}

}  // namespace
}  // namespace retort
