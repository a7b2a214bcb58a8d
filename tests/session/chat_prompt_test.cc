// SPDX-License-Identifier: Apache-2.0
// The prompt of running is the prompt of training: beside the adapter, after a merge, in the GGUF.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "data/model_tokenizer.h"
#include "export/init_model.h"
#include "export/merge.h"
#include "export/verify.h"
#include "model/store/chat_files.h"
#include "recipes/recipe_reader.h"
#include "session/session.h"

namespace retort {
namespace {

constexpr int32_t kStart = 298, kEndOfTurn = 299, kEndOfText = 256;

// A text as Qwen2's and SmolLM2's, with a default system prompt.
constexpr const char* kJinja =
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are Tiny.<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

class ChatPrompt : public ::testing::Test {
 protected:
  ChatPrompt() : folder_(Path(::testing::TempDir()) / Cat("retort_chat_prompt_", ::getpid())) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    InitOptions init;
    init.config = ShapeNamed("1,32,2,1,64,300");
    WriteInitialModel(folder_ / "model", init);
    Json tokenizer = ReadJson(folder_ / "model" / "tokenizer.json");
    for (const auto& [id, text] : {std::pair(kStart, "<|im_start|>"), {kEndOfTurn, "<|im_end|>"}}) {
      tokenizer["model"]["vocab"].erase(Cat("<|unused_", id, "|>"));
      tokenizer["model"]["vocab"][text] = id;
      Json token = tokenizer["added_tokens"][0];
      token["id"] = id, token["content"] = text;
      tokenizer["added_tokens"].push_back(token);
    }
    WriteTextAtomically(folder_ / "model" / "tokenizer.json", DumpJson(tokenizer));
    SetJinja(kJinja);
    WriteTextAtomically(folder_ / "rows.jsonl",
                        R"({"messages": [{"role": "user", "content": "Hi"}, )"
                        R"({"role": "assistant", "content": "Yes"}]})");
  }
  ~ChatPrompt() override { std::filesystem::remove_all(folder_); }

  void SetJinja(const std::string& text) {
    const Path path = folder_ / "model" / "tokenizer_config.json";
    Json config = ReadJson(path);
    config["chat_template"] = text;
    WriteTextAtomically(path, DumpJson(config));
  }

  // Trains one step; returns the ids of the first training row.
  std::vector<int32_t> Train(std::vector<std::string> settings) {
    const Recipe recipe = ParseRecipe(
        R"({"model": {"path": "model", "weights": "f32", "compute": "f32"},
            "data": {"train": "rows.jsonl"}, "train": {"steps": 1, "warmup": 0}})",
        "recipe", folder_, settings);
    std::filesystem::remove_all(folder_ / "run");
    PrepareRunFolder(folder_ / "run", false, "{}",
                     [](const std::string&) { return std::vector<std::string>(); });
    TrainingSession session(recipe);
    session.Run(folder_ / "run", [](const RunProgress&) {});
    return OpenRecipeData(recipe, OpenModel(recipe.model.path)).train.examples[0].ids;
  }

  // The row's ids as commands encode it for this model and adapter.
  std::vector<int32_t> IdsOf(const Path& model, const Path& adapter) {
    const auto tokenizer = LoadTokenizer(OpenModel(model));
    const ChatTemplate chat = ChatTemplateFor("auto", tokenizer->spec(), adapter, model.string());
    return EncodeRow(Rows::Open({{folder_ / "rows.jsonl"}}).Read(0), *tokenizer, &chat, {}).ids;
  }

  void ExpectSamePromptEverywhere(const std::vector<int32_t>& trained, int32_t end) {
    EXPECT_EQ(IdsOf(folder_ / "model", folder_ / "run" / "adapter"), trained);
    const Path merged = folder_ / "merged", gguf = folder_ / "merged.gguf";
    std::filesystem::remove_all(merged);
    Merge({{}, folder_ / "run" / "adapter", merged, "", 1});
    EXPECT_EQ(IdsOf(merged, {}), trained);
    ExportGguf(OpenModel(merged), gguf, {WeightFormat::kF32});
    EXPECT_EQ(IdsOf(gguf, {}), trained);
    for (const Path& path : {merged, gguf}) {
      const std::vector<int32_t> ends = OpenModel(path).config.ends;
      EXPECT_NE(std::ranges::find(ends, end), ends.end()) << path;
      EXPECT_NE(std::ranges::find(ends, kEndOfText), ends.end()) << path;
    }
  }

  Path folder_;
};

TEST_F(ChatPrompt, OfTheModelsOwnTemplateWithADefaultSystemPrompt) {
  const std::vector<int32_t> ids = Train({});
  EXPECT_EQ(std::ranges::count(ids, kStart), 3);  // system, user, assistant
  ExpectSamePromptEverywhere(ids, kEndOfTurn);
  EXPECT_EQ(LoadTokenizer(folder_ / "merged")->spec().chat_template, kJinja);
  const auto record = ReadBaseRecord(folder_ / "run" / "adapter");
  EXPECT_EQ(record->chat_template, "own");
  EXPECT_EQ(record->jinja, kJinja);
}

