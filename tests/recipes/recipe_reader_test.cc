// SPDX-License-Identifier: Apache-2.0
#include "recipes/recipe_reader.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "export/gguf_mix.h"
#include "recipes/key_lines.h"
#include "recipes/other_names.h"
#include "tensor/quant/format.h"

namespace retort {
namespace {

using Overrides = std::vector<std::string>;

const char* const kMinimal = R"({"model": {"path": "m"}, "data": {"train": "t.jsonl"}})";

Recipe Parse(const std::string& text, const Overrides& overrides = {}) {
  return ParseRecipe(text, "recipe.json", "/recipes", overrides);
}

// The message of the Error{kInput} that reading ends with, "" when it does not.
std::string Refusal(const std::string& text, const Overrides& overrides = {}) {
  try {
    Parse(text, overrides);
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), Error::Kind::kInput);
    EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos) << "more than one line";
    return e.what();
  }
  return "";
}

TEST(RecipeReader, DefaultsAreTheContracts) {
  const Json r = ResolvedJson(Parse(kMinimal));
  const Json expected = ParseJson(R"({
    "model": {"path": "/recipes/m", "weights": "nf4", "double_quant": true, "compute": "auto",
              "device": "auto"},
    "adapter": {"kind": "lora", "rank": 16, "alpha": 32, "dropout": 0, "targets": "all-linear",
                "exclude": [], "rslora": false},
    "data": {"train": [{"path": "/recipes/t.jsonl", "weight": 1}], "format": "auto",
             "template": "auto", "loss_on": "completion", "max_tokens": 1024, "packing": true,
             "over_length": "error", "shuffle": true, "add_eos": true, "audit": "stop"},
    "train": {"epochs": "auto", "batch_tokens": "auto", "accumulate": 1,
              "optimizer": "adamw", "beta1": "auto", "beta2": "auto", "epsilon": 1e-8, "lr": "auto",
              "min_lr": 0, "schedule": "cosine", "warmup": 0.03, "weight_decay": 0, "clip": 1,
              "seed": 1, "threads": "all", "gradient_checkpointing": "auto", "part_tokens": 512,
              "checkpoint_every": 100, "keep": 2, "eval_every": 0},
    "export": {"merge": "auto", "gguf": []}})",
                                  "expected");
  EXPECT_EQ(r, expected) << DumpJson(Json::diff(r, expected), 1);
}

TEST(RecipeReader, TeachersDefaultsAppearWithATeacher) {
  EXPECT_FALSE(ResolvedJson(Parse(kMinimal)).contains("teacher"));
  const Json teacher = ResolvedJson(Parse(kMinimal, {"teacher.path=/t"}))["teacher"];
  EXPECT_EQ(teacher, ParseJson(R"({"path": "/t", "weights": "bf16", "compute": "auto",
      "device": "auto", "mode": "online", "top_k": 64, "temperature": 1,
      "divergence": "forward_kl", "beta": 0.5, "weight": 0.5, "scale_t2": false, "lambda": 1,
      "sampling_temperature": 1, "max_new_tokens": 128, "hidden": "none", "hidden_weight": 1,
      "hidden_layers": "last"})",
                               "expected"));
}

