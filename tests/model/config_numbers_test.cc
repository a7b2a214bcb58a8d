// SPDX-License-Identifier: Apache-2.0
// Every number that config.json or a GGUF states is in range or refused by its key.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>

#include "base/error.h"
#include "model/spec/config_reader.h"
#include "model/spec/gguf_config.h"

namespace retort {
namespace {

class NumbersTest : public ::testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // What the error says, "" if there is none.
  static std::string Fault(const std::function<void()>& action) {
    try {
      action();
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), Error::Kind::kInput) << e.what();
      return e.what();
    }
    return "";
  }
  static void ExpectFault(const std::string& fault, const std::string& says,
                          const std::string& of) {
    EXPECT_NE(fault.find(says), std::string::npos) << of << ": '" << fault << "'";
  }

  const Path folder_ = Path(::testing::TempDir()) / Cat("retort_numbers_test_", ::getpid());
};

// config.json ------------------------------------------------------------------------------------

class ConfigNumbers : public NumbersTest {
 protected:
  // A small config of a family with these members over its own.
  Architecture Read(const char* family, const std::string& members) {
    Json config = {{"model_type", family},     {"num_hidden_layers", 2},
                   {"hidden_size", 64},        {"num_attention_heads", 4},
                   {"num_key_value_heads", 4}, {"intermediate_size", 128},
                   {"vocab_size", 300}};
    config.update(ParseJson(members, "members"));
    WriteTextAtomically(folder_ / "config.json", DumpJson(config));
    return ReadConfig(folder_);
  }
  void Refused(const char* family, const std::string& members, const std::string& says) {
    const std::string fault = Fault([&] { Read(family, members); });
    ExpectFault(fault, says, members);
    ExpectFault(fault, "config.json", members);
  }
};

TEST_F(ConfigNumbers, OutOfRangeAreRefusedByKey) {
  const struct {
    const char *family, *members, *says;
  } cases[] = {
      {"llama", R"({"num_hidden_layers": 0})", "'num_hidden_layers' is 0; must be in 1 ... 4096"},
      {"llama", R"({"num_hidden_layers": 9223372036854775808})",
       "'num_hidden_layers' is too large"},
      {"llama", R"({"hidden_size": -64})", "'hidden_size' is -64"},
      {"llama", R"({"num_attention_heads": 0})", "'num_attention_heads' is 0"},
      {"llama", R"({"num_key_value_heads": 0})", "'num_key_value_heads' is 0"},
      {"llama", R"({"head_dim": 4096})", "'head_dim' is 4096"},
      {"llama", R"({"intermediate_size": 4194305})", "'intermediate_size' is 4194305"},
      {"llama", R"({"vocab_size": 0})", "'vocab_size' is 0"},
      {"llama", R"({"max_position_embeddings": 2147483648})", "'max_position_embeddings' is"},
      {"llama", R"({"rms_norm_eps": 0})", "'rms_norm_eps' is 0"},
      {"llama", R"({"rms_norm_eps": -1e-6})", "'rms_norm_eps' is -1e-06"},
      {"llama", R"({"rms_norm_eps": 1e-60})", "'rms_norm_eps' is 1e-60"},
      {"llama", R"({"rope_theta": 0})", "'rope_theta' is 0"},
      {"llama", R"({"rope_theta": 1e300})", "'rope_theta' is 1e+300"},
      {"llama", R"({"rope_parameters": {"rope_theta": -1}})",
       "rope_parameters: 'rope_theta' is -1"},
      {"mistral", R"({"sliding_window": -1})", "'sliding_window' is -1"},
      {"mistral", R"({"sliding_window": 2147483648})", "'sliding_window' is 2147483648"},
      {"phi3", R"({"sliding_window": 4294967297})", "'sliding_window' is 4294967297"},
      {"gemma2", R"({"sliding_window": -4})", "'sliding_window' is -4"},
      {"gemma2", R"({"attn_logit_softcapping": -1})", "'attn_logit_softcapping' is -1"},
      {"gemma2", R"({"final_logit_softcapping": 1e-300})", "'final_logit_softcapping' is"},
      {"gemma2", R"({"query_pre_attn_scalar": 0})", "'query_pre_attn_scalar' is 0"},
      {"gemma3_text", R"({"rope_local_base_freq": 0})", "'rope_local_base_freq' is 0"},
      {"phi3", R"({"partial_rotary_factor": 2})", "'partial_rotary_factor' is 2"},
      {"phi3", R"({"rope_parameters": {"partial_rotary_factor": -1e300}})",
       "partial_rotary_factor"},
      {"llama", R"({"rope_scaling": {"type": "linear", "factor": 0}})",
       "rope_scaling: 'factor' is 0"},
      {"llama", R"({"rope_scaling": {"type": "linear", "factor": -4}})", "'factor' is -4"},
      {"llama", R"({"rope_scaling": {"type": "linear", "factor": 1e308}})", "'factor' is"},
      {"mixtral", R"({"num_local_experts": 0, "num_experts_per_tok": 2})",
       "'num_local_experts' is 0"},
      {"mixtral", R"({"num_local_experts": 8, "num_experts_per_tok": 9})", "9; must be in 1 ... 8"},
      {"mixtral",
       R"({"num_hidden_layers": 4096, "num_local_experts": 16384, "num_experts_per_tok": 2})",
       "experts of all layers is 67108864; must be in 0 ... 65536"},
      {"qwen3_moe", R"({"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 0})",
       "'moe_intermediate_size' is 0"},
      {"qwen3_moe",
       R"({"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8,
           "decoder_sparse_step": 0})",
       "'decoder_sparse_step' is 0"},
      {"qwen3_moe",
       R"({"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8,
           "mlp_only_layers": [2]})",
       "'mlp_only_layers' is 2; must be in 0 ... 1"},
  };
  for (const auto& c : cases) Refused(c.family, c.members, c.says);
}

