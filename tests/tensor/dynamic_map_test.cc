// SPDX-License-Identifier: Apache-2.0
#include "tensor/dynamic_map.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tests/tensor/cpu_support.h"

namespace retort {
namespace {

// Values of bitsandbytes' create_dynamic_map (version 0.50).
TEST(DynamicMap, HasTheKnownValues) {
  const auto &with = DynamicMap(true), &without = DynamicMap(false);
  EXPECT_FLOAT_EQ(with[0], -0.99296875f);
  EXPECT_FLOAT_EQ(with[126], -5.5e-7f);
  EXPECT_EQ(with[127], 0);
  EXPECT_FLOAT_EQ(with[130], 7.75e-6f);
  EXPECT_FLOAT_EQ(with[254], 0.99296875f);
  EXPECT_EQ(with[255], 1);
  // All of them, bit by bit.
  EXPECT_EQ(Sha256(std::as_bytes(std::span(with))),
            "e732639a65f497b4ad684bb166a4467708255edd5207757de8b8f0c7e1fda89c");
  EXPECT_EQ(Sha256(std::as_bytes(std::span(without))),
            "305f002cc11278fb769d13b25b9fd0c7c83c8402c40a878fe086f4039fde6398");
  EXPECT_EQ(without[0], 0);
  EXPECT_FLOAT_EQ(without[1], 3.25e-7f);
  EXPECT_FLOAT_EQ(without[254], 0.996484375f);
  for (const auto* map : {&with, &without}) {
    EXPECT_TRUE(std::is_sorted(map->begin(), map->end()));
    EXPECT_EQ(std::set<float>(map->begin(), map->end()).size(), 256u);
  }
}

TEST(DynamicMap, TheNearestCodeIsNearest) {
  for (const bool with_sign : {true, false}) {
    const auto& map = DynamicMap(with_sign);
    for (int i = 0; i < 256; ++i) EXPECT_EQ(NearestCode(map, map[static_cast<size_t>(i)]), i);
    for (double x = with_sign ? -1 : 0; x <= 1; x += 1.0 / 4096) {
      const auto value = static_cast<float>(x);
      float best = 2;
      for (const float v : map) best = std::min(best, std::abs(v - value));
      EXPECT_EQ(std::abs(map[NearestCode(map, value)] - value), best) << value;
    }
  }
}

TEST(DynamicMap, ASecondMomentAboveZeroStaysAboveZero) {
  EXPECT_EQ(NearestCode(DynamicMap(false), 1e-9f), 0);
  EXPECT_EQ(NearestAboveZero(1e-9f), 1);
  EXPECT_EQ(NearestAboveZero(0.0f), 0);
  EXPECT_EQ(NearestAboveZero(1.0f), 255);
}

// What the op cases do not compare: the moments that a step leaves behind. From a zero state they
// are (1 - beta1) g and (1 - beta2) g^2, to half a step of the map.
TEST(DynamicMap, AStepEncodesItsMoments) {
  CpuBackend cpu(2, Compute::kF32);
  constexpr int64_t kCount = 700;
  std::vector<float> g(kCount);
  for (size_t i = 0; i < g.size(); ++i) g[i] = std::sin(static_cast<float>(i + 1)) * 3;
  const auto zeros = [&] {
    return ByteMoment{cpu.Upload(std::vector<uint8_t>(kCount)), cpu.Upload(std::vector<float>(3))};
  };
  ByteMoment m = zeros(), v = zeros();
  Tensor p = cpu.Upload(std::vector<float>(kCount)), factor = cpu.Upload(std::vector<float>{1});
  cpu.AdamWBytes({0.1f, 0.9f, 0.99f, 1e-8f, 0, 1}, factor, p, cpu.Upload(g), m, v);
  for (int64_t i = 0; i < kCount; ++i) {
    const float own = g[static_cast<size_t>(i)];
    const float first =
        DynamicMap(true)[m.codes.data<uint8_t>()[i]] * m.scales.data<float>()[i / 256];
    const float second =
        DynamicMap(false)[v.codes.data<uint8_t>()[i]] * v.scales.data<float>()[i / 256];
    EXPECT_NEAR(first, 0.1f * own, 0.3f * 0.02f) << i;
    EXPECT_NEAR(second, 0.01f * own * own, 0.09f * 0.01f) << i;
    EXPECT_NEAR(p.data<float>()[i], own > 0 ? -0.1f : 0.1f, 1e-4f) << i;
  }
}

}  // namespace
}  // namespace retort