// Every key away from its default, in every form that a value may take.
const char* const kFull = R"({
  // A comment, with a "quote: {
  "name": "full", /* another
  one */
  "model": {"path": "/m", "weights": "bf16", "double_quant": false, "compute": "f32",
            "device": "cuda:1"},
  "adapter": {"rank": 8, "alpha": 12.5, "dropout": 0.1, "targets": ["q_proj", "v_proj"],
              "exclude": "model\\.layers\\.0\\..*", "layers": [1, 3],
              "rank_pattern": {"v_proj": 4}, "alpha_pattern": {"layers.1": 0.5},
              "init": "../adapter", "rslora": true},
  "data": {"train": ["a.jsonl", {"path": "b.jsonl", "weight": 0.25}, {"path": "c.jsonl"}],
           "eval": {"path": "e.jsonl", "weight": 2}, "format": "tokens", "template": "chatml",
           "loss_on": "all", "max_tokens": 256, "packing": false, "over_length": "split",
           "shuffle": false, "add_eos": false, "audit": "off"},
  "teacher": {"path": "t.gguf", "weights": "as-is", "mode": "cached", "cache": "cache",
              "top_k": 100, "temperature": 2, "divergence": "jsd", "beta": 0.1, "weight": 1,
              "scale_t2": true},
  "train": {"steps": 1e3, "batch_rows": 2, "accumulate": 3, "optimizer": "adamw8", "decay": 0.25, "neftune": 5,
            "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-6, "lr": 0.1, "min_lr": 0.01,
            "schedule": "wsd", "warmup": 10, "weight_decay": 0.1, "clip": 0, "seed": 42,
            "threads": 2, "gradient_checkpointing": "block", "part_tokens": 96, "checkpoint_every": 5, "keep": 1,
            "eval_every": 7},
  "export": {"merge": "nf4", "gguf": ["q8_0", "f16"], "out": "out"}
})";

TEST(RecipeReader, EveryKeyReachesItsMember) {
  const Recipe r = Parse(kFull);
  Recipe e;
  e.name = "full";
  e.model = {"/m", "bf16", false, "f32", "cuda:1"};
  e.adapter.rank = 8;
  e.adapter.alpha = 12.5;
  e.adapter.dropout = 0.1;
  e.adapter.targets.suffixes = {"q_proj", "v_proj"};
  e.adapter.exclude.regex = "model\\.layers\\.0\\..*";
  e.adapter.layers = {1, 3};
  e.adapter.rank_pattern = {{"v_proj", 4}};
  e.adapter.alpha_pattern = {{"layers.1", 0.5}};
  e.adapter.init = "/adapter";
  e.adapter.rslora = true;
  e.data.train = {{"/recipes/a.jsonl", 1}, {"/recipes/b.jsonl", 0.25}, {"/recipes/c.jsonl", 1}};
  e.data.eval = {{"/recipes/e.jsonl", 2}};
  e.data.format = "tokens";
  e.data.template_name = "chatml";
  e.data.loss_on = "all";
  e.data.max_tokens = 256;
  e.data.packing = e.data.shuffle = e.data.add_eos = false;
  e.data.over_length = "split";
  e.data.audit = "off";
  e.teacher.path = "/recipes/t.gguf";
  e.teacher.weights = "as-is";
  e.teacher.mode = "cached";
  e.teacher.cache = "/recipes/cache";
  e.teacher.top_k = 100;
  e.teacher.temperature = 2;
  e.teacher.divergence = "jsd";
  e.teacher.beta = 0.1;
  e.teacher.weight = 1;
  e.teacher.scale_t2 = true;
  e.train = {1000, 0,    0, 2, 3,   "adamw8", 0.8, 0.95, 1e-6,    0,  0.1, 0.01, "wsd",
             10,   0.25, 5, 0, 0.1, 0,        42,  2,    "block", 96, 5,   1,    7};
  e.exports = {"nf4", {"q8_0", "f16"}, "/recipes/out"};
  EXPECT_TRUE(r == e) << DumpJson(ResolvedJson(r), 1) << DumpJson(ResolvedJson(e), 1);
}

TEST(RecipeReader, ASectionCanBeTakenOut) {
  const Recipe r = Parse(kFull, {"teacher=null"});
  EXPECT_FALSE(r.has_teacher());
  EXPECT_EQ(r.teacher.divergence, "forward_kl");
  EXPECT_EQ(r.train.lr, Parse(kFull).train.lr);
}

TEST(RecipeReader, TheResolvedRecipeReadsBackTheSame) {
  for (const std::string text : {kMinimal, kFull}) {
    const Recipe r = Parse(text);
    // From another folder: a resolved recipe depends on none.
    const Recipe again = ParseRecipe(DumpJson(ResolvedJson(r), 2), "run/recipe.json", "/elsewhere");
    EXPECT_TRUE(r == again) << DumpJson(ResolvedJson(again), 1);
  }
}