TEST_F(ConfigNumbers, OfLlama3ScalingAreAllChecked) {
  const Json good = {{"rope_type", "llama3"},
                     {"factor", 8},
                     {"low_freq_factor", 1},
                     {"high_freq_factor", 4},
                     {"original_max_position_embeddings", 8192}};
  const auto with = [&](const char* key, Json value) {
    Json scaling = good;
    scaling[key] = std::move(value);
    return DumpJson(Json{{"rope_scaling", scaling}});
  };
  EXPECT_EQ(Read("llama", with("factor", 8)).ropes[0].scaling.factor, 8);
  for (const char* key : {"factor", "low_freq_factor", "high_freq_factor"}) {
    for (const double bad : {0.0, -1.0, 1e300})
      Refused("llama", with(key, bad), Cat("rope_scaling: '", key, "' is "));
  }
  for (const int64_t bad : {int64_t{0}, int64_t{-8192}, int64_t{1} << 40})
    Refused("llama", with("original_max_position_embeddings", bad), "original_max_position");
  Refused("llama", with("high_freq_factor", 1), "high_freq_factor must be above low_freq_factor");
}

TEST_F(ConfigNumbers, TokenIdsAreOfTheVocabulary) {
  for (const char* bad : {"300", "-5", "4294967297", "1000000000000", "18446744073709551615",
                          "9223372036854775808"}) {
    Refused("llama", Cat(R"({"eos_token_id": )", bad, "}"), "'eos_token_id' is");
    Refused("llama", Cat(R"({"eos_token_id": [2, )", bad, "]}"), "'eos_token_id' is");
    Refused("llama", Cat(R"({"bos_token_id": )", bad, "}"), "'bos_token_id' is");
    Read("llama", "{}");
    WriteTextAtomically(folder_ / "generation_config.json", Cat(R"({"eos_token_id": )", bad, "}"));
    const std::string fault = Fault([&] { ReadConfig(folder_); });
    ExpectFault(fault, "generation_config.json", bad);
    ExpectFault(fault, "'eos_token_id' is", bad);
    std::filesystem::remove(folder_ / "generation_config.json");
  }
  Refused("llama", R"({"eos_token_id": "2"})", "'eos_token_id' must be an integer");
  Refused("llama", R"({"eos_token_id": [2, "3"]})", "'eos_token_id' must be a list of integers");
  const Architecture a =
      Read("llama", R"({"eos_token_id": [299, 0, 299, -1], "bos_token_id": -1})");
  EXPECT_EQ(a.ends, (std::vector<int32_t>{299, 0}));
  EXPECT_EQ(a.bos, -1);
}

TEST_F(ConfigNumbers, RopeSettingsAreHonouredOrRefused) {
  Refused("llama",
          R"({"rope_scaling": {"rope_type": "linear", "factor": 2, "mrope_section": [8]}})",
          "rope_scaling: 'mrope_section' is not supported");
  Refused("llama", R"({"rope_scaling": {"factor": 2}})", "has a factor but no type");
  EXPECT_EQ(Read("qwen2", R"({"partial_rotary_factor": 0.5})").ropes[0].dims, 8);
  EXPECT_EQ(Read("llama", R"({"rope_parameters": {"rope_theta": 5, "rope_type": "default"}})")
                .ropes[0]
                .base,
            5);
  Refused("qwen3", R"({"layer_types": ["full_attention", "sliding_attention"]})",
          "'layer_types' has sliding_attention");
}

// GGUF -------------------------------------------------------------------------------------------

