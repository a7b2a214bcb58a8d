// SPDX-License-Identifier: Apache-2.0
#include "compress/prune.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "eval/loss.h"
#include "formats/safetensors.h"
#include "model/load.h"
#include "model/store/fingerprint.h"
#include "model/store/folders.h"
#include "tests/support/model_folder.h"
#include "tests/support/shared_data.h"
#include "tokenizer/load_tokenizer.h"

namespace retort {
namespace {

DenseConfig FourLayers(const std::string& family) {
  DenseConfig config = FolderConfig(family);
  config.layers = 4;
  return config;
}

Json FalconLayers(int layers) {
  return {{"model_type", "falcon"},
          {"num_hidden_layers", layers},
          {"hidden_size", 64},
          {"num_attention_heads", 4},
          {"vocab_size", FolderConfig("llama").vocab},
          {"eos_token_id", 256}};
}

// Rows whose answers are what the model itself says, so that whatever it loses costs it.
std::vector<Example> OwnWords(const Path& model) {
  std::vector<Example> out;
  for (int64_t row = 0; row < 4; ++row) {
    Example e{row, kIds, {}};
    std::rotate(e.ids.begin(), e.ids.begin() + 3 * row, e.ids.end());
    const std::vector<float> logits = LogitsOf(model, e.ids);
    const auto vocab = std::ssize(logits) / std::ssize(e.ids);
    e.labels = {kNoLoss};
    for (auto at = logits.begin(); at + vocab < logits.end(); at += vocab)
      e.labels.push_back(static_cast<int32_t>(std::max_element(at, at + vocab) - at));
    out.push_back(e);
  }
  return out;
}

class Pruning : public ::testing::Test {
 protected:
  // Changes the f32 values of tensors of base/ in place: edit(name, values).
  void Edit(const std::function<void(const std::string&, std::span<float>)>& edit) {
    const Path path = folder_ / "base/model.safetensors";
    const TensorTable tensors = ReadSafetensors(path).tensors;
    SafetensorsWriter writer(path, {{"format", "pt"}});
    for (const TensorEntry& e : tensors.entries()) writer.Declare(e.name, e.format, e.shape);
    for (const TensorEntry& e : tensors.entries()) {
      std::vector<float> values(e.bytes.size() / sizeof(float));
      std::memcpy(values.data(), e.bytes.data(), e.bytes.size());
      edit(e.name, values);
      writer.Write(e.name, std::as_bytes(std::span(values)));
    }
    writer.Commit();
  }

  PruneReport PruneBase(PruneOptions options, const std::vector<Example>& examples) {
    options.out = folder_ / "out";
    std::filesystem::remove_all(options.out);
    const ModelFiles files = OpenModel(folder_ / "base");
    const auto backend = MakeCpuBackend(2, Compute::kF32);
    return Prune(files, *LoadModel(files, {}, *backend), examples, options);
  }