TEST(RecipeReader, TheCacheOfRowsIsAWordOrAFolder) {
  const auto cache = [](const std::string& value) {
    return Parse(ReplaceAll(kMinimal, "\"t.jsonl\"", "\"t\", \"cache\": \"" + value + "\""))
        .data.cache;
  };
  for (const char* word : {"auto", "none"}) EXPECT_EQ(cache(word), word);
  EXPECT_EQ(cache("tokens"), "/recipes/tokens");
}

TEST(RecipeReader, FilesNameTheRunAndAnchorTheirPaths) {
  const Path folder =
      std::filesystem::temp_directory_path() / Cat("retort_recipe_reader_test_", ::getpid());
  std::filesystem::create_directories(folder);
  WriteTextAtomically(folder / "router.json", kMinimal);
  const Recipe r = ReadRecipe(folder / "router.json", {"data.eval=e.jsonl"});
  EXPECT_EQ(r.name, "router");
  EXPECT_EQ(r.model.path, folder / "m");
  EXPECT_EQ(r.data.eval[0].path, std::filesystem::current_path() / "e.jsonl");
  std::filesystem::remove_all(folder);
}

TEST(RecipeReader, UnknownKeysNameTheNearest) {
  const auto with = [](const std::string& more) {
    return "{\"model\": {\"path\": \"m\"},\n \"data\": {\"train\": \"t\"},\n" + more + "}";
  };
  EXPECT_EQ(Refusal(with("\"train\": {\n  \"lrr\": 1}")),
            "recipe.json:4: key 'train.lrr' is not known; did you mean 'train.lr'?");
  EXPECT_EQ(Refusal(with("\"trian\": {}")),
            "recipe.json:3: key 'trian' is not known; did you mean 'train'?");
  EXPECT_EQ(Refusal(with("\"lr\": 1")),
            "recipe.json:3: key 'lr' is not known; did you mean 'train.lr'?");
  EXPECT_EQ(Refusal(with("\"train\": {\"rank\": 8}")),
            "recipe.json:3: key 'train.rank' is not known; did you mean 'adapter.rank'?");
  EXPECT_EQ(Refusal(with("\"zzzzzzzz\": 1")), "recipe.json:3: key 'zzzzzzzz' is not known");
  EXPECT_EQ(Refusal(kMinimal, {"train.learning_rate=1"})
                .find("--set train.learning_rate=1: key 'train.learning_rate' is not known"),
            0u);
  EXPECT_EQ(Refusal(R"({"model": {"path": "m"}, "data": {"train": {"path": "t", "wieght": 2}}})"),
            "recipe.json:1: key 'wieght' of a source in 'data.train' is not known; did you mean "
            "'weight'?");
}

TEST(RecipeReader, CommentsDoNotShiftLines) {
  EXPECT_EQ(Refusal("// one \"{\n/* two\n three */ {\"model\" /* : */ : // x\n {\"path\": 3}}"),
            "recipe.json:4: 'model.path' must be a path, not 3");
}

