// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/spec/config_reader.h"
#include "model/spec/config_writer.h"

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
  // With as many heads as families take for granted.
  Json ManyHeads(const char* family) {
    Json j = Plain(family);
    j["num_attention_heads"] = 32;
    return j;
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
  EXPECT_TRUE(attention(ManyHeads("qwen2")).qkv_bias);
  EXPECT_FALSE(attention(ManyHeads("qwen2")).o_bias);
  EXPECT_EQ(attention(ManyHeads("qwen3")).qk_norm, QkNorm::kHeads);
  Json mistral = ManyHeads("mistral");
  mistral["sliding_window"] = 16;
  EXPECT_EQ(attention(mistral).window, 16);
  Json qwen = ManyHeads("qwen2");
  qwen["sliding_window"] = 16;  // there in every Qwen2 file, and off
  EXPECT_EQ(attention(qwen).window, 0);
  EXPECT_EQ(attention(Plain("llama")).kv_heads, 4);
  EXPECT_EQ(attention(Plain("llama")).head_dim, 16);
}

// The defaults of transformers 5.18's configuration classes.
TEST_F(ConfigTest, AbsentKeysMeanWhatTheFamilyTakesForGranted) {
  struct Usual {
    const char* family;
    int64_t kv_heads, head_dim, positions;
    double epsilon, base;
    bool tied;
    int64_t window;  // of the first layer
  };
  for (const Usual& u : std::vector<Usual>{
           {"llama", 32, 2, 2048, 1e-6, 1e4, false, 0},
           {"mistral", 8, 2, 131072, 1e-6, 1e4, false, 4096},
           {"mixtral", 8, 2, 131072, 1e-5, 1e6, false, 0},
           {"qwen2", 32, 2, 32768, 1e-6, 1e4, false, 0},
           {"qwen2_moe", 16, 2, 32768, 1e-6, 1e4, false, 0},
           {"qwen3", 32, 128, 32768, 1e-6, 1e4, false, 0},
           {"qwen3_moe", 4, 2, 32768, 1e-6, 1e4, false, 0},
           {"gemma", 16, 256, 8192, 1e-6, 1e4, true, 0},
           {"gemma2", 4, 256, 8192, 1e-6, 1e4, true, 4096},
           {"gemma3_text", 4, 256, 131072, 1e-6, 1e6, true, 4096},
           {"phi3", 32, 2, 4096, 1e-5, 1e4, false, 0},
           {"cohere", 32, 2, 8192, 1e-5, 5e5, true, 0},
           {"cohere2", 32, 2, 8192, 1e-5, 1e4, true, 4096},
           {"falcon", 1, 2, 2048, 1e-5, 1e4, true, 0},
           {"granite", 32, 2, 2048, 1e-6, 1e4, false, 0},
           {"olmo2", 32, 2, 2048, 1e-5, 1e4, false, 0},
           {"smollm3", 4, 2, 32768, 1e-6, 2e6, true, 0},
       }) {
    Json j = ManyHeads(u.family);
    for (const char* key : {"num_experts", "num_local_experts"}) j[key] = 4;
    j.update({{"num_experts_per_tok", 2},
              {"moe_intermediate_size", 8},
              {"shared_expert_intermediate_size", 8}});
    const Architecture a = Read(j);
    const AttentionSpec& attention = a.blocks.front().attention;
    EXPECT_EQ(attention.kv_heads, u.kv_heads) << u.family;
    EXPECT_EQ(attention.head_dim, u.head_dim) << u.family;
    EXPECT_EQ(attention.window, u.window) << u.family;
    EXPECT_EQ(a.max_positions, u.positions) << u.family;
    EXPECT_EQ(a.norm.epsilon, u.epsilon) << u.family;
    EXPECT_EQ(a.ropes.front().base, u.base) << u.family;
    EXPECT_EQ(a.head.tied, u.tied) << u.family;
  }
}

TEST_F(ConfigTest, NullMeansNone) {
  Json mistral = ManyHeads("mistral");
  mistral.update({{"sliding_window", nullptr}, {"num_key_value_heads", nullptr}});
  EXPECT_EQ(Read(mistral).blocks.front().attention.window, 0);
  EXPECT_EQ(Read(mistral).blocks.front().attention.kv_heads, 32);
  Json gemma = ManyHeads("gemma2");
  EXPECT_EQ(Read(gemma).head.soft_cap, 30);
  EXPECT_EQ(Read(gemma).blocks.front().attention.soft_cap, 50);
  gemma.update({{"final_logit_softcapping", nullptr}, {"attn_logit_softcapping", nullptr}});
  EXPECT_EQ(Read(gemma).head.soft_cap, 0);
  EXPECT_EQ(Read(gemma).blocks.front().attention.soft_cap, 0);
}

TEST_F(ConfigTest, AnAbsentNumberOfKeyHeadsThatCannotBeIsToldAsThat) {
  EXPECT_NE(Fault(Plain("qwen2")).find("'num_key_value_heads' is missing, which means 32"),
            std::string::npos);
}

