// SPDX-License-Identifier: Apache-2.0
// The gradients of what adapters have beside A and B, against central differences in double.
#include "tests/autograd/gradient_support.h"

namespace retort {
namespace {

Var Squared(Context& c, const Var& x) {  // so that gradients depend on the values
  return ops::GatedActivation(c, Activation::kSilu, x, x);
}

TEST_F(GradientTest, Resize) {
  Parameter &x = Make("x", {4, 6}), &size = Make("size", {6}, 1);
  const Tensor norms = backend_->FromDoubles(std::vector<double>{1, 2, 0.5, 3, 1.5, 0.7}, {6});
  ExpectOp([&](Context& c) { return Squared(c, ops::Resize(c, x.var(), size.var(), norms)); });
  ExpectOp([&](Context& c) {  // x beside it
    return ops::Add(c, ops::Resize(c, x.var(), size.var(), norms), Squared(c, x.var()));
  });
}

TEST_F(GradientTest, ReplacedRows) {
  Parameter &x = Make("x", {5, 4}), &rows = Make("rows", {2, 4});
  ExpectOp([&](Context& c) {
    const Var y = ops::ReplaceRows(c, ops::Scale(c, x.var(), 1), rows.var(), Numbers({4, 1}));
    return Squared(c, y);
  });
}

TEST_F(GradientTest, ReplacedColumns) {
  Parameter &x = Make("x", {5, 4}), &columns = Make("columns", {5, 3});
  ExpectOp([&](Context& c) {
    const Var y =
        ops::ReplaceColumns(c, ops::Scale(c, x.var(), 1), columns.var(), Numbers({3, 0, 2}));
    return Squared(c, y);
  });
}

TEST_F(GradientTest, FrozenEmbeddingWithAdapter) {
  const PreparedWeight table = Frozen(7, 4);
  Parameter &a = Make("a", {2, 4}), &b = Make("b", {7, 2});
  const Tensor ids = Numbers({3, 0, 3, 6, 1, 2, 4, 5});
  const ops::LowRank low_rank{a.var(), b.var(), 1.5f, {}};
  ExpectOp([&](Context& c) { return Squared(c, ops::Embedding(c, table, ids, &low_rank)); });
  // The rows of table + 1.5 b a.
  Context plain{*backend_};
  const std::vector<double> got =
      backend_->ToDoubles(ops::Embedding(plain, table, ids, &low_rank).value);
  const std::vector<double> rows = backend_->ToDoubles(ops::Embedding(plain, table, ids).value),
                            av = backend_->ToDoubles(a.value), bv = backend_->ToDoubles(b.value);
  for (size_t c = 0; c < 4; ++c) {  // of id 6
    EXPECT_NEAR(got[12 + c], rows[12 + c] + 1.5 * (bv[12] * av[c] + bv[13] * av[4 + c]), 1e-12);
  }
}

// Layers of one call whose adapters have one A.
TEST_F(GradientTest, LayersThatShareA) {
  const PreparedWeight first = Frozen(7, 5), second = Frozen(4, 5);
  Parameter &x = Make("x", {6, 5}), &a = Make("a", {2, 5}), &b = Make("b", {7, 2}),
            &other = Make("other", {4, 2});
  const ops::LowRank one{a.var(), b.var(), 0.5f, {}}, two{a.var(), other.var(), 1.5f, {}};
  ExpectOp([&](Context& c) {
    const std::array<ops::FrozenLayer, 2> layers = {ops::FrozenLayer{&first, {}, &one},
                                                    ops::FrozenLayer{&second, {}, &two}};
    std::array<Var, 2> y;
    ops::Linears(c, x.var(), layers, y);
    const Var left = Squared(c, y[0]), right = Squared(c, y[1]);
    return ops::Join(c, {&left, &right});
  });
}

// A head with an adapter and trained rows, in ops.
TEST_F(GradientTest, HeadOfOps) {
  const PreparedWeight w = Frozen(9, 5);
  Parameter &x = Make("x", {6, 5}), &a = Make("a", {2, 5}), &b = Make("b", {9, 2}),
            &rows = Make("rows", {2, 5});
  const Tensor chosen = Numbers({5, 0, 3}), targets = Numbers({8, 2, 4});
  const ops::Body head = [&](Context& c, const Var& in) {
    const ops::LowRank low_rank{a.var(), b.var(), 0.5f, {}};
    const Var z = ops::Linear(c, in, w, {}, &low_rank);
    return ops::ReplaceColumns(c, z, ops::Linear(c, in, rows.var()), Numbers({8, 1}));
  };
  for (const ops::HeadTransform& transform : {ops::HeadTransform{}, ops::HeadTransform{0.5f, 2}}) {
    Expect([&](Context& c) {
      const Tensor losses =
          ops::HeadLoss(c, x.var(), chosen, 9, head, ops::CrossEntropy(targets, 1), transform);
      double sum = 0;
      for (const double loss : backend_->ToDoubles(losses)) sum += loss;
      return sum;
    });
  }
  // Without an adapter and rows: the frozen head's.
  Context plain{*backend_};
  const ops::Body bare = [&](Context& c, const Var& in) { return ops::Linear(c, in, w); };
  const auto loss = ops::CrossEntropy(targets, 1);
  EXPECT_EQ(backend_->ToDoubles(ops::HeadLoss(plain, x.var(), chosen, 9, bare, loss)),
            backend_->ToDoubles(ops::HeadLoss(plain, x.var(), chosen, w, loss)));
}

}  // namespace
}  // namespace retort