TEST(RecipeReader, ValuesOutsideTheirRangesAreRefused) {
  const std::pair<const char*, const char*> cases[] = {
      {"train.lr=0", "'train.lr' must be \"auto\" or a number above 0 and at most 100, not 0"},
      {"train.lr=high",
       "'train.lr' must be \"auto\" or a number above 0 and at most 100, not \"high\""},
      {"train.epochs=0",
       "'train.epochs' must be \"auto\" or a number above 0 and at most 1000000, not 0"},
      {"train.batch_tokens=0",
       "'train.batch_tokens' must be \"auto\" or an integer of at least 1 and at most 67108864, not 0"},
      {"train.steps=0",
       "'train.steps' must be an integer of at least 1 and at most 1000000000, not 0"},
      {"train.steps=2.5",
       "'train.steps' must be an integer of at least 1 and at most 1000000000, not 2.5"},
      {"train.seed=9007199254740994",
       "'train.seed' must be an integer of at least 0 and at most 9007199254740991, not 9007199254740994"},
      {"train.seed=-1",
       "'train.seed' must be an integer of at least 0 and at most 9007199254740991, not -1"},
      {"train.threads=some",
       "'train.threads' must be an integer of at least 1 and at most 1024 or \"all\", not "
       "\"some\""},
      {"train.warmup=1.5",
       "'train.warmup' must be a number of at least 0 and below 1 or an "
       "integer of at least 1 and at most 1000000000, not 1.5"},
      {"train.schedule=cosin",
       "'train.schedule' must be one of cosine, constant, linear, wsd, inverse_sqrt, not "
       "\"cosin\""},
      {"adapter.dropout=1", "'adapter.dropout' must be a number of at least 0 and below 1, not 1"},
      {"adapter.targets=[]", "'adapter.targets' must be a list of suffixes or a regex, not []"},
      {"adapter.targets=[1]", "'adapter.targets' must be a list of suffixes or a regex, not [1]"},
      {"model.double_quant=1", "'model.double_quant' must be true or false, not 1"},
      {"model.device=gpu", "'model.device' must be auto, cpu, cuda or cuda:N, not \"gpu\""},
      {"model.path=", "'model.path' must be a path, not \"\""},
      {"data.train=[]",
       "'data.train' must be a path, {\"path\": …, \"weight\": 1e-6 to 1e6} or a list "
       "of these, not []"},
      {"data.train={\"path\":\"a\",\"weight\":0}",
       "'data.train' must be a path, {\"path\": …, \"weight\": 1e-6 to 1e6} or a list of these, not "
       "{\"path\":\"a\",\"weight\":0}"},
      {"train=3", "'train' must be an object, not 3"},
  };
  for (const auto& [argument, message] : cases) {
    EXPECT_EQ(Refusal(kMinimal, {argument}), Cat("--set ", argument, ": ", message));
  }
  EXPECT_EQ(Refusal(kMinimal, {"export.gguf=[\"q9\"]"}),
            Cat("--set export.gguf=[\"q9\"]: 'export.gguf' must be a list of types (",
                Join(GgufTypeNames(), ", "), "), not [\"q9\"]"));
}

// Without an upper bound they would take memory or time without end, or become infinite.
TEST(RecipeReader, NumbersHaveUpperBounds) {
  for (const char* key : {"adapter.rank",
                          "adapter.alpha",
                          "data.max_tokens",
                          "teacher.top_k",
                          "teacher.temperature",
                          "teacher.sampling_temperature",
                          "teacher.max_new_tokens",
                          "teacher.hidden_weight",
                          "train.threads",
                          "train.steps",
                          "train.epochs",
                          "train.batch_tokens",
                          "train.batch_rows",
                          "train.accumulate",
                          "train.epsilon",
                          "train.lr",
                          "train.min_lr",
                          "train.warmup",
                          "train.weight_decay",
                          "train.clip",
                          "train.part_tokens",
                          "train.checkpoint_every",
                          "train.keep",
                          "train.eval_every"}) {
    for (const char* value : {"9007199254740992", "1e300", "18446744073709551615"}) {
      const std::string message = Refusal(kMinimal, {"teacher.path=t", Cat(key, "=", value)});
      EXPECT_NE(message.find(Cat("'", key, "' must be ")), std::string::npos) << key << message;
      EXPECT_NE(message.find("at most "), std::string::npos) << message;
    }
  }
  for (const char* weight : {"0", "1e-7", "1e7", "1e300"}) {
    EXPECT_NE(Refusal(kMinimal, {Cat(R"(data.train={"path":"t","weight":)", weight, "}")}), "")
        << weight;
  }
  // Integers from here on may be read as their neighbours.
  EXPECT_NE(Refusal(kMinimal, {"train.seed=9007199254740993"}).find("at most 9007199254740991"),
            std::string::npos);
  EXPECT_EQ(Refusal(kMinimal, {"train.seed=9007199254740991"}), "");
  // Each is possible, and both together are not.
  EXPECT_EQ(Refusal(kMinimal, {"train.batch_tokens=1000000"}), "");
  EXPECT_EQ(Refusal(kMinimal, {"train.accumulate=1000"}), "");
  EXPECT_NE(Refusal(kMinimal, {"train.batch_tokens=1000000", "train.accumulate=1000"})
                .find("a step of 1000000 x 1000 tokens"),
            std::string::npos);
  EXPECT_NE(Refusal(kMinimal, {"train.batch_rows=1000", "train.accumulate=1000"})
                .find("a step of 1024000 x 1000 tokens"),
            std::string::npos);
}