TEST_F(ConfigTest, DeepSeekTakesItsOwnSizesForGranted) {
  Json j = Plain("deepseek_v2");
  j.update({{"num_hidden_layers", 5},
            {"kv_lora_rank", 32},
            {"qk_rope_head_dim", 8},
            {"qk_nope_head_dim", 16},
            {"v_head_dim", 12},
            {"n_routed_experts", 16},
            {"num_experts_per_tok", 4},
            {"moe_intermediate_size", 32}});
  const Architecture v2 = Read(j);
  ASSERT_TRUE(v2.blocks[0].mlp.experts);
  EXPECT_EQ(v2.blocks[0].mlp.experts->shared_width, 2 * 32);
  EXPECT_EQ(v2.blocks[0].mlp.experts->scale, 1);
  EXPECT_EQ(v2.blocks[0].attention.latent->q_rank, 1536);
  j["model_type"] = "deepseek_v3";
  j["q_lora_rank"] = nullptr;
  const Architecture v3 = Read(j);
  EXPECT_FALSE(v3.blocks[2].mlp.experts);
  ASSERT_TRUE(v3.blocks[3].mlp.experts);
  EXPECT_EQ(v3.blocks[3].mlp.experts->shared_width, 32);
  EXPECT_EQ(v3.blocks[3].mlp.experts->scale, 2.5);
  EXPECT_EQ(v3.blocks[3].mlp.experts->groups, 8);
  EXPECT_EQ(v3.blocks[3].mlp.experts->used_groups, 4);
  EXPECT_EQ(v3.blocks[3].attention.latent->q_rank, 0);
  EXPECT_EQ(v3.max_positions, 4096);
}

// In files that were written before layer_types.
TEST_F(ConfigTest, APatternOfLocalLayersHasALength) {
  for (const char* family : {"gemma3_text", "cohere2"}) {
    Json j = ManyHeads(family);
    j.update({{"num_hidden_layers", 5}, {"sliding_window_pattern", 3}, {"sliding_window", 16}});
    std::vector<int64_t> windows;
    for (const BlockSpec& block : Read(j).blocks) windows.push_back(block.attention.window);
    EXPECT_EQ(windows, (std::vector<int64_t>{16, 16, 0, 16, 16})) << family;
  }
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
  Json other = Plain("llama");
  other["rope_scaling"] = {{"rope_type", "spiral"}, {"factor", 4}};
  EXPECT_NE(
      Fault(other).find("'spiral' is not supported; supported: default, linear, dynamic, llama3"),
      std::string::npos);
  Json mixed = Plain("llama");
  mixed["rope_scaling"] = {{"rope_type", "yarn"}, {"factor", 4}, {"long_factor", {1, 2}}};
  EXPECT_NE(Fault(mixed).find("'long_factor' is not supported for type 'yarn'"), std::string::npos);
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

// Base 10000, 32 dimensions, made longer from 64 positions to 256. The values are transformers
// 5's, which computes them in f32.
class Ropes : public ::testing::Test {
 protected:
  static RopeSpec Of(const Json& rope) {
    Json j = {
        {"model_type", "llama"},    {"num_hidden_layers", 1},         {"hidden_size", 64},
        {"num_attention_heads", 2}, {"intermediate_size", 8},         {"vocab_size", 9},
        {"rms_norm_eps", 1e-6},     {"max_position_embeddings", 256}, {"rope_parameters", rope}};
    return ReadRope(ConfigReader(j, "config"), 32, {}, "full_attention");
  }
  static void Expect(const RopeSpec& rope, int64_t length, std::vector<double> first, double last,
                     double amplitude) {
    const std::vector<double> got = RopeFrequencies(rope, length);
    ASSERT_EQ(got.size(), 16u);
    for (size_t i = 0; i < first.size(); ++i) EXPECT_NEAR(got[i], first[i], 3e-7 * first[i]) << i;
    EXPECT_NEAR(got.back(), last, 3e-7 * last);
    EXPECT_NEAR(rope.scaling.amplitude, amplitude, 1e-12);
  }
};

TEST_F(Ropes, Yarn) {
  Json yarn = {{"rope_type", "yarn"}, {"factor", 4}, {"original_max_position_embeddings", 64}};
  Expect(Of(yarn), 0, {1, 0.477990121, 0.221359432, 0.0978053659, 0.04}, 4.44569851e-05,
         1.138629436111989);
  yarn.update({{"beta_fast", 8},
               {"beta_slow", 2},
               {"truncate", false},
               {"mscale", 0.7},
               {"mscale_all_dim", 0.9}});
  Expect(Of(yarn), 0, {1, 0.460702717, 0.160589159, 0.0444569848}, 4.44569851e-05,
         0.9753496504321066);
  yarn["attention_factor"] = 1.5;
  EXPECT_EQ(Of(yarn).scaling.amplitude, 1.5);
}

TEST_F(Ropes, DynamicGrowsTheBaseBeyondTheModelsLength) {
  const RopeSpec rope = Of({{"rope_type", "dynamic"}, {"factor", 2}});
  Expect(rope, 100, {1, 0.562341332, 0.316227764}, 0.00017782794, 1);
  Expect(rope, 600, {1, 0.515487194, 0.265727043, 0.13697888}, 4.82245268e-05, 1);
}

TEST_F(Ropes, LongRopeHasOtherFactorsBeyondTheOriginalLength) {
  Json rope = {{"rope_type", "longrope"}, {"original_max_position_embeddings", 64}};
  for (int i = 0; i < 16; ++i)
    rope["short_factor"].push_back(1 + 0.1 * i), rope["long_factor"].push_back(2 + i);
  Expect(Of(rope), 64, {1, 0.511219382, 0.263523132}, 7.11311732e-05, 1.1547005383792517);
  Expect(Of(rope), 65, {0.5, 0.187447101, 0.079056941}, 1.04604669e-05, 1.1547005383792517);
}

}  // namespace
}  // namespace retort
