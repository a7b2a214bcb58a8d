// SPDX-License-Identifier: Apache-2.0
#include "model/adapter.h"

#include <gtest/gtest.h>

#include <cmath>
#include <span>

#include "formats/safetensors.h"
#include "model/adapter_targets.h"
#include "tests/formats/support.h"

namespace retort {
namespace {

TEST(LoraScale, IsAlphaOverRankOrItsRoot) {
  EXPECT_EQ(LoraScale(32, 16, false), 2);
  EXPECT_EQ(LoraScale(32, 16, true), 8);
}

bool Targets(const AdapterConfig& config, const LinearSpec& linear) {
  return AdapterTargets(config).Has(linear);
}

LinearSpec Layer(const char* name) { return {name, 8, 8, LinearUse::kAttentionIn, 3}; }

TEST(Targets, MatchesSuffixesPatternsAndExclusions) {
  const LinearSpec q = Layer("model.layers.3.self_attn.q_proj"),
                   up = Layer("model.layers.3.mlp.up_proj");
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
  EXPECT_TRUE(Targets(c, Layer("model.layers.2.self_attn.q_proj")));
  c.target_pattern = "(";
  EXPECT_THROW(Targets(c, Layer("model.layers.2.self_attn.q_proj")), Error);
}

// Expressions are Python's, as PEFT's are.
TEST(Targets, ReadsPythonsExpressions) {
  const LinearSpec q = Layer("model.layers.3.self_attn.q_proj");
  AdapterConfig c;
  for (const char* pattern :
       {R"(.*\.(?P<which>q|k)_proj)", "(?i).*Q_PROJ", R"(.*layers\.\d{,2}\..*)",
        R"((?:.*?(?:self_attn|mlp).*?(?:q_proj|v_proj).*?)|(?:\bmodel\.layers\.[\d]{1,}\.mlp\..*))",
        R"(model(?=\.).*(?<=q)_proj)"}) {
    c.target_pattern = pattern;
    EXPECT_TRUE(Targets(c, q)) << pattern;
    c.target_pattern = Cat("(?:", pattern, ")x");
    EXPECT_FALSE(Targets(c, q)) << pattern;
  }
}

TEST(Targets, RefusesExpressionsThatTakeTooLong) {
  AdapterConfig c;
  for (const std::string& pattern :
       {std::string("(.*)*[XY]"), std::string("(([a-z0-9._])+)+[!?]"),
        std::string(15899, '(') + "a" + std::string(15899, ')'), std::string(100000, 'a')}) {
    for (std::string* place : {&c.target_pattern, &c.exclude_pattern}) {
      c = {};
      *place = pattern;
      try {
        for (int i = 0; i < 500; ++i)
          Targets(c, Layer(Cat("model.layers.", i, ".self_attn.q_proj").c_str()));
        FAIL() << pattern.substr(0, 40);
      } catch (const Error& e) {
        EXPECT_EQ(e.kind(), Error::Kind::kInput);
        EXPECT_LT(std::string(e.what()).size(), 400u);
      }
    }
  }
}

// A misspelt member among right ones.
TEST(Targets, NamesMembersThatMatchNothing) {
  DenseConfig model;
  model.layers = 1, model.width = 32, model.heads = 4, model.kv_heads = 2, model.head_dim = 8,
  model.ffn = 64, model.vocab = 10;
  const auto backend = MakeReferenceBackend();
  const auto refusal = [&](auto change) -> std::string {
    AdapterConfig c;
    change(c);
    try {
      Adapter::Make(c, LayoutOf(model), 7, *backend);
      return "";
    } catch (const Error& e) {
      return e.what();
    }
  };
  EXPECT_EQ(
      refusal([](AdapterConfig& c) {
        c.targets = {"q_proj", "q_prj"};
      }),
      "adapter.targets: 'q_prj' is no linear layer of this model; did you mean "
      "'q_proj'?; known: embed_tokens, q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj, lm_head");
  const auto says = [&](auto change, const char* part) {
    const std::string said = refusal(change);
    EXPECT_NE(said.find(part), std::string::npos) << said;
  };
  says([](AdapterConfig& c) { c.exclude = {"lm_heads"}; },
       "adapter.exclude: 'lm_heads' is no linear");
  says([](AdapterConfig& c) { c.exclude_pattern = "x.*"; },
       "adapter.exclude: the expression 'x.*'");
  says([](AdapterConfig& c) { c.target_pattern = "q_proj,v_proj"; },
       "the whole name of no linear layer, such as 'model.embed_tokens'; to name");
  says([](AdapterConfig& c) { c.exclude_pattern = ".*"; }, "leaves none");
  EXPECT_EQ(refusal([](AdapterConfig& c) { c.targets = {"self_attn.q_proj", "mlp.up_proj"}; }), "");
  says([](AdapterConfig& c) { c.ranks = {{"q_prj", 2}}; }, "adapter.rank_pattern: 'q_prj' matches");
  says(
      [](AdapterConfig& c) {
        c.targets = {"q_proj"}, c.alphas = {{"up_proj", 2}};
      },
      "adapter.alpha_pattern: 'up_proj' matches");
  says(
      [](AdapterConfig& c) {
        c.alphas = {{"(", 2}};
      },
      "'alpha_pattern': the expression '(' is not understood");
  says([](AdapterConfig& c) { c.layers = {0, 1}; }, "adapter.layers names layer 1, and this model");
}

// PEFT's get_pattern_key: a key matches a name's end from a dot on; the first in order counts.
TEST(Targets, RanksAndAlphasGoByTheFirstPatternThatMatches) {
  AdapterConfig c;
  c.ranks = {{"down_proj", 4}, {R"(layers\.1\..*q_proj)", 12}, {"q_proj", 2}, {"proj", 99}};
  c.alphas = {{"(q|v)_proj", 5}, {"model.layers.3.mlp.up_proj", 7}};
  AdapterTargets targets(c);
  const auto of = [&](const char* name) {
    const LinearSpec layer = Layer(name);
    return std::pair{targets.RankOf(layer), targets.AlphaOf(layer)};
  };
  EXPECT_EQ(of("model.layers.3.mlp.down_proj"), std::pair(int64_t{4}, 32.0));
  EXPECT_EQ(of("model.layers.1.self_attn.q_proj"), std::pair(int64_t{12}, 5.0));
  EXPECT_EQ(of("model.layers.11.self_attn.q_proj"), std::pair(int64_t{2}, 5.0));
  EXPECT_EQ(of("model.layers.3.mlp.up_proj"), std::pair(int64_t{16}, 7.0));
  EXPECT_EQ(of("model.layers.3.mlp.up_proj_x"), std::pair(int64_t{16}, 32.0));
}

// Numbers of layers say nothing about a name that is given whole, as in PEFT.
TEST(Targets, LayersAreThoseOfNamesEndsOnly) {
  AdapterConfig c;
  c.layers = {1};
  EXPECT_FALSE(Targets(c, Layer("model.layers.3.self_attn.q_proj")));
  c.targets = {"q_proj"};
  EXPECT_FALSE(Targets(c, Layer("model.layers.3.self_attn.q_proj")));
  c.targets = {"model.layers.3.self_attn.q_proj"};
  EXPECT_TRUE(Targets(c, Layer("model.layers.3.self_attn.q_proj")));
}

// Routers never; experts only when they are named, as PEFT has it.
TEST(Targets, LeavesRoutersAndUnnamedExpertsOut) {
  LinearSpec router = Layer("model.layers.0.mlp.gate"),
             expert = Layer("model.layers.0.mlp.experts.2.up_proj");
  router.use = LinearUse::kRouter;
  expert.expert = 2;
  AdapterConfig c;
  EXPECT_FALSE(Targets(c, expert));
  EXPECT_FALSE(Targets(c, router));
  c.targets = {"up_proj", "gate"};
  EXPECT_TRUE(Targets(c, expert));
  EXPECT_FALSE(Targets(c, router));
}

// A layer's numbers are keyed by its name: more layers change none of them.
TEST(Adapter, ALayersNumbersDependOnItsNameAlone) {
  DenseConfig model;
  model.layers = 1, model.width = 32, model.heads = 4, model.kv_heads = 2, model.head_dim = 8,
  model.ffn = 64, model.vocab = 10;
  const auto backend = MakeReferenceBackend();
  const auto small = Adapter::Make({}, LayoutOf(model), 7, *backend);
  model.layers = 3, model.qkv_bias = true, model.qk_norm = QkNorm::kHeads, model.family = "qwen3";
  AdapterConfig some;
  some.targets = {"down_proj"};
  const auto large = Adapter::Make(some, LayoutOf(model), 7, *backend);
  const Parameter *a = small->parameters()[12], *b = large->parameters()[0];
  ASSERT_EQ(a->name, "base_model.model.model.layers.0.mlp.down_proj.lora_A");
  ASSERT_EQ(a->name, b->name);
  EXPECT_EQ(backend->ToDoubles(a->value), backend->ToDoubles(b->value));
}

TEST(Adapter, StartsWithAUniformAndBZero) {
  DenseConfig model;
  model.layers = 2, model.width = 32, model.heads = 4, model.kv_heads = 2, model.head_dim = 8,
  model.ffn = 64, model.vocab = 10;
  const auto backend = MakeReferenceBackend();
  const auto adapter = Adapter::Make({}, LayoutOf(model), 7, *backend);
  ASSERT_EQ(adapter->parameters().size(), 2u * 2 * 7);
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

DenseConfig TinyModel() {
  DenseConfig model;
  model.layers = 1, model.width = 32, model.heads = 4, model.kv_heads = 2, model.head_dim = 8,
  model.ffn = 64, model.vocab = 10;
  return model;
}

// A folder of a stranger could otherwise keep a reader busy for hours.
TEST(Adapter, RefusesMorePatternsThanAModelHasUseFor) {
  const auto backend = MakeReferenceBackend();
  AdapterConfig config;
  for (int i = 0; i < 1 << 20; ++i) config.ranks[Cat("no.", i)] = 4;
  try {
    Adapter::Make(config, LayoutOf(TinyModel()), 7, *backend);
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("1048576 patterns"), std::string::npos) << e.what();
  }
}

// A setting that would do nothing is a slip; PEFT's folders may have it.
TEST(Adapter, BiasesAreRefusedWhereThereAreNone) {
  const auto backend = MakeReferenceBackend();
  for (const char* bias : {"all", "lora_only"}) {
    AdapterConfig config;
    config.bias = bias;
    EXPECT_THROW(Adapter::Make(config, LayoutOf(TinyModel()), 7, *backend), Error) << bias;
  }
}

// A refusal, or "" where the configuration is read.
std::string Refusal(const std::string& settings) {
  TemporaryFolder folder;
  folder.Put("adapter_config.json",
             R"({"peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["q_proj"])" +
                 (settings.empty() ? "" : ", " + settings) + "}");
  try {
    ReadAdapterConfig(folder.path());
    return "";
  } catch (const Error& e) {
    EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos);
    return e.what();
  }
}