  TemporaryFolder folder_;
};

// The bytes of some rows and columns of a matrix, by plain indices.
std::vector<std::byte> Picked(const TensorEntry& e, const std::vector<int64_t>& rows,
                              const std::vector<int64_t>& cols) {
  const auto element = static_cast<int64_t>(TraitsOf(e.format).block_bytes);
  std::vector<std::byte> out;
  for (const int64_t r : rows) {
    for (const int64_t c : cols) {
      for (int64_t b = 0; b < element; ++b)
        out.push_back(e.bytes[static_cast<size_t>((r * e.shape.back() + c) * element + b)]);
    }
  }
  return out;
}

std::vector<int64_t> UpTo(int64_t n) {
  std::vector<int64_t> out(static_cast<size_t>(n));
  std::iota(out.begin(), out.end(), 0);
  return out;
}

TEST_F(Pruning, KeptTensorsAreTheirSourcesBytes) {
  const PrunePlan plan{{0, 2, 3}, {{0, 5, 95}, {1, 2, 94}, {7, 8, 9}}};
  for (const char* family : {"llama", "qwen2", "qwen3"}) {
    for (const WeightFormat weights : {WeightFormat::kF32, WeightFormat::kBF16}) {
      SCOPED_TRACE(Cat(family, " ", TraitsOf(weights).name));
      DenseConfig config = FourLayers(family);
      config.mlp_bias = std::string(family) == "llama";
      const Path base = folder_ / Cat(family, TraitsOf(weights).name), out = base / "pruned";
      MakeModelFolder(base, config, {weights, 3});
      const ModelFiles source = OpenModel(base);
      std::filesystem::create_directory(out);
      WritePrunedModel(source, plan, out);

      const ModelFiles pruned = OpenModel(out);  // refuses missing, extra and misshapen tensors
      EXPECT_EQ(pruned.config.layers(), 3);
      EXPECT_EQ(pruned.config.blocks[0].mlp.width, 3);
      EXPECT_TRUE(std::filesystem::exists(out / "model-3.safetensors"));
      for (const TensorEntry& got : pruned.tensors.entries()) {
        SCOPED_TRACE(got.name);
        std::string from = got.name;
        std::vector<int64_t> neurons;
        for (const size_t layer : {2, 1, 0}) {  // no new name is taken for an old one
          const std::string prefix = Cat("model.layers.", layer, ".");
          if (!StartsWith(got.name, prefix)) continue;
          from = Cat("model.layers.", plan.layers[layer], ".", got.name.substr(prefix.size()));
          neurons = plan.neurons[layer];
        }
        const TensorEntry* want = source.tensors.Find(from);
        ASSERT_NE(want, nullptr);
        EXPECT_EQ(got.type_name(), want->type_name());
        const bool vector = want->shape.size() == 1;
        std::vector<int64_t> rows = UpTo(vector ? 1 : want->shape[0]);
        std::vector<int64_t> cols = UpTo(want->shape.back());
        if (from.find("down_proj.weight") != from.npos) cols = neurons;
        if (from.find("gate_proj.weight") != from.npos || from.find("up_proj.weight") != from.npos)
          rows = neurons;
        if (from.find("gate_proj.bias") != from.npos || from.find("up_proj.bias") != from.npos)
          cols = neurons;
        EXPECT_TRUE(std::ranges::equal(got.bytes, Picked(*want, rows, cols)));
      }
      const Json index = ReadJson(out / "model.safetensors.index.json");
      EXPECT_EQ(index["weight_map"].size(), pruned.tensors.entries().size());
      EXPECT_EQ(ReadText(out / "tokenizer.json"), ReadText(base / "tokenizer.json"));
    }
  }
}

TEST_F(Pruning, ConfigurationLosesTheListsOfLayersThatGo) {
  DenseConfig config = FourLayers("llama");
  config.tied = true;
  MakeModelFolder(folder_ / "base", config, {.head_only = true});
  Json j = ReadJson(folder_ / "base/config.json");
  const ModelFiles source = OpenModel(folder_ / "base");
  // The family refuses the types of the layers that go.
  j["layer_types"] = {"sliding_attention", "full_attention", "sliding_attention", "full_attention"};
  j["eos_token_id"] = {1, 2, 3, 4};  // as long as a list of layers, and none
  WriteTextAtomically(folder_ / "base/config.json", DumpJson(j));
  std::filesystem::create_directory(folder_ / "out");
  WritePrunedModel(source, {{1, 3}, {}}, folder_ / "out");
  const Json got = ReadJson(folder_ / "out/config.json");
  EXPECT_EQ(got["layer_types"], Json({"full_attention", "full_attention"}));
  EXPECT_EQ(got["eos_token_id"], j["eos_token_id"]);
  EXPECT_EQ(got["num_hidden_layers"], 2);
  EXPECT_EQ(got["intermediate_size"], config.ffn);
  EXPECT_EQ(OpenModel(folder_ / "out").tensors.Find("model.embed_tokens.weight"), nullptr);
}

// Falcon's layers are "transformer.h.N".
TEST_F(Pruning, LayersAreFoundByTheFamilysNames) {
  MakeModelFolder(folder_ / "base", FalconLayers(4), {});
  const ModelFiles source = OpenModel(folder_ / "base");
  std::filesystem::create_directory(folder_ / "out");
  WritePrunedModel(source, {{1, 3}, {}}, folder_ / "out");
  const ModelFiles pruned = OpenModel(folder_ / "out");
  EXPECT_EQ(pruned.tensors.entries().size(), pruned.layout.tensors.size());
  for (const auto& [to, from] : {std::pair{0, 1}, {1, 3}}) {
    const char* part = ".mlp.dense_h_to_4h.weight";
    EXPECT_TRUE(std::ranges::equal(pruned.tensors.Find(Cat("transformer.h.", to, part))->bytes,
                                   source.tensors.Find(Cat("transformer.h.", from, part))->bytes));
  }
}

// Config files that say by a layer's place what it is. Each kept layer stays what it was.
TEST_F(Pruning, KeptLayersStayOfTheirKind) {
  const Json small = {{"num_hidden_layers", 6},
                      {"hidden_size", 64},
                      {"intermediate_size", 96},
                      {"num_attention_heads", 4},
                      {"num_key_value_heads", 2},
                      {"head_dim", 16},
                      {"vocab_size", FolderConfig("llama").vocab},
                      {"eos_token_id", 256}};
  const Json experts = {{"moe_intermediate_size", 32},
                        {"num_experts", 4},
                        {"n_routed_experts", 4},
                        {"num_experts_per_tok", 2},
                        {"shared_expert_intermediate_size", 32},
                        {"n_shared_experts", 1},
                        {"q_lora_rank", nullptr},
                        {"kv_lora_rank", 16},
                        {"qk_rope_head_dim", 8},
                        {"qk_nope_head_dim", 8},
                        {"v_head_dim", 8}};
  const std::vector<Json> kinds = {
      {{"model_type", "gemma2"}, {"sliding_window", 8}},
      {{"model_type", "gemma3_text"}, {"sliding_window", 8}, {"sliding_window_pattern", 3}},
      {{"model_type", "smollm3"}},
      {{"model_type", "smollm3"}, {"no_rope_layers", {1, 0, 1, 1, 0, 1}}},
      {{"model_type", "qwen3_moe"}, {"mlp_only_layers", {0, 3}}},
      {{"model_type", "qwen2_moe"}, {"decoder_sparse_step", 2}},
      {{"model_type", "deepseek_v3"},
       {"first_k_dense_replace", 3},
       {"n_group", 1},
       {"topk_group", 1}}};
  for (const Json& kind : kinds) {
    SCOPED_TRACE(DumpJson(kind));
    Json config = small;
    config.update(experts);
    config.update(kind);
    const Path base = folder_ / "base", out = folder_ / "out";
    for (const Path& folder : {base, out}) std::filesystem::remove_all(folder);
    MakeModelFolder(base, config, {});
    const ModelFiles source = OpenModel(base);
    std::filesystem::create_directory(out);
    const std::vector<int64_t> kept = {1, 2, 4, 5};
    WritePrunedModel(source, {kept, {}}, out);
    const ModelFiles pruned = OpenModel(out);
    for (size_t i = 0; i < kept.size(); ++i) {
      EXPECT_EQ(pruned.config.blocks[i], source.config.blocks[static_cast<size_t>(kept[i])]) << i;
    }
    EXPECT_EQ(pruned.tensors.entries().size(), pruned.layout.tensors.size());
  }
}

// Falcon's width has a key of its own.
TEST_F(Pruning, TheMlpWidthIsWrittenUnderItsKey) {
  MakeModelFolder(folder_ / "base", FalconLayers(2), {});
  const ModelFiles source = OpenModel(folder_ / "base");
  std::filesystem::create_directory(folder_ / "out");
  WritePrunedModel(source, {{0, 1}, {{1, 5, 200}, {0, 2, 3}}}, folder_ / "out");
  EXPECT_EQ(OpenModel(folder_ / "out").config.mlp_width(), 3);
}

TEST_F(Pruning, ALayerThatDoesNothingGoesFirst) {
  MakeModelFolder(folder_ / "base", FourLayers("qwen3"));
  Edit([](const std::string& name, std::span<float> values) {
    if (name == "model.layers.2.self_attn.o_proj.weight" ||
        name == "model.layers.2.mlp.down_proj.weight")
      std::ranges::fill(values, 0.0f);
  });
  const std::vector<Example> examples = OwnWords(folder_ / "base");
  const std::vector<float> before = LogitsOf(folder_ / "base", kIds);
  for (const LayerRule rule : {LayerRule::kLoss, LayerRule::kCosine}) {
    SCOPED_TRACE(NameOf(rule));
    PruneOptions options;
    options.layers = 3;
    options.by = rule;
    const PruneReport report = PruneBase(options, examples);
    EXPECT_EQ(report.ranking.dropped, std::vector<int64_t>{2});
    EXPECT_EQ(report.ranking.kept, (std::vector<int64_t>{0, 1, 3}));
    EXPECT_EQ(report.loss_after, report.loss_before);
    EXPECT_EQ(LogitsOf(folder_ / "out", kIds), before);
    options.layers = 2;  // two rounds
    const PruneReport more = PruneBase(options, examples);
    EXPECT_EQ(more.ranking.dropped.front(), 2);
    EXPECT_GT(more.loss_after, more.loss_before);
    EXPECT_NE(LogitsOf(folder_ / "out", kIds), before);
  }
}

TEST_F(Pruning, NeuronsThatReachNothingGoFirst) {
  MakeModelFolder(folder_ / "base", FourLayers("llama"));
  const int64_t ffn = FolderConfig("llama").ffn;
  const auto is_dead = [](int64_t layer, int64_t f) { return f % (3 + layer) == 1; };
  std::vector<std::vector<int64_t>> living(4);
  for (int64_t layer = 0; layer < 4; ++layer) {
    for (int64_t f = 0; f < ffn; ++f) {
      if (!is_dead(layer, f)) living[static_cast<size_t>(layer)].push_back(f);
    }
  }
  Edit([&](const std::string& name, std::span<float> values) {
    for (int64_t layer = 0; layer < 4; ++layer) {
      if (name != Cat("model.layers.", layer, ".mlp.down_proj.weight")) continue;
      for (size_t i = 0; i < values.size(); ++i)
        if (is_dead(layer, static_cast<int64_t>(i) % ffn)) values[i] = 0;
    }
  });
  PruneOptions options;
  options.ffn = std::ssize(living[3]);  // in the other layers dead ones go, and some that live
  for (const auto& one : living) options.ffn = std::max(options.ffn, std::ssize(one));
  const PruneReport report = PruneBase(options, OwnWords(folder_ / "base"));
  EXPECT_LT(LargestDifference(LogitsOf(folder_ / "base", kIds), LogitsOf(folder_ / "out", kIds)),
            1e-5);
  for (const double share : report.neuron_share) EXPECT_NEAR(share, 1, 1e-12);
  const TensorTable pruned = ReadSafetensorsFolder(folder_ / "out");
  const TensorTable base = ReadSafetensorsFolder(folder_ / "base");
  const std::string gate = "model.layers.3.mlp.gate_proj.weight";  // has the fewest dead ones
  EXPECT_TRUE(
      std::ranges::equal(pruned.Find(gate)->bytes, Picked(*base.Find(gate), living[3], UpTo(64))));
}

TEST_F(Pruning, ARecordSaysWhatItWasMadeOf) {
  MakeModelFolder(folder_ / "base", FourLayers("llama"));
  PruneOptions options;
  options.layers = 2;
  options.by = LayerRule::kRandom;
  options.importance.seed = 7;
  const PruneReport report = PruneBase(options, OwnWords(folder_ / "base"));
  const Json record = ReadJson(folder_ / "out/retort.json")["pruned"];
  EXPECT_EQ(record["model"]["fingerprint"], Fingerprint(OpenModel(folder_ / "base")));
  EXPECT_EQ(record["layers"], Json(report.ranking.kept));
  EXPECT_EQ(record["by"], "random");
  EXPECT_EQ(record["loss_after"].get<double>(), report.loss_after);
  EXPECT_EQ(PruneBase(options, OwnWords(folder_ / "base")).ranking.kept, report.ranking.kept);
  std::set<std::vector<int64_t>> choices;
  for (options.importance.seed = 0; options.importance.seed < 12; ++options.importance.seed)
    choices.insert(PruneBase(options, OwnWords(folder_ / "base")).ranking.kept);
  EXPECT_GT(choices.size(), 2u);
}

TEST_F(Pruning, RefusesWhatTheModelDoesNotHave) {
  MakeModelFolder(folder_ / "base", FolderConfig("llama"));
  const auto examples = OwnWords(folder_ / "base");
  for (const auto& [layers, ffn] :
       {std::pair<int64_t, int64_t>{3, 0}, {-1, 0}, {0, 96}, {0, -2}, {2, 0}, {0, 0}}) {
    PruneOptions options;
    options.layers = layers;
    options.ffn = ffn;
    EXPECT_THROW(PruneBase(options, examples), Error) << layers << " " << ffn;
  }
  EXPECT_EQ(FilesIn(folder_.path()), std::vector<std::string>{"base"});
}

// Losses of models in memory against those of folders written one by one.
TEST_F(Pruning, LossesAreThoseOfTheFoldersWritten) {
  RETORT_NEEDS(model, "real/models/stories260K");
  RETORT_NEEDS(data, "real/datasets/tinystories/train.jsonl");
  const ModelFiles files = OpenModel(model);
  const auto backend = MakeCpuBackend(2, Compute::kF32);
  ExampleOptions cut;
  cut.over_length = OverLength::kTruncate;
  cut.max_tokens = 256;
  cut.add_eos = false;
  const auto examples =
      MakeExamples(Rows::Open({{data}}).First(8), *LoadTokenizer(model), nullptr, cut).examples;
  PruneOptions options;
  options.out = folder_ / "out";
  options.layers = 3;
  options.ffn = 160;
  const PruneReport report = Prune(files, *LoadModel(files, {}, *backend), examples, options);
  for (int64_t layer = 0; layer < 5; ++layer) {
    const Path one = folder_ / Cat("without-", layer);
    std::filesystem::create_directory(one);
    PrunePlan plan{UpTo(5), {}};
    plan.layers.erase(plan.layers.begin() + layer);
    WritePrunedModel(files, plan, one);
    const auto student = LoadModel(OpenModel(one), {}, *backend);
    EXPECT_EQ(EvaluateLoss(*student, nullptr, examples).mean(),
              report.ranking.importance[static_cast<size_t>(layer)]);
  }
  EXPECT_EQ(report.ranking.losses.front(), *std::ranges::min_element(report.ranking.importance));
  const auto student = LoadModel(OpenModel(folder_ / "out"), {}, *backend);
  EXPECT_EQ(EvaluateLoss(*student, nullptr, examples).mean(), report.loss_after);
  EXPECT_NEAR(report.loss_before, 1.549596, 1e-5);  // PyTorch's, of the same rows
  EXPECT_LT(report.loss_before, report.ranking.losses[0]);
  EXPECT_LT(report.ranking.losses[0], report.ranking.losses[1]);
}

}  // namespace
}  // namespace retort
