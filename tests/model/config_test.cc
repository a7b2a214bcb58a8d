// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/spec/config_reader.h"

namespace retort {
namespace {

class ConfigTest : public ::testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  Json Plain(const char* family) {
    return {{"model_type", family},     {"num_hidden_layers", 2},   {"hidden_size", 64},
            {"num_attention_heads", 4}, {"intermediate_size", 128}, {"vocab_size", 300}};
  }
  Architecture Read(const Json& config) {
    WriteTextAtomically(folder_ / "config.json", DumpJson(config));
    return ReadConfig(folder_);
  }
  std::string Fault(const Json& config) {
    try {
      Read(config);
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), Error::Kind::kInput);
      return e.what();
    }
    return "";
  }
  const Path folder_ = Path(::testing::TempDir()) / Cat("retort_config_test_", ::getpid());
};

TEST_F(ConfigTest, FamiliesDifferInData) {
  const auto attention = [&](const Json& config) { return Read(config).blocks.at(1).attention; };
  EXPECT_FALSE(attention(Plain("llama")).qkv_bias);
  EXPECT_TRUE(attention(Plain("qwen2")).qkv_bias);
  EXPECT_FALSE(attention(Plain("qwen2")).o_bias);
  EXPECT_TRUE(attention(Plain("qwen3")).qk_norm);
  Json mistral = Plain("mistral");
  mistral["sliding_window"] = 16;
  EXPECT_EQ(attention(mistral).window, 16);
  Json qwen = Plain("qwen2");
  qwen["sliding_window"] = 16;  // there in every Qwen2 file, and off
  EXPECT_EQ(attention(qwen).window, 0);
  EXPECT_EQ(attention(Plain("llama")).kv_heads, 4);
  EXPECT_EQ(attention(Plain("llama")).head_dim, 16);
}

TEST_F(ConfigTest, EndsComeFromTheGenerationConfigWhenItIsThere) {
  Json config = Plain("llama");
  config["eos_token_id"] = 2;
  EXPECT_EQ(Read(config).ends, (std::vector<int32_t>{2}));
  WriteTextAtomically(folder_ / "generation_config.json", R"({"eos_token_id": [5, 7]})");
  EXPECT_EQ(Read(config).ends, (std::vector<int32_t>{5, 7}));
}

TEST_F(ConfigTest, FaultsNameTheKey) {
  EXPECT_NE(Fault(Plain("gpt9")).find("'gpt9' is not supported; supported: llama"),
            std::string::npos);
  Json odd = Plain("llama");
  odd["num_key_value_heads"] = 3;
  EXPECT_NE(Fault(odd).find("no multiple of num_key_value_heads"), std::string::npos);
  Json huge = Plain("llama");
  huge["vocab_size"] = int64_t{1} << 40;
  EXPECT_NE(Fault(huge).find("vocab_size"), std::string::npos);
  Json act = Plain("llama");
  act["hidden_act"] = "gelu";
  EXPECT_NE(Fault(act).find("hidden_act 'gelu'"), std::string::npos);
  Json yarn = Plain("llama");
  yarn["rope_scaling"] = {{"rope_type", "yarn"}, {"factor", 4}};
  EXPECT_NE(Fault(yarn).find("'yarn' is not supported"), std::string::npos);
}

TEST_F(ConfigTest, WhatIsWrittenReadsBackTheSame) {
  DenseConfig c;
  c.family = "qwen3";
  c.layers = 2, c.width = 64, c.heads = 4, c.kv_heads = 2, c.head_dim = 32, c.ffn = 128,
  c.vocab = 300;
  c.rotary = {RopeScaling::Kind::kLlama3, 8, 1, 4, 64, {}};
  c.tied = true;
  c.ends = {5, 7};
  const Architecture read = Read(ConfigJson(c, "float32"));
  EXPECT_EQ(read.family, "qwen3");
  EXPECT_EQ(read.layers(), 2);
  EXPECT_EQ(read.blocks[1].attention.kv_heads, 2);
  EXPECT_EQ(read.blocks[1].attention.head_dim, 32);
  EXPECT_EQ(read.ropes, (std::vector<RopeSpec>{{c.rotary_base, 32, c.rotary}}));
  EXPECT_TRUE(read.head.tied);
  EXPECT_EQ(read.ends, c.ends);
}

// Llama 3.1's own settings: short wavelengths stay, long ones are divided by 8, the middle is
// blended.
TEST(RopeFactors, Llama3StretchesLongWavelengthsAlone) {
  const RopeSpec rope{500000, 128, {RopeScaling::Kind::kLlama3, 8, 1, 4, 8192, {}}};
  const std::vector<float> factors = RopeFactors(rope);
  ASSERT_EQ(factors.size(), 64u);
  EXPECT_EQ(factors.front(), 1);
  EXPECT_EQ(factors.back(), 8);
  int blended = 0;
  for (size_t i = 1; i < factors.size(); ++i) {
    EXPECT_GE(factors[i], factors[i - 1]);
    blended += factors[i] > 1 && factors[i] < 8;
  }
  EXPECT_EQ(blended,
            6);  // wavelengths between 2048 and 8192: 500000^(2i/128) 2 pi for i = 29 ... 34
  EXPECT_NEAR(RopeFrequencies(rope)[1], std::pow(500000.0, -2.0 / 128), 1e-12);
}

}  // namespace
}  // namespace retort