// What PEFT 0.21 writes for Mixtral or Qwen3-MoE whose experts are targeted, and for its other
// kinds of LoRA.
TEST(AdapterConfig, NamesWhatItDoesNotSupport) {
  const std::vector<std::pair<const char*, const char*>> cases = {
      {"rank_pattern", R"("rank_pattern": {"down_proj": 0})"},
      {"rank_pattern", R"("rank_pattern": ["down_proj"])"},
      {"alpha_pattern", R"("alpha_pattern": {"v_proj": "4"})"},
      {"layers_to_transform", R"("layers_to_transform": [1, -3])"},
      {"layers_to_transform", R"("layers_to_transform": "last")"},
      {"layers_pattern", R"("layers_to_transform": [1], "layers_pattern": ["h"])"},
      {"use_qalora", R"("use_qalora": true)"},
      {"from_a_later_version", R"("from_a_later_version": {"a": 1})"},
      {"lora_alpha_scheme", R"("lora_alpha_scheme": "odd")"},
      {"init_lora_weights", R"("init_lora_weights": "corda")"},
      {"init_lora_weights", R"("init_lora_weights": "lora_ga")"},
      {"init_lora_weights", R"("init_lora_weights": "of next year")"},
      {"layer_replication", R"("layer_replication": [[0, 2], [1, 3]])"},
      {"fan_in_fan_out", R"("fan_in_fan_out": true)"},
      {"alora_invocation_tokens", R"("alora_invocation_tokens": [1])"},
      {"kasa_config", R"("kasa_config": {"r": 1})"},
      {"bias", R"("bias": "some")"},
      {"trainable_token_indices", R"("trainable_token_indices": [-1])"},
      {"trainable_token_indices", R"("trainable_token_indices": {"embed_tokens": "x"})"},
      {"init_lora_weights", R"("init_lora_weights": "pissa_niter_0")"},
      {"init_lora_weights", R"("init_lora_weights": "pissa_niter_4x")"},
      {"ensure_weight_tying",
       R"("ensure_weight_tying": true, "modules_to_save": ["embed_tokens"])"},
      {"init_lora_weights", R"("init_lora_weights": "loftq", "loftq_config": {"loftq_bits": 4})"},
  };
  for (const auto& [field, settings] : cases) {
    const std::string said = Refusal(settings);
    EXPECT_NE(said.find("adapter_config.json"), std::string::npos) << settings << ": " << said;
    EXPECT_NE(said.find(field), std::string::npos) << settings << ": " << said;
  }
}

