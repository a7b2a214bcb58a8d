// SPDX-License-Identifier: Apache-2.0
// Shared by the tests of gradients: parameters with random values, and the comparison with central
// differences.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "autograd/ops.h"
#include "tests/support/gradient_check.h"

namespace retort {

inline constexpr double kLimit = 1e-6;

class GradientTest : public ::testing::Test {
 protected:
  Parameter& Make(const std::string& name, Shape shape, double mean = 0) {
    RandomStream random(MakeKey(made_.size() + 1, RandomUse::kInit));
    std::vector<double> values(static_cast<size_t>(shape.elements()));
    for (double& v : values) v = mean + random.Normal();
    made_.push_back(std::make_unique<Parameter>(name, backend_->FromDoubles(values, shape)));
    return *made_.back();
  }

  // A frozen f32 weight with random values.
  PreparedWeight Frozen(int64_t rows, int64_t cols) {
    RandomStream random(MakeKey(77, RandomUse::kInit));
    auto values = std::make_shared<std::vector<float>>(static_cast<size_t>(rows * cols));
    for (float& v : *values) v = static_cast<float>(random.Normal());
    return backend_->Prepare(
        Weight(WeightFormat::kF32, rows, cols, std::as_bytes(std::span(*values)), values));
  }
  Tensor Numbers(const std::vector<int32_t>& values) { return backend_->Upload(values); }

  void Expect(const std::function<double(Context&)>& objective) {
    std::vector<Parameter*> parameters;
    for (const auto& p : made_) parameters.push_back(p.get());
    for (const GradientCheckResult& r : CheckGradients(*backend_, parameters, objective)) {
      EXPECT_LE(r.relative_error, kLimit) << r.name;
      EXPECT_GT(r.norm, 1e-3) << r.name << ": the objective does not depend on it";
    }
  }
  void ExpectOp(const std::function<Var(Context&)>& op) {
    Expect([&](Context& c) { return WeightedSum(c, op(c)); });
  }

  std::unique_ptr<Backend> backend_ = MakeReferenceBackend();
  std::vector<std::unique_ptr<Parameter>> made_;
};

}  // namespace retort
