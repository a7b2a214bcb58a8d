// SPDX-License-Identifier: Apache-2.0
#include "model/lora.h"

#include <gtest/gtest.h>

#include <cmath>

namespace retort {
namespace {

TEST(LoraScale, IsAlphaOverRankOrItsRoot) {
  EXPECT_EQ(LoraScale(32, 16, false), 2);
  EXPECT_EQ(LoraScale(32, 16, true), 8);
}

TEST(Targets, MatchesSuffixesPatternsAndExclusions) {
  const std::string q = "model.layers.3.self_attn.q_proj", up = "model.layers.3.mlp.up_proj";
  AdapterConfig c;
  EXPECT_TRUE(Targets(c, q));
  c.targets = {"q_proj"};
  EXPECT_TRUE(Targets(c, q));
  EXPECT_FALSE(Targets(c, up));
  c.targets = {"proj"};  // a suffix ends at a dot
  EXPECT_FALSE(Targets(c, q));
  c.targets = {};
  c.target_pattern = R"(.*\.3\.mlp\..*)";
  EXPECT_TRUE(Targets(c, up));
  EXPECT_FALSE(Targets(c, q));
  c.target_pattern = "mlp";  // matched whole
  EXPECT_FALSE(Targets(c, up));
  c.target_pattern = "all-linear";
  c.exclude = {"mlp.up_proj"};
  EXPECT_FALSE(Targets(c, up));
  c.exclude = {};
  c.exclude_pattern = R"(model\.layers\.3\..*)";
  EXPECT_FALSE(Targets(c, q));
  EXPECT_TRUE(Targets(c, "model.layers.2.self_attn.q_proj"));
  c.target_pattern = "(";
  EXPECT_THROW(Targets(c, "model.layers.2.self_attn.q_proj"), Error);
}

TEST(Adapter, StartsWithAUniformAndBZero) {
  ModelConfig model;
  model.layers = 2, model.width = 32, model.heads = 4, model.kv_heads = 2, model.head_dim = 8,
  model.ffn = 64;
  const auto backend = MakeReferenceBackend();
  const auto adapter = Adapter::Make({}, model, 7, *backend);
  ASSERT_EQ(adapter->parameters().size(), 2u * 2 * kSlots);
  double squares = 0, count = 0;
  for (const Parameter* p : adapter->parameters()) {
    for (double v : backend->ToDoubles(p->value)) {
      if (p->name.ends_with("lora_B")) {
        EXPECT_EQ(v, 0) << p->name;
      } else {
        const double unit = v * std::sqrt(static_cast<double>(p->value.cols()));
        EXPECT_LE(std::abs(unit), 1) << p->name;
        squares += unit * unit;
        ++count;
      }
    }
  }
  EXPECT_NEAR(squares / count, 1.0 / 3, 0.01);  // the variance of U(-1, 1)
}

}  // namespace
}  // namespace retort