DenseConfig FourLayers() {
  DenseConfig model;
  model.layers = 4, model.width = 32, model.heads = 4, model.kv_heads = 2, model.head_dim = 8,
  model.ffn = 64, model.vocab = 10;
  return model;
}

// A folder with q_proj's factors of the layers; `end` follows "lora_A" in the keys.
void PutAdapter(const TemporaryFolder& folder, const std::vector<int>& layers,
                const std::string& settings, const std::string& end) {
  folder.Put("adapter_config.json",
             R"({"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"])" +
                 settings + "}");
  SafetensorsWriter writer(folder.path() / "adapter_model.safetensors", {});
  for (const int layer : layers) {
    for (const char* factor : {"A", "B"}) {
      writer.Declare(
          Cat("base_model.model.model.layers.", layer, ".self_attn.q_proj.lora_", factor, end),
          WeightFormat::kF32,
          *factor == 'A' ? std::vector<int64_t>{2, 32} : std::vector<int64_t>{32, 2});
    }
  }
  for (const int layer : layers) {
    for (const char* factor : {"A", "B"}) {
      const std::vector<float> values(64, static_cast<float>(layer));
      writer.Write(
          Cat("base_model.model.model.layers.", layer, ".self_attn.q_proj.lora_", factor, end),
          std::as_bytes(std::span(values)));
    }
  }
  writer.Commit();
}