// It names a folder in runs/.
TEST(RecipeReader, ANameIsNoPath) {
  for (const char* name : {"/tmp/x", "../x", "a/b", "..", "."})
    EXPECT_NE(Refusal(kMinimal, {Cat("name=", name)}).find("--run takes a path"),
              std::string::npos);
  EXPECT_EQ(Refusal(kMinimal, {"name=a.b-c ..d"}), "");
}

TEST(RecipeReader, OtherProgramsKeysAreTranslated) {
  const std::pair<const char*, const char*> cases[] = {
      {"lora_r", "here it is 'adapter.rank'"},
      {"lora_alpha", "here it is 'adapter.alpha'"},
      {"adapter.r", "here it is 'adapter.rank'"},
      {"lora_target_modules", "here it is 'adapter.targets'"},
      {"learning_rate", "here it is 'train.lr'"},
      {"train.learning-rate", "here it is 'train.lr'"},
      {"train.Learning_Rate", "here it is 'train.lr'"},
      {"num_train_epochs", "here it is 'train.epochs'"},
      {"per_device_train_batch_size", "here it is 'train.batch_rows'"},
      {"micro_batch_size", "here it is 'train.batch_rows'"},
      {"gradient_accumulation_steps", "here it is 'train.accumulate'"},
      {"cutoff_len", "here it is 'data.max_tokens'"},
      {"data.max_seq_length", "here it is 'data.max_tokens'"},
      {"sequence_len", "here it is 'data.max_tokens'"},
      {"model.load_in_4bit", "here it is 'model.weights' (nf4 is the default)"},
      {"base_model", "here it is 'model.path'"},
      {"output_dir", "here it is the flag --run"},
  };
  for (const auto& [key, words] : cases) {
    EXPECT_EQ(Refusal(kMinimal, {Cat(key, "=1")}),
              Cat("--set ", key, "=1: key '", key, "' is not known; ", words));
  }
  EXPECT_EQ(Refusal(kMinimal, {"seed=1"}),
            "--set seed=1: key 'seed' is not known; did you mean 'train.seed'?");
  EXPECT_EQ(KeyMeant("lr"), "train.lr");
  EXPECT_EQ(KeyMeant("num_epochs"), "train.epochs");
  EXPECT_EQ(KeyMeant("output_dir"), "");
}

// Every name of the table leads to a key that there is.
TEST(RecipeReader, TranslationsLeadToKeys) {
  for (const char* other :
       {"lora_dropout", "use_rslora", "save_steps", "save_total_limit", "eval_steps",
        "warmup_ratio", "max_grad_norm", "lr_scheduler_type", "optim", "adam_beta2",
        "sample_packing", "chat_template", "val_set_size", "train_on_inputs",
        "bnb_4bit_use_double_quant", "torch_dtype"}) {
    const std::string key = KeyMeant(other);
    ASSERT_NE(key, "") << other;
    EXPECT_EQ(Refusal(kMinimal, {Cat(key, "=[[]]")}).find("is not known"), std::string::npos)
        << key;
  }
}

// Four bytes that once crashed the scanner of lines, and what else it could stumble over.
TEST(RecipeReader, WhatIsNoJsonIsToldAsThat) {
  for (const std::string& text :
       {std::string("{}\0]", 4), std::string("{}\0\"", 4), std::string("\0", 1), std::string("]"),
        std::string("{\"a"), std::string("{\"a\\"), std::string("/*"), std::string("{}/"),
        std::string("{\"a\":"), std::string()}) {
    EXPECT_NE(Refusal(text).find("recipe.json: not JSON"), std::string::npos) << Refusal(text);
  }
}

TEST(KeyLines, SurvivesAnyText) {
  for (const std::string text : {"]", "}}", "{\"a", "{\"a\\", "\"a\":", "/*", "/", "{\"a\"/", ":"})
    EXPECT_LE(KeyLines(text, "x").size(), 1u) << text;
}