class GgufNumbers : public NumbersTest {
 protected:
  GgufNumbers() {
    const auto count = [&](const char* key, uint32_t value) { Set(key, value); };
    m_.Set("general.architecture", std::string("llama"));
    count("block_count", 2), count("embedding_length", 64), count("attention.head_count", 4);
    count("feed_forward_length", 128), count("context_length", 512);
    Set("attention.layer_norm_rms_epsilon", 1e-5f);
  }
  void Set(const char* key, GgufValue value) { m_.Set(Cat("llama.", key), std::move(value)); }

  Architecture Read(const GgufMetadata& m, const std::vector<float>& freqs = {}) {
    const Path path = folder_ / "m.gguf";
    GgufWriter writer(path, m);
    writer.Declare("token_embd.weight", WeightFormat::kF16, {300, 64});
    if (!freqs.empty()) {
      writer.Declare("rope_freqs.weight", WeightFormat::kF32, {std::ssize(freqs)});
      writer.Write("rope_freqs.weight", std::as_bytes(std::span(freqs)));
    }
    const std::vector<uint16_t> zeros(300 * 64);
    writer.Write("token_embd.weight", std::as_bytes(std::span(zeros)));
    writer.Commit();
    return ConfigFromGguf(ReadGguf(path));
  }
  Architecture With(const char* key, GgufValue value, const std::vector<float>& freqs = {}) {
    GgufMetadata m = m_;
    m.Set(key, std::move(value));
    return Read(m, freqs);
  }
  void Refused(const char* key, GgufValue value, const std::string& says) {
    const std::string fault = Fault([&] { With(key, value); });
    ExpectFault(fault, says, Cat(key, " ", ValueText(value)));
    ExpectFault(fault, "m.gguf", key);
  }

  GgufMetadata m_;
};

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST_F(GgufNumbers, OutOfRangeAreRefusedByKey) {
  Refused("llama.block_count", 0u, "llama.block_count is 0; must be in 1 ... 4096");
  Refused("llama.block_count", ~uint64_t{0}, "'llama.block_count' is u64");
  Refused("llama.embedding_length", -64, "llama.embedding_length is -64");
  Refused("llama.attention.head_count", 0u, "llama.attention.head_count is 0");
  Refused("llama.attention.sliding_window", 1u << 31, "llama.attention.sliding_window is 21474");
  Refused("llama.context_length", 1u << 31, "llama.context_length is");
  Refused("llama.rope.dimension_count", 0u, "llama.rope.dimension_count is 0");
  Refused("llama.rope.dimension_count", 8u, "supported only as the width of a head, 16");
  Refused("llama.expert_count", -1, "llama.expert_count is -1");
  for (const float bad : {kNan, kInfinity, 0.0f, -1.0f}) {
    Refused("llama.attention.layer_norm_rms_epsilon", bad,
            "llama.attention.layer_norm_rms_epsilon");
    Refused("llama.rope.freq_base", bad, "llama.rope.freq_base is");
    if (bad != 0) Refused("llama.rope.scaling.factor", bad, "llama.rope.scaling.factor is");
    if (bad != 0) Refused("llama.rope.scale_linear", bad, "llama.rope.scale_linear is");
    EXPECT_NE(Fault([&] {
                Read(m_, {1, 1, 1, 1, 1, 1, 1, bad});
              }).find("'rope_freqs.weight' is"),
              std::string::npos)
        << bad;
  }
  Refused("tokenizer.ggml.bos_token_id", 1u << 31, "bos_token_id is 2147483648");
  Refused("tokenizer.ggml.eos_token_id", 300u, "is 300, which is outside the vocabulary of 300");
  Refused("tokenizer.ggml.eot_token_id", -5, "eot_token_id is -5");
  Refused("retort.end_token_ids", GgufArray(std::vector<int64_t>{2, int64_t{1} << 32}),
          "retort.end_token_ids is 4294967296");
}

// As llama.cpp reads them: a factor means linear scaling unless the type is none, and files of 2023
// have it under another key.
TEST_F(GgufNumbers, LinearRopeFactorsOfEveryAgeAreRead) {
  const auto factor = [](const Architecture& a) { return a.ropes[0].scaling.factor; };
  EXPECT_EQ(factor(With("llama.rope.scale_linear", 2.0f)), 2);
  EXPECT_EQ(factor(With("llama.rope.scaling.factor", 4.0f)), 4);
  EXPECT_EQ(With("llama.rope.scale_linear", 0.0f).ropes[0].scaling.kind, RopeScaling::Kind::kNone);
  Set("rope.scale_linear", 2.0f);
  EXPECT_EQ(factor(With("llama.rope.scaling.factor", 4.0f)), 4);
  Set("rope.scaling.type", std::string("none"));
  EXPECT_EQ(Read(m_).ropes[0].scaling.kind, RopeScaling::Kind::kNone);
  Set("rope.scaling.type", std::string("linear"));
  const Architecture both = Read(m_, {1, 1, 1, 1, 2, 2, 2, 2});
  EXPECT_EQ(both.ropes[0].scaling.factors, (std::vector<float>{2, 2, 2, 2, 4, 4, 4, 4}));
  Set("rope.scaling.type", std::string("spiral"));
  EXPECT_NE(Fault([&] {
              Read(m_, {1, 1, 1, 1, 1, 1, 1, 1});
            }).find("'spiral' is not supported"),
            std::string::npos);
}