// The layers that got an adapter, or the error.
std::string Loaded(const std::vector<int>& layers, const std::string& settings,
                   const std::string& end) {
  TemporaryFolder folder;
  PutAdapter(folder, layers, settings, end);
  const auto backend = MakeReferenceBackend();
  const Layout layout = LayoutOf(FourLayers());
  try {
    const auto adapter = Adapter::Load(folder.path(), layout, *backend);
    std::string out;
    for (size_t id = 0; id < layout.linears.size(); ++id) {
      if (adapter->at(static_cast<LinearId>(id))) out += Cat(layout.linears[id].layer, " ");
    }
    return out;
  } catch (const Error& e) {
    return ReplaceAll(e.what(), folder.path().string() + "/", "");
  }
}

TEST(Adapter, LayersToTransformAreTheOnlyOnes) {
  EXPECT_EQ(Loaded({1, 3}, R"(, "layers_to_transform": [1, 3])", ".weight"), "1 3 ");
  EXPECT_EQ(Loaded({0}, R"(, "layers_to_transform": 0, "layers_pattern": "layers")", ".weight"),
            "0 ");
  EXPECT_EQ(Loaded({0, 1, 2, 3}, R"(, "layers_to_transform": [])", ".weight"), "0 1 2 3 ");
  EXPECT_EQ(Loaded({1, 2}, R"(, "layers_to_transform": [1])", ".weight"),
            "adapter_model.safetensors: tensor "
            "'base_model.model.model.layers.2.self_attn.q_proj.lora_A.weight' belongs to no layer "
            "of this model");
  EXPECT_EQ(Loaded({1}, R"(, "layers_to_transform": [1, 4])", ".weight"),
            "adapter_config.json: 'layers_to_transform' names layer 4, and this model has 4, "
            "numbered from 0");
}