TEST(RecipeReader, RefusesWhatAsksForOtherThanTheRowsAnswer) {
  const auto refusal = [](std::vector<std::string> settings) {
    settings.emplace_back("data.packing=false");
    return Refusal(kMinimal, settings);
  };
  EXPECT_NE(refusal({"reward.exact=true", "data.loss_on=all"}).find("all cannot go with rewards"),
            std::string::npos);
  const std::vector<std::string> on_policy = {"teacher.path=t", "teacher.mode=on-policy"};
  for (const char* setting : {"data.loss_on=all", "data.over_length=split"}) {
    std::vector<std::string> settings = on_policy;
    settings.emplace_back(setting);
    EXPECT_NE(refusal(settings).find("'teacher.mode' on-policy"), std::string::npos) << setting;
  }
  const std::vector<std::string> kto = {"preference.method=kto", "train.batch_rows=1"};
  EXPECT_NE(refusal(kto).find("steps of one row"), std::string::npos);
  EXPECT_EQ(refusal({kto[0], kto[1], "train.accumulate=2"}), "");
}

// Names of nested keys are not multiplied, and the parser is not made to compare all keys in pairs.
TEST(RecipeReader, AHostileRecipeTakesNoTime) {
  std::string many = "{\"" + std::string(100000, 'k') + "\": {";
  for (int i = 0; i < 100000; ++i) many += Cat(i ? "," : "", "\"", i, "\": {\"x\": {\"y\": 1}}");
  const std::string message = Refusal(many + "}}");
  EXPECT_NE(message.find("is not known"), std::string::npos);
  EXPECT_LE(message.size(), 400u);
}

TEST(RecipeReader, ATextOfAHostileRecipeIsShownInPart) {
  const std::string message =
      Refusal(R"({"model": {"path": "m"}, "data": {"train": "t"}, "train": {"lr": ")" +
              std::string(100000, 'x') + R"(\n\u001b[2J"}})");
  EXPECT_TRUE(message.starts_with("recipe.json:1: 'train.lr' must be ")) << message;
  EXPECT_LE(message.size(), 400u);
  EXPECT_EQ(message.find('\x1b'), std::string::npos);
  EXPECT_NE(Refusal(R"({"model": {"path": "m\u0000x"}, "data": {"train": "t"}})"), "")
      << "the system would open m";
}

TEST(RecipeReader, NullInTheFileIsNoValue) {
  EXPECT_EQ(Refusal(R"({"model": {"path": null}, "data": {"train": "t"}})"),
            "recipe.json:1: 'model.path' must be a path, not null");
}

TEST(RecipeReader, RequiredKeysAreAskedFor) {
  EXPECT_EQ(Refusal("{}"), "recipe.json: 'model.path' is missing");
  EXPECT_EQ(Refusal(R"({"model": {"path": "m"}, "data": {}})"),
            "recipe.json: 'data.train' is missing");
  EXPECT_EQ(Refusal("[]"), "recipe.json: a recipe must be an object, { … }");
  EXPECT_NE(Refusal("{\"model\": }").find("recipe.json: not JSON"), std::string::npos);
}

TEST(RecipeReader, AKeyGivenTwiceIsRefused) {
  EXPECT_EQ(Refusal("{\"model\": {\"path\": \"m\",\n\"path\": \"n\"}}"),
            "recipe.json:2: key 'model.path' was already given in line 1; keep one of them");
  EXPECT_EQ(Refusal(R"({"model": {"path": "m"}, "data": {"train": [{"path": "a", "path": "b"}]}})"),
            "recipe.json:1: key 'data.train.path' was already given in line 1; keep one of them");
  EXPECT_EQ(Refusal(R"({"model": {"path": "m", "p\u0061th": "n"}, "data": {"train": "t"}})"),
            "recipe.json: key 'model.path' is given twice; keep one of them");
  EXPECT_EQ(Refusal(kMinimal, {R"(train={"lr": 1, "lr": 2})"}),
            R"(--set train={"lr": 1, "lr": 2}: key 'lr' is given twice; keep one of them)");
}

