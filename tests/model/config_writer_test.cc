// SPDX-License-Identifier: Apache-2.0
#include "model/spec/config_writer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/spec/families.h"
#include "model/store/fingerprint.h"
#include "tests/formats/support.h"
#include "tests/support/family_configs.h"

namespace retort {
namespace {

class ConfigWriter : public ::testing::Test {
 protected:
  Architecture Read(const Json& config) {
    WriteTextAtomically(folder_ / "config.json", DumpJson(config));
    return ReadConfig(folder_.path());
  }
  TemporaryFolder folder_;
};

// ArchitectureHash tells all that a model computes by.
TEST_F(ConfigWriter, WhatAFamilyWritesMeansTheSame) {
  const Json all = FamilyConfigs();
  for (const auto& [name, config] : all.items()) {
    SCOPED_TRACE(name);
    const Architecture want = Read(config);
    const Json written = ConfigJson(want, "float32");
    const Architecture got = Read(written);
    EXPECT_EQ(ArchitectureHash(got), ArchitectureHash(want)) << DumpJson(written, 1);
    EXPECT_EQ(got.family, want.family);
    EXPECT_EQ(got.ends, want.ends);
    EXPECT_EQ(got.max_positions, want.max_positions);
    EXPECT_EQ(got.ropes, want.ropes);
    EXPECT_EQ(got.dense_width(), want.dense_width());
    EXPECT_EQ(LayoutOf(got).tensors.size(), LayoutOf(want).tensors.size());
    EXPECT_EQ(written["architectures"][0], FamilyOf(want).model_class);
  }
}

TEST_F(ConfigWriter, NumbersAreThoseThatPeopleWrote) {
  EXPECT_EQ(DumpJson(NumberJson(static_cast<double>(1e-6f))), "1e-06");
  EXPECT_EQ(DumpJson(NumberJson(static_cast<double>(0.0707f))), "0.0707");
  EXPECT_EQ(DumpJson(NumberJson(500000)), "500000.0");
  EXPECT_EQ(DumpJson(IntegerOrNumberJson(1 / std::pow(1 / std::sqrt(24.0), 2))), "24");
  EXPECT_EQ(DumpJson(IntegerOrNumberJson(24.5)), "24.5");
}

TEST_F(ConfigWriter, WhatConfigJsonHasNoKeyForIsRefused) {
  const auto fault = [&](Architecture a) -> std::string {
    try {
      ConfigJson(a, "float32", "m.gguf");
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), Error::Kind::kInput);
      return e.what();
    }
    return "";
  };
  Architecture llama = Read(ConfigWith("llama", Json::object()));
  llama.blocks[0].attention.qkv_bias = llama.blocks[1].attention.qkv_bias = true;
  EXPECT_NE(fault(llama).find("m.gguf: biases on q, k and v alone"), std::string::npos);
  Architecture mistral = Read(ConfigWith("mistral", {{"sliding_window", 5}}));
  mistral.blocks[1].attention.window = 6;
  EXPECT_NE(fault(mistral).find("windows of 5 and of 6"), std::string::npos);
  Architecture heads = Read(ConfigWith("qwen3", Json::object()));
  heads.blocks[1].attention.scale = 1;
  EXPECT_NE(fault(heads).find("attention differs"), std::string::npos);
}

RopeSpec WithFactors(RopeSpec rope) {
  rope.scaling.factors = RopeFactors(rope);
  rope.scaling.kind = RopeScaling::Kind::kFactors;
  return rope;
}

// The divisors that the settings found make are those that the search was given, bit for bit.
TEST(Llama3Settings, AreFoundFromTheDivisors) {
  struct Case {
    double base;
    int64_t dims;
    double factor, low, high;
    int64_t original;
  };
  const Case cases[] = {{5e5, 128, 8, 1, 4, 8192},  {5e5, 64, 32, 1, 4, 8192},
                        {1e4, 32, 8, 1, 4, 64},     {1e4, 16, 4, 1, 4, 256},
                        {5e5, 128, 16, 1, 3, 8192}, {1e6, 128, 8, 2, 8, 4096},
                        {5e5, 128, 5, 1, 2.5, 5000}};
  for (const Case& c : cases) {
    SCOPED_TRACE(Cat(c.base, " ", c.dims, " ", c.factor, " ", c.high, " ", c.original));
    RopeSpec rope{
        c.base, c.dims, {RopeScaling::Kind::kLlama3, c.factor, c.low, c.high, c.original}};
    const RopeSpec given = WithFactors(rope);
    const auto found = Llama3Settings(given);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->low_freq_factor, 1);
    EXPECT_NEAR(found->high_freq_factor, c.high / c.low, 1e-9);
    EXPECT_EQ(found->original_max_positions, c.original / static_cast<int64_t>(c.low));
    rope.scaling = *found;
    EXPECT_EQ(RopeFactors(rope), given.scaling.factors);
  }
}

// Divisors of another origin become those of longrope, short and long alike.
TEST_F(ConfigWriter, OtherDivisorsAreKeptAsTheyAre) {
  Architecture a = Read(ConfigWith("llama", Json::object()));
  RopeScaling& s = a.ropes.front().scaling;
  s.kind = RopeScaling::Kind::kFactors;
  s.factors = {1, 3, 2, 5, 1.5, 1, 7, 4};
  EXPECT_FALSE(Llama3Settings(a.ropes.front()));
  const Architecture read = Read(ConfigJson(a, "float32"));
  const RopeSpec& rope = read.ropes.front();
  EXPECT_EQ(rope.scaling.amplitude, 1);
  for (const int64_t length : {10, 1000})
    EXPECT_EQ(RopeFrequencies(rope, length), RopeFrequencies(a.ropes.front(), length));
}

}  // namespace
}  // namespace retort