// PEFT's factors of stacked experts: A [E R,in] by expert, B [out,R E] by rank; gate and up share a
// tensor, in which up's rows are the later ones.
TEST(Adapter, ExpertsFactorsAreTakenApart) {
  constexpr int64_t kExperts = 3, kRank = 2, kWidth = 32, kFfn = 24;
  TemporaryFolder folder;
  folder.Put("adapter_config.json",
             R"({"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": null,
                 "target_parameters": ["experts.gate_up_proj", "experts.down_proj", "gate.weight"]})");
  Architecture model = FourLayers();
  model.family = "qwen3_moe";
  for (BlockSpec& block : model.blocks) {
    block.mlp.width = kFfn;
    block.mlp.experts = ExpertsSpec{kExperts, 2, true, 0, false};
  }
  const Layout layout = LayoutOf(model);
  SafetensorsWriter writer(folder.path() / "adapter_model.safetensors", {});
  const auto put = [&](bool declare) {
    for (int layer = 0; layer < 4; ++layer) {
      const auto one = [&](const char* end, int64_t rows, int64_t cols, float base) {
        const std::string name = Cat("base_model.model.model.layers.", layer, ".mlp.", end);
        if (declare) return writer.Declare(name, WeightFormat::kF32, {rows, cols});
        std::vector<float> values;
        for (int64_t i = 0; i < rows * cols; ++i) values.push_back(base + static_cast<float>(i));
        writer.Write(name, std::as_bytes(std::span(values)));
      };
      one("experts.base_layer.lora_A.weight", kExperts * kRank, kWidth, 0);
      one("experts.base_layer.lora_B.weight", 2 * kFfn, kExperts * kRank, 1000);
      one("experts.lora_A.weight", kExperts * kRank, kFfn, 5000);
      one("experts.lora_B.weight", kWidth, kExperts * kRank, 9000);
      one("gate.lora_A.weight", kRank, kWidth, 0);
      one("gate.lora_B.weight", kExperts, kRank, 0);
    }
  };
  put(true), put(false);
  writer.Commit();
  const auto backend = MakeReferenceBackend();
  const auto adapter = Adapter::Load(folder.path(), layout, *backend);
  size_t sites = 0;
  for (size_t id = 0; id < layout.linears.size(); ++id) {
    const LinearSpec& linear = layout.linears[id];
    const AdapterSite* site = adapter->at(static_cast<LinearId>(id));
    const bool router = linear.use == LinearUse::kRouter;
    ASSERT_EQ(site != nullptr, linear.expert >= 0 || router) << linear.name;
    if (router) {
      EXPECT_EQ(backend->ToDoubles(site->b.value), (std::vector<double>{0, 1, 2, 3, 4, 5}));
    }
    if (!site || router) continue;
    ++sites;
    const std::vector<double> a = backend->ToDoubles(site->a.value),
                              b = backend->ToDoubles(site->b.value);
    const bool down = linear.name.ends_with("down_proj"), up = linear.name.ends_with("up_proj");
    // Row 1 of expert e's A; row 3 of its B at rank 1.
    const int64_t in = down ? kFfn : kWidth, row = 3 + (up ? kFfn : 0);
    EXPECT_EQ(a[static_cast<size_t>(in)], (down ? 5000 : 0) + (linear.expert * kRank + 1) * in);
    EXPECT_EQ(b[3 * kRank + 1],
              (down ? 9000 : 1000) + row * kExperts * kRank + kExperts + linear.expert)
        << linear.name;
    EXPECT_EQ(site->scale, 2);
  }
  EXPECT_EQ(sites, 4u * 3 * kExperts);
}

TEST(Adapter, KeysMayHoldTheAdaptersName) {
  const std::string all = R"(, "layers_to_transform": null)";
  EXPECT_EQ(Loaded({0, 1, 2, 3}, all, ".default.weight"), "0 1 2 3 ");
  EXPECT_EQ(Loaded({0, 1, 2, 3}, all, ".my.adapter.weight"), "0 1 2 3 ");
}

// Which of the two would count is nobody's to guess.
TEST(Adapter, RefusesATensorThatIsThereTwice) {
  TemporaryFolder folder;
  folder.Put("adapter_config.json",
             R"({"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]})");
  const std::vector<std::string> keys = {"base_model.model.lm_head.weight",
                                         "base_model.model.lm_head.modules_to_save.weight"};
  SafetensorsWriter writer(folder.path() / "adapter_model.safetensors", {});
  for (const std::string& key : keys) writer.Declare(key, WeightFormat::kF32, {1, 1});
  const float value = 1;
  for (const std::string& key : keys) writer.Write(key, std::as_bytes(std::span(&value, 1)));
  writer.Commit();
  const auto backend = MakeReferenceBackend();
  try {
    Adapter::Load(folder.path(), LayoutOf(FourLayers()), *backend);
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("the same tensor"), std::string::npos) << e.what();
  }
}

TEST(AdapterConfig, ReadsSettingsThatChangeNothing) {
  for (
      const char* settings :
      {"",
       R"("target_parameters": null, "rank_pattern": {}, "alpha_pattern": {}, "layers_to_transform": null)",
       R"("target_parameters": [], "lora_bias": false, "use_bdlora": null, "loftq_config": {})",
       R"("rank_pattern": {"q_proj": 8}, "alpha_pattern": {"v_proj": 16, "q_proj": 16})",
       R"("init_lora_weights": true)", R"("init_lora_weights": false)",
       R"("init_lora_weights": "gaussian")", R"("init_lora_weights": "pissa")",
       R"("init_lora_weights": "pissa_niter_16")", R"("init_lora_weights": "olora")",
       R"("init_lora_weights": "eva", "eva_config": {"rho": 2})",
       R"("from_a_later_version": null, "and_another": false)",
       R"("peft_version": "0.21.0", "runtime_config": {"ephemeral_gpu_offload": false})",
       R"("megatron_core": "megatron.core", "qalora_group_size": 16, "task_type": "CAUSAL_LM")"})
    EXPECT_EQ(Refusal(settings), "") << settings;
}

}  // namespace
}  // namespace retort