TEST(RecipeReader, ValuesThatDoNotGoTogether) {
  const std::string steps_and_epochs =
      R"({"model": {"path": "m"}, "data": {"train": "t"}, "train": {"steps": 5, "epochs": 2}})";
  EXPECT_NE(Refusal(steps_and_epochs).find("exclude each other"), std::string::npos);
  EXPECT_NE(Refusal(kMinimal, {"adapter.kind=none"}).find("set 'model.weights' to f32 or bf16"),
            std::string::npos);
  EXPECT_EQ(Refusal(kMinimal, {"adapter.kind=none", "model.weights=f32"}), "");
  EXPECT_NE(Refusal(kMinimal, {"train.lr=0.1", "train.min_lr=1"}).find("above 'train.lr'"),
            std::string::npos);
  EXPECT_NE(
      Refusal(
          R"({"model": {"path": "m"}, "data": {"train": "t"}, "train": {"batch_rows": 5, "batch_tokens": 2}})")
          .find("exclude each other"),
      std::string::npos);
  EXPECT_EQ(
      Refusal(R"({"model": {"path": "m"}, "data": {"train": "t"}, "train": {"batch_rows": 5}})",
              {"train.batch_tokens=9"}),
      "");
  EXPECT_EQ(Refusal(kMinimal, {"teacher.top_k=8"}),
            "--set teacher.top_k=8: 'teacher.path' is missing; 'teacher.top_k' needs a teacher");
  EXPECT_NE(Refusal(kMinimal, {"teacher.path=t", "teacher.mode=cached"}).find("'teacher.cache'"),
            std::string::npos);
  for (const char* end : {"0", "1"}) {
    EXPECT_NE(Refusal(kMinimal, {"teacher.path=t", Cat("teacher.beta=", end)}), "");
  }
}

TEST(RecipeReader, OverridesTakeTextWhereJsonDoesNotFit) {
  const Recipe r = Parse(
      kMinimal, {"name=2024", "model.weights=f32", "data.train=[\"/a\", \"/b\"]", "train.threads=3",
                 "train={\"lr\": 1, \"clip\": 0}", "adapter.targets=.*proj", "data.eval=\"/e\""});
  EXPECT_EQ(r.name, "2024");
  EXPECT_EQ(r.model.weights, "f32");
  EXPECT_EQ(r.data.train.size(), 2u);
  EXPECT_EQ(r.train.threads, 3);
  EXPECT_EQ(r.train.lr, 1);
  EXPECT_EQ(r.train.clip, 0);
  EXPECT_EQ(r.adapter.targets.regex, ".*proj");
  EXPECT_EQ(r.data.eval[0].path, "/e");
  EXPECT_NE(Refusal(kMinimal, {"train.lr"}).find("KEY=VALUE"), std::string::npos);
}

TEST(RecipeReader, OverridesDisplaceWhatTheFileSays) {
  const std::string file = R"({"model": {"path": "m"}, "data": {"train": "t", "eval": "e"},
                               "train": {"epochs": 3}})";
  const Recipe r = Parse(file, {"train.steps=7", "data.eval=null"});
  EXPECT_EQ(r.train.steps, 7);
  EXPECT_FALSE(ResolvedJson(r)["train"].contains("epochs"));
  EXPECT_TRUE(r.data.eval.empty());
  EXPECT_EQ(Parse(file, {"train.epochs=0.5"}).train.epochs, 0.5);
}

TEST(RecipeReader, ChangedKeysAreNamed) {
  const Recipe a = Parse(kMinimal);
  EXPECT_TRUE(ChangedKeys(a, a).empty());
  const Recipe b =
      Parse(kMinimal, {"train.lr=1e-3", "adapter.targets=[\"q_proj\"]",
                       "data.train={\"path\":\"/recipes/t.jsonl\",\"weight\":2}", "train.steps=9"});
  EXPECT_EQ(ChangedKeys(a, b),
            (std::vector<std::string>{"adapter.targets", "data.train", "train.steps",
                                      "train.epochs", "train.lr"}));
}

}  // namespace
}  // namespace retort