TEST_F(ChatPrompt, OfATemplateNamedByHand) {
  for (const char* name : {"chatml", "mistral", "llama2"}) {
    const bool chatml = std::string(name) == "chatml";
    const std::vector<int32_t> ids = Train({Cat("data.template=", name)});
    EXPECT_EQ(std::ranges::count(ids, kStart), chatml ? 2 : 0) << name;
    ExpectSamePromptEverywhere(ids, chatml ? kEndOfTurn : kEndOfText);
  }
}

TEST_F(ChatPrompt, OfATextOfItsOwn) {
  SetJinja(ReplaceAll(kJinja, "message['content']", "message['content'] | trim"));
  ExpectSamePromptEverywhere(Train({}), kEndOfTurn);
  ExpectSamePromptEverywhere(Train({"data.template=chatml"}), kEndOfTurn);
}

TEST_F(ChatPrompt, WhenEveryWeightIsTrained) {
  const std::vector<int32_t> ids = Train({"adapter.kind=none", "data.template=mistral"});
  EXPECT_EQ(IdsOf(folder_ / "run" / "model", {}), ids);
}

// Written by versions that recorded a name and a default system prompt, and by older ones, which
// recorded the name alone: then the model's own text is the likelier one.
TEST_F(ChatPrompt, OfAnAdapterWithAnOlderRecord) {
  const std::vector<int32_t> ids = Train({});
  const Path manifest = folder_ / "run" / "adapter" / kManifestName;
  Json j = ReadJson(manifest);
  j["base"].erase("jinja");
  j["base"]["template"] = "chatml";
  WriteTextAtomically(manifest, DumpJson(j));
  EXPECT_EQ(IdsOf(folder_ / "model", folder_ / "run" / "adapter"), ids);
  j["base"]["preamble"] = "You are Tiny.";
  WriteTextAtomically(manifest, DumpJson(j));
  EXPECT_EQ(IdsOf(folder_ / "model", folder_ / "run" / "adapter"), ids);
  j["base"]["preamble"] = "";
  WriteTextAtomically(manifest, DumpJson(j));
  EXPECT_NE(IdsOf(folder_ / "model", folder_ / "run" / "adapter"), ids);
}

// chat_template.jinja goes before tokenizer_config.json.
TEST_F(ChatPrompt, OfAModelWithItsTextInAFileOfItsOwn) {
  WriteTextAtomically(folder_ / "model" / "chat_template.jinja", kJinja);
  ExpectSamePromptEverywhere(Train({"data.template=mistral"}), kEndOfText);
}

TEST_F(ChatPrompt, NotesOfHeldOutRowsAreTold) {
  const std::string rows = R"({"text": "abcdefghijkl"})"
                           "\n"
                           R"({"text": "ab", "id": 1})";
  WriteTextAtomically(folder_ / "eval.jsonl", rows);
  const auto notes = [&](const std::vector<std::string>& more) {
    const std::string path = (folder_ / "eval.jsonl").string();
    std::vector<std::string> settings = {
        Cat("data.eval={\"path\": \"", path, "\", \"weight\": 0.5}")};
    settings.insert(settings.end(), more.begin(), more.end());
    const Recipe recipe = ParseRecipe(
        R"({"model": {"path": "model"}, "data": {"train": "eval.jsonl", "over_length": "drop"}})",
        "recipe", folder_, settings);
    const RecipeData data = OpenRecipeData(recipe, OpenModel(recipe.model.path));
    EXPECT_EQ(data.eval.rows, 2);
    return Join(data.train.notes, "\n");
  };
  const std::string all = notes({"data.max_tokens=8"});
  EXPECT_NE(all.find("held out: 1 of 2 rows are over 8 tokens and were left out"),
            std::string::npos)
      << all;
  EXPECT_NE(all.find("held out: keys of rows that are no part of what is trained: 'id'"),
            std::string::npos)
      << all;
  EXPECT_NE(all.find("held out: a weight in data.eval changes nothing"), std::string::npos) << all;
  EXPECT_EQ(notes({}).find("were left out"), std::string::npos);
}

TEST_F(ChatPrompt, WeightsOfSourcesAreTold) {
  WriteTextAtomically(folder_ / "more.jsonl",
                      "{\"text\": \"a\"}\n{\"text\": \"b\"}\n{\"text\": \"c\"}");
  const Recipe recipe = ParseRecipe(
      R"({"model": {"path": "model"}, "data": {"train": [{"path": "rows.jsonl", "weight": 0.7},
          {"path": "more.jsonl", "weight": 0.3}]}})",
      "recipe", folder_, {});
  const RecipeData data = OpenRecipeData(recipe, OpenModel(recipe.model.path));
  EXPECT_EQ(data.train.examples.size(), 4u);
  const std::string notes = Join(data.train.notes, "\n");
  EXPECT_NE(notes.find("more.jsonl: weight 0.3, 2 draws an epoch from 3 rows; every row has been "
                       "drawn after 2 epochs"),
            std::string::npos)
      << notes;
}

}  // namespace
}  // namespace retort