TEST_F(GgufNumbers, YarnIsRead) {
  Set("rope.scaling.type", std::string("yarn"));
  Set("rope.scaling.original_context_length", 64u);
  const RopeScaling s = With("llama.rope.scaling.factor", 4.0f).ropes[0].scaling;
  EXPECT_EQ(s.kind, RopeScaling::Kind::kYarn);
  EXPECT_EQ(s.original_max_positions, 64);
  EXPECT_NEAR(s.amplitude, 1 + 0.1 * std::log(4.0), 1e-12);
  Set("rope.scaling.factor", 4.0f);
  EXPECT_NEAR(With("llama.rope.scaling.attn_factor", 1.5f).ropes[0].scaling.amplitude,
              1.5 * s.amplitude, 1e-12);
}

TEST_F(GgufNumbers, KeysAreKnownOrRefusedByName) {
  Refused("llama.logit_scale", 0.5f, "'llama.logit_scale' is 0.5, which is not supported");
  Refused("llama.attention.causal", false, "'llama.attention.causal' is false");
  Refused("llama.attention.value_length", 8u, "only if it is attention.key_length");
  Refused("llama.expert_shared_count", 1u, "'llama.expert_shared_count' is 1");
  Refused("llama.attn_logit_softcapping", 50.0f, "'llama.attn_logit_softcapping' is 50");
  Refused("llama.rope.scaling.attn_factor", -1.0f, "rope.scaling.attn_factor is -1; must be");
  Refused("llama.rope.scaling.yarn_log_multiplier", 0.1f, "yarn_log_multiplier' is 0.1");
  Refused("llama.some_new_key", 7u, "'llama.some_new_key' is 7, a key that is not known");
  Refused("general.type", std::string("adapter"), "general.type is 'adapter'");
  for (const auto& [key, value] : std::vector<std::pair<const char*, GgufValue>>{
           {"llama.logit_scale", 1.0f},
           {"llama.attention.causal", true},
           {"llama.attention.value_length", 16u},
           {"llama.vocab_size", 300u},
           {"llama.rope.scaling.original_context_length", 4096u},
           {"general.type", std::string("model")},
           {"general.some_new_key", 7u},
           {"vendor.llama", 7u}}) {
    EXPECT_EQ(Fault([&, k = key, v = value] { With(k, v); }), "") << key;
  }
}

// The tokens of a file: BOS and end of llama.cpp's defaults, and its ends by text.
TEST_F(GgufNumbers, EndsAreThoseOfLlamaCpp) {
  std::vector<std::string> tokens(300, "x");
  std::vector<int32_t> types(300, 1);
  tokens[0] = "<unk>", tokens[1] = "<s>", tokens[2] = "</s>";
  types[0] = 2, types[1] = types[2] = 3;
  const auto read = [&](const char* model) {
    GgufMetadata m = m_;
    m.Set("tokenizer.ggml.model", std::string(model));
    m.Set("tokenizer.ggml.tokens", GgufArray(tokens));
    m.Set("tokenizer.ggml.token_type", GgufArray(types));
    return Read(m);
  };
  EXPECT_EQ(read("llama").bos, 1);
  EXPECT_EQ(read("llama").ends, (std::vector<int32_t>{2}));
  types[1] = types[2] = 1;  // not what the defaults mean; yet "</s>" ends by its text
  EXPECT_EQ(read("llama").bos, -1);
  EXPECT_EQ(read("gpt2").bos, -1);
  tokens[2] = "y", tokens[7] = "<|im_end|>", tokens[9] = "<|eot_id|>";
  EXPECT_EQ(read("gpt2").ends, (std::vector<int32_t>{7, 9}));
  m_.Set("tokenizer.ggml.eos_token_id", 5u);
  m_.Set("tokenizer.ggml.eom_token_id", 9u);
  EXPECT_EQ(read("gpt2").ends, (std::vector<int32_t>{5, 9, 7}));
  m_.Set("retort.end_token_ids", GgufArray(std::vector<int32_t>{5, 6}));
  EXPECT_EQ(read("gpt2").ends, (std::vector<int32_t>{5, 6}));
}

}  // namespace
}  // namespace retort
