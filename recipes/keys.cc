// SPDX-License-Identifier: Apache-2.0
#include "recipes/keys.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/threads.h"
#include "export/gguf_mix.h"
#include "recipes/key_values.h"
#include "tensor/quant/format.h"

namespace retort {
namespace {

// Above these a number is a slip, or takes memory and time that nobody has.
constexpr double kMostRank = 1 << 16, kMostAlpha = 1e6, kMostLayers = 1 << 20,
                 kMostTokens = 1 << 26, kMostRows = 1 << 16, kMostParts = 1 << 14, kMostSteps = 1e9,
                 kMostRate = 100;

// NOLINTBEGIN(performance-unnecessary-value-param): the strings are moved from.
template <class Field>
RecipeKey MakeKey(std::string name, Field field, Shapes shapes, std::string help) {
  return {.name = std::move(name),
          .help = std::move(help),
          .shapes = std::move(shapes),
          .store = [field](const Json& v, const Path& folder,
                           Recipe& r) { StoreValue(v, folder, field(r)); },
          .load = [field](const Recipe& r) -> Json { return LoadValue(field(r)); }};
}
// NOLINTEND(performance-unnecessary-value-param)

// NOLINTBEGIN(bugprone-macro-parentheses,readability-identifier-naming): two values; a short name.
// KEY(train.lr) expands to the key's name and an accessor of its member.
#define FIELD(member) \
  [](auto& r) -> auto& { return r.member; }
#define KEY(member) #member, FIELD(member)
// NOLINTEND(bugprone-macro-parentheses,readability-identifier-naming)

RecipeKey Required(RecipeKey key) {
  key.required = true;
  return key;
}

// A number, or "auto", which is stored as 0.
template <class Field>
RecipeKey AutoKey(std::string name, Field field, ValueShape shape, std::string help) {
  RecipeKey key =
      MakeKey(std::move(name), field, {ChoiceShape({"auto"}), std::move(shape)}, std::move(help));
  key.store = [field, store = key.store](const Json& v, const Path& folder, Recipe& r) {
    if (v.is_string())
      field(r) = 0;
    else
      store(v, folder, r);
  };
  key.load = [field](const Recipe& r) {
    return field(r) == 0 ? Json("auto") : LoadValue(field(r));
  };
  return key;
}

// The key, left out of the resolved recipe if `hidden` returns true.
RecipeKey Unless(bool (*hidden)(const Recipe&), RecipeKey key) {
  key.load = [hidden, load = key.load](const Recipe& r) { return hidden(r) ? Json() : load(r); };
  return key;
}

std::vector<RecipeKey> ModelKeys() {
  return {
      Required(MakeKey(KEY(model.path), {TextShape("a path")},
                       "The base: a Hugging Face folder or a GGUF file.")),
      MakeKey(KEY(model.weights), {ChoiceShape({"as-is", "f32", "bf16", "nf4"})},
              "How the base's linear layers are held in memory."),
      MakeKey(KEY(model.double_quant), {BoolShape()}, "With nf4, its scales are quantised too."),
      MakeKey(KEY(model.compute), {ChoiceShape({"auto", "f32", "bf16", "int8"})},
              "The type that matrix products are computed in."),
      MakeKey(KEY(model.device), {DeviceShape()}, "Where the model runs."),
  };
}

std::vector<RecipeKey> AdapterKeys() {
  RecipeKey targets = MakeKey(
      KEY(adapter.targets), {NonEmpty(ListShape("a list of suffixes")), TextShape("a regex")},
      "The linear layers that get an adapter: \"all-linear\", a list of the last parts of "
      "their names, or a regex matched against the whole name.");
  targets.load = [load = targets.load](const Recipe& r) {
    return r.adapter.targets.empty() ? Json(kAllLinearTargets) : load(r);
  };
  return {
      MakeKey(KEY(adapter.kind), {ChoiceShape({"lora", "none"})},
              "lora, or none to train every weight of the model."),
      MakeKey(KEY(adapter.rank), {IntegerShape(1, kMostRank)},
              "Rank of the adapter's two factors."),
      MakeKey(KEY(adapter.alpha), {PositiveShape(kMostAlpha)},
              "The adapter's product is scaled by alpha / rank."),
      MakeKey(KEY(adapter.dropout), {ShareShape()}, "Dropout on the adapter's input."),
      std::move(targets),
      MakeKey(KEY(adapter.exclude), {ListShape("a list of suffixes"), TextShape("a regex")},
              "Layers removed from the targets, named in the same ways."),
      Unless(
          [](const Recipe& r) { return r.adapter.layers.empty(); },
          MakeKey(KEY(adapter.layers), {IntegersShape("a list of layers' numbers", 0, kMostLayers)},
                  "The numbers, from 0, of the only layers that get an adapter; with targets as a "
                  "list or all-linear.")),
      Unless([](const Recipe& r) { return r.adapter.rank_pattern.empty(); },
             MakeKey(KEY(adapter.rank_pattern),
                     {IntegerMapShape("an object of ranks by names or expressions", 1, kMostRank)},
                     "Other ranks for some layers: {\"down_proj\": 4}. A key is the last parts of "
                     "their names, or a regex for that; of several that match, the first in the "
                     "alphabet counts.")),
      Unless([](const Recipe& r) { return r.adapter.alpha_pattern.empty(); },
             MakeKey(KEY(adapter.alpha_pattern),
                     {PositiveMapShape("an object of alphas by names or expressions", kMostAlpha)},
                     "Other alphas for some layers, named as in rank_pattern.")),
      Unless([](const Recipe& r) { return r.adapter.target_parameters.empty(); },
             MakeKey(KEY(adapter.target_parameters), {ListShape("a list of suffixes")},
                     "Tensors of stacked experts that get an adapter for each expert, and of "
                     "routers, by the ends of their names: mlp.experts.gate_up_proj. With targets "
                     "none, these alone.")),
      Unless([](const Recipe& r) { return !r.adapter.dora; },
             MakeKey(KEY(adapter.dora), {BoolShape()},
                     "DoRA: the norm of each row of an adapted weight is trained by itself.")),
      Unless([](const Recipe& r) { return !r.adapter.lora_bias; },
             MakeKey(KEY(adapter.lora_bias), {BoolShape()}, "A trained bias beside the factor B.")),
      Unless(
          [](const Recipe& r) { return r.adapter.bias == "none"; },
          MakeKey(KEY(adapter.bias), {ChoiceShape({"none", "all", "lora_only"})},
                  "Which of the base's biases are trained too; lora_only: those of layers with an "
                  "adapter.")),
      Unless(
          [](const Recipe& r) { return r.adapter.modules_to_save.empty(); },
          MakeKey(KEY(adapter.modules_to_save), {ListShape("a list of suffixes")},
                  "Modules trained whole beside the adapter, by the ends of their names: lm_head, "
                  "embed_tokens, norm.")),
      Unless(
          [](const Recipe& r) { return r.adapter.trainable_tokens.empty(); },
          MakeKey(KEY(adapter.trainable_tokens), {IntegersShape("a list of ids", 0, kMostTokens)},
                  "Ids of tokens whose embeddings are trained by themselves.")),
      Unless(
          [](const Recipe& r) { return r.adapter.initialise == "kaiming"; },
          MakeKey(KEY(adapter.initialise),
                  {ChoiceShape({"kaiming", "gaussian", "pissa", "olora"}), PissaShape()},
                  "How the factors begin: kaiming (A uniform, B zero), gaussian, or with a part of "
                  "the weight that is then left to the adapter: pissa (its largest singular "
                  "values), pissa_niter_N (the same nearly, much faster), olora.")),
      Unless([](const Recipe& r) { return r.adapter.lr_ratio == 1; },
             MakeKey(KEY(adapter.lr_ratio), {PositiveShape(1e6)},
                     "LoRA+: the learning rate of B is that of A times this.")),
      MakeKey(KEY(adapter.init), {TextShape("a path")},
              "A PEFT folder to start from; all keys of this section but dropout and lr_ratio are "
              "its own."),
      MakeKey(KEY(adapter.rslora), {BoolShape()},
              "Scale by alpha / sqrt(rank) in place of alpha / rank."),
  };
}

std::vector<RecipeKey> DataKeys() {
  RecipeKey cache = MakeKey(KEY(data.cache), {TextShape("auto, none or a path")},
                            "A folder where tokenised rows are kept for later runs; auto: the "
                            "user's cache folder, for rows of 32 MiB and more; none: nowhere.");
  cache.store = [](const Json& v, const Path& folder, Recipe& r) {
    const auto text = v.get<std::string>();
    Path path;
    StoreValue(v, folder, path);
    r.data.cache = text == "auto" || text == "none" ? text : path.string();
  };
  return {
      Required(MakeKey(
          KEY(data.train), {SourcesShape()},
          "Rows to train on: a path, {path, weight}, or a list of these. Weights are relative: a row of "
          "weight 2 is drawn twice as often as one of weight 1, and an epoch has as many draws as "
          "there are rows.")),
      MakeKey(KEY(data.eval), {SourcesShape()},
              "Rows to evaluate on, in the same forms; each once, whatever its weight."),
      MakeKey(KEY(data.format),
              {ChoiceShape({"auto", "messages", "prompt_completion", "alpaca", "text", "tokens",
                            "preference", "unpaired"})},
              "The format of a row; auto: detected from its keys."),
      MakeKey("data.template", FIELD(data.template_name), {TextShape("a template's name")},
              "The chat template; auto: the model's own, if what it renders is known."),
      MakeKey(
          KEY(data.loss_on), {ChoiceShape({"completion", "all", "last", "choices"})},
          "The tokens that carry loss; last: of a conversation only the last answer's; choices: "
          "of the answers, those that data.schema leaves a choice in."),
      Unless([](const Recipe& r) { return r.data.schema.empty(); },
             MakeKey(KEY(data.schema), {TextShape("a path")},
                     "A JSON Schema. Every answer is held to it before training, and the model "
                     "that is trained carries it, so that its answers are held to it too.")),
      Unless(
          [](const Recipe& r) { return r.data.val_split == 0; },
          MakeKey(KEY(data.val_split), {ShareShape(), IntegerShape(1, kMostRows)},
                  "Rows taken out of the training rows to evaluate on, chosen by the seed: below "
                  "1 a share of them, else a number; 0: none.")),
      MakeKey(KEY(data.max_tokens), {IntegerShape(2, kMostTokens)},
              "The longest row, in tokens; with batch_rows also the length of a packed sequence."),
      MakeKey(KEY(data.packing), {BoolShape()},
              "With batch_rows: several rows in one sequence, each attending only to itself."),
      MakeKey(KEY(data.over_length), {ChoiceShape({"error", "drop", "truncate", "split"})},
              "What to do with a row longer than max_tokens."),
      MakeKey(KEY(data.shuffle), {BoolShape()}, "A new order, by the seed, in every epoch."),
      MakeKey(KEY(data.add_eos), {BoolShape()}, "End text rows with the end token."),
      MakeKey(KEY(data.audit), {ChoiceShape({"stop", "warn", "off"})},
              "What to do about a fault found in the rows before training."),
      Unless([](const Recipe& r) { return r.data.cache == "auto"; }, std::move(cache)),
  };
}

std::vector<RecipeKey> TeacherKeys() {
  std::vector<RecipeKey> keys = {
      MakeKey(KEY(teacher.path), {TextShape("a path")}, "The teacher's folder or GGUF file."),
      MakeKey(
          KEY(teacher.weights), {ChoiceShape({"as-is", "f32", "bf16", "nf4"})},
          "How the teacher's linear layers are held in memory; with the student's own base in the "
          "student's own format, one copy serves both."),
      MakeKey(KEY(teacher.adapter), {TextShape("a path")}, "A PEFT folder on the teacher."),
      MakeKey(KEY(teacher.compute), {ChoiceShape({"auto", "f32", "bf16", "int8"})},
              "The type that the teacher's matrix products are computed in."),
      MakeKey(KEY(teacher.device), {DeviceShape()},
              "Where the teacher runs; auto: where the student does."),
      MakeKey(KEY(teacher.mode), {ChoiceShape({"online", "cached", "on-policy"})},
              "Its logits are computed alongside, read from a cache, or given on the student's own "
              "answers."),
      MakeKey(KEY(teacher.cache), {TextShape("a path")}, "The folder of cached logits."),
      MakeKey(KEY(teacher.top_k), {IntegerShape(1, kMostTokens)},
              "Log-probabilities per token in a cache."),
      MakeKey(KEY(teacher.temperature), {NumberShape(1e-3, 1e3)}, "Divides both models' logits."),
      MakeKey(KEY(teacher.divergence),
              {ChoiceShape({"forward_kl", "reverse_kl", "jsd", "total_variation", "sorted"})},
              "The distance from the teacher's distribution to the student's; sorted compares "
              "probabilities by rank and serves a teacher with another tokenizer."),
      MakeKey(KEY(teacher.beta), {OpenShareShape()}, "The teacher's share in jsd's mixture."),
      MakeKey(KEY(teacher.weight), {NumberShape(0, 1)},
              "loss = (1 - weight) * cross-entropy + weight * divergence."),
      MakeKey(KEY(teacher.scale_t2), {BoolShape()},
              "Multiply the divergence by the temperature squared."),
      MakeKey(KEY(teacher.lambda), {NumberShape(0, 1)},
              "On-policy: the share of rows whose answer the student gives itself."),
      MakeKey(KEY(teacher.sampling_temperature), {NumberShape(0, 1e3)},
              "On-policy: the temperature of the student's answers; 0: the likeliest token."),
      MakeKey(KEY(teacher.max_new_tokens), {IntegerShape(1, kMostTokens)},
              "The longest generated answer, in tokens."),
      MakeKey(KEY(teacher.hidden), {ChoiceShape({"none", "mse", "cosine"})},
              "A further term: the distance between projected hidden states and the teacher's."),
      MakeKey(KEY(teacher.hidden_weight), {NumberShape(0, 1e6)},
              "What that term is multiplied by."),
      MakeKey(KEY(teacher.hidden_layers), {ChoiceShape({"last", "all"})},
              "The blocks whose outputs it compares."),
  };
  for (RecipeKey& key : keys) {
    key = Unless([](const Recipe& r) { return !r.has_teacher(); }, std::move(key));
  }
  return keys;
}

std::vector<RecipeKey> PreferenceKeys() {
  std::vector<RecipeKey> keys = {
      MakeKey(
          KEY(preference.method), {ChoiceShape({"dpo", "orpo", "kto"})},
          "How rows of a preferred and a rejected answer are learnt; kto also takes rows of one "
          "answer and whether it is wanted."),
      MakeKey(KEY(preference.beta), {PositiveShape(1e3)},
              "How far the model may move from the one that the run began with: the smaller, the "
              "farther; orpo: the weight of the preference beside the loss of the answer.")};
  for (RecipeKey& key : keys) {
    key = Unless([](const Recipe& r) { return r.preference.method.empty(); }, std::move(key));
  }
  keys.push_back(
      Unless([](const Recipe& r) { return r.preference.method != "kto"; },
             MakeKey(KEY(preference.weight), {PositiveShape(1e3)},
                     "kto: the weight of answers that are not wanted; that of the others is 1.")));
  return keys;
}

std::vector<RecipeKey> RewardKeys() {
  std::vector<RecipeKey> keys = {
      MakeKey(KEY(reward.exact), {BoolShape()}, "1 if the answer is the row's."),
      MakeKey(KEY(reward.answers), {IntegerShape(2, 1024)}, "Answers sampled to each prompt."),
      MakeKey(KEY(reward.temperature), {PositiveShape(100)}, "Of the sampling."),
      MakeKey(KEY(reward.max_new_tokens), {IntegerShape(1, kMostTokens)},
              "The longest answer, in tokens."),
      MakeKey(KEY(reward.beta), {NumberShape(0, 1e3)},
              "How strongly the model is held to the one that the run began with; 0: not at all.")};
  for (RecipeKey& key : keys)
    key = Unless([](const Recipe& r) { return !r.reward.given(); }, std::move(key));
  keys.push_back(Unless(
      [](const Recipe& r) { return r.reward.regex.empty(); },
      MakeKey(
          KEY(reward.regex), {TextShape("a regex")},
          "Learning from rewards for answers that are sampled to the rows' prompts (GRPO): 1 if "
          "this expression matches the whole answer. Several rewards add up.")));
  keys.push_back(Unless([](const Recipe& r) { return r.reward.schema.empty(); },
                        MakeKey(KEY(reward.schema), {TextShape("a path")},
                                "1 if the answer satisfies this JSON Schema.")));
  keys.push_back(Unless(
      [](const Recipe& r) { return r.reward.command.empty(); },
      MakeKey(KEY(reward.command), {TextShape("a command")},
              "A shell command that reads a line {prompt, answer, expected} for each answer and "
              "writes a number in a line for each.")));
  return keys;
}

bool HasNoBetas(const Recipe& r) {
  return r.train.optimizer == "sgd" || r.train.optimizer == "adafactor";
}

std::vector<RecipeKey> TrainKeys() {
  RecipeKey threads =
      MakeKey(KEY(train.threads), {IntegerShape(1, kMostThreads), ChoiceShape({"all"})},
              "Threads that compute; the results do not depend on it.");
  threads.store = [](const Json& v, const Path& folder, Recipe& r) {
    if (v.is_string())
      r.train.threads = 0;
    else
      StoreValue(v, folder, r.train.threads);
  };
  threads.load = [](const Recipe& r) {
    return r.train.threads == 0 ? Json("all") : Json(r.train.threads);
  };
  return {
      Unless([](const Recipe& r) { return r.train.steps == 0; },
             MakeKey(KEY(train.steps), {IntegerShape(1, kMostSteps)},
                     "Optimiser steps, over an endless stream of the rows; in place of epochs.")),
      Unless([](const Recipe& r) { return r.train.steps != 0; },
             AutoKey(KEY(train.epochs), PositiveShape(1e6),
                     "Passes over the rows; auto: 1, and up to 10 where the rows are few.")),
      Unless(
          [](const Recipe& r) { return r.train.batch_rows != 0; },
          AutoKey(
              KEY(train.batch_tokens), IntegerShape(1, kMostTokens),
              "A micro-batch is as many rows as fit into this many tokens; auto: 8 to 16 rows of the "
              "data's mean length.")),
      Unless([](const Recipe& r) { return r.train.batch_rows == 0; },
             MakeKey(KEY(train.batch_rows), {IntegerShape(1, kMostRows)},
                     "Rows, or packed sequences, of a micro-batch; in place of batch_tokens.")),
      MakeKey(KEY(train.accumulate), {IntegerShape(1, kMostParts)}, "Micro-batches per step."),
      MakeKey(KEY(train.optimizer), {ChoiceShape({"adamw", "adamw8", "lion", "sgd", "adafactor"})},
              "The optimiser. adamw8 keeps its two moments in 8 bits a value, adafactor those "
              "of a matrix as a row and a column."),
      Unless(HasNoBetas, AutoKey(KEY(train.beta1), OpenShareShape(),
                                 "AdamW's and Lion's decay of the mean gradient; auto: 0.9.")),
      Unless(HasNoBetas,
             AutoKey(KEY(train.beta2), OpenShareShape(),
                     "AdamW's decay of the mean squared gradient, auto: 0.999; Lion's of the mean "
                     "gradient that is kept, auto: 0.99.")),
      Unless([](const Recipe& r) { return !r.train.optimizer.starts_with("adamw"); },
             MakeKey(KEY(train.epsilon), {PositiveShape(1)}, "Added to AdamW's denominator.")),
      Unless([](const Recipe& r) { return r.train.momentum == 0; },
             MakeKey(KEY(train.momentum), {ShareShape()}, "SGD's share of the last change.")),
      AutoKey(
          KEY(train.lr), PositiveShape(kMostRate),
          "The highest learning rate; auto: by the model's width, 3e-3 for the smallest to 1e-4, a "
          "tenth of that without an adapter, a fifth of it for Lion; SGD has none."),
      MakeKey(KEY(train.min_lr), {NumberShape(0, kMostRate)},
              "The learning rate at the schedule's end."),
      MakeKey(KEY(train.schedule),
              {ChoiceShape({"cosine", "constant", "linear", "wsd", "inverse_sqrt"})},
              "How the learning rate falls after the warm-up; wsd: not before the last steps "
              "(train.decay)."),
      MakeKey(KEY(train.warmup), {ShareShape(), IntegerShape(1, kMostSteps)},
              "Below 1 a share of the steps, rounded up; else a number of steps; 0: off."),
      Unless([](const Recipe& r) { return r.train.schedule != "wsd"; },
             MakeKey(KEY(train.decay), {ShareShape(), IntegerShape(1, kMostSteps)},
                     "wsd: the last steps, in which the rate falls; counted like warmup.")),
      Unless([](const Recipe& r) { return r.train.neftune == 0; },
             MakeKey(KEY(train.neftune), {NumberShape(0, 1e3)},
                     "NEFTune: noise on the embeddings of training rows, 5 to 15 being usual; 0: "
                     "off.")),
      Unless([](const Recipe& r) { return r.train.label_smoothing == 0; },
             MakeKey(KEY(train.label_smoothing), {ShareShape()},
                     "The share of each target that is spread over all tokens; 0: off.")),
      MakeKey(KEY(train.weight_decay), {NumberShape(0, 1e3)},
              "Weight decay of matrices: decoupled, with SGD a part of the gradient."),
      MakeKey(KEY(train.clip), {NumberShape(0, 1e6)}, "The largest norm of the gradient; 0: off."),
      MakeKey(KEY(train.seed), {IntegerShape(0, kLargestInteger)},
              "Seed of every random number of the run."),
      std::move(threads),
      MakeKey(
          KEY(train.gradient_checkpointing), {ChoiceShape({"auto", "none", "block"})},
          "Recompute each block's activations in the backward pass to save memory; auto: if the "
          "run does not fit without."),
      MakeKey(
          KEY(train.part_tokens), {IntegerShape(1, kMostTokens)},
          "Tokens of a micro-batch that are computed at once, in whole rows: fewer take less memory; "
          "the step stays the same."),
      MakeKey(KEY(train.checkpoint_every), {IntegerShape(0, kMostSteps)},
              "Steps between checkpoints; 0: only at the end."),
      MakeKey(KEY(train.keep), {IntegerShape(1, kMostSteps)},
              "How many of the newest checkpoints are kept."),
      MakeKey(KEY(train.eval_every), {IntegerShape(0, kMostSteps)},
              "Steps between evaluations; 0: only at the end."),
      Unless([](const Recipe& r) { return r.train.logs.empty(); },
             MakeKey(KEY(train.logs), {ListShape("a list of logs", {"csv", "tensorboard"})},
                     "Files beside metrics.jsonl: metrics.csv, or TensorBoard's events.")),
      Unless([](const Recipe& r) { return r.train.eval_metrics.empty(); },
             MakeKey(KEY(train.eval_metrics),
                     {ListShape("a list of metrics", {"exact", "choice", "fields"})},
                     "What is measured on held-out rows beside their loss: exact (answers equal to "
                     "the row's), choice (the likeliest of all labels) or fields (F1 of the fields "
                     "of answers that are JSON objects).")),
      Unless([](const Recipe& r) { return r.train.best_by == "loss"; },
             MakeKey(KEY(train.best_by), {ChoiceShape({"loss", "exact", "choice", "fields"})},
                     "The figure of the evaluation whose weights are kept.")),
      Unless([](const Recipe& r) { return r.train.early_stop == 0; },
             MakeKey(KEY(train.early_stop), {IntegerShape(0, kMostSteps)},
                     "The run ends after this many evaluations without a better one; 0: off.")),
      Unless([](const Recipe& r) { return r.train.samples == 0; },
             MakeKey(KEY(train.samples), {IntegerShape(0, kMostRows)},
                     "Held-out prompts that are answered at each evaluation, for samples.jsonl and "
                     "the report; 0: none.")),
  };
}

std::vector<RecipeKey> ExportKeys() {
  return {
      MakeKey("export.merge", FIELD(exports.merge), {ChoiceShape({"auto", "original", "nf4"})},
              "The base that the adapter is merged onto; auto: the one that it was trained on."),
      MakeKey("export.gguf", FIELD(exports.gguf), {ListShape("a list of types", GgufTypeNames())},
              "The GGUF files to write when training has ended."),
      MakeKey("export.out", FIELD(exports.out), {TextShape("a path")},
              "The folder for the merged model and its GGUF files; by default export in the run's "
              "folder."),
  };
}

// What keys are to each other and to a resumed run.
void Relate(std::vector<RecipeKey>& keys) {
  const auto key = [&](std::string_view name) -> RecipeKey& {
    return *std::ranges::find(keys, name, &RecipeKey::name);
  };
  const auto exclude = [&](const char* one, const char* other) {
    key(one).rival = other;
    key(other).rival = one;
  };
  exclude("train.steps", "train.epochs");
  exclude("train.batch_tokens", "train.batch_rows");
  for (const char* name : {"train.steps", "train.epochs", "train.early_stop"})
    key(name).on_resume = OnResume::kLength;
  for (const char* name : {"train.threads", "train.checkpoint_every", "train.eval_every",
                           "train.keep", "train.samples", "train.logs", "data.cache"})
    key(name).on_resume = OnResume::kAllowed;
  for (RecipeKey& k : keys) {
    if (k.section() == "export") k.on_resume = OnResume::kAllowed;
  }
}

}  // namespace

std::string RecipeKey::section() const {
  const size_t dot = name.find('.');
  return dot == std::string::npos ? "" : name.substr(0, dot);
}

std::string RecipeKey::leaf() const { return name.substr(name.find('.') + 1); }  // npos + 1 is 0

const std::vector<RecipeKey>& RecipeKeys() {
  static const std::vector<RecipeKey> all = [] {
    std::vector<RecipeKey> keys = {
        Unless([](const Recipe& r) { return r.name.empty(); },
               MakeKey(KEY(name), {TextShape("a name")},
                       "The run's name; by default the recipe file's, without its extension."))};
    for (auto* section : {ModelKeys, AdapterKeys, DataKeys, TeacherKeys, PreferenceKeys, RewardKeys,
                          TrainKeys, ExportKeys}) {
      for (RecipeKey& key : section()) keys.push_back(std::move(key));
    }
    Relate(keys);
    return keys;
  }();
  return all;
}

const RecipeKey* FindRecipeKey(std::string_view name) {
  const auto found = std::ranges::find(RecipeKeys(), name, &RecipeKey::name);
  return found == RecipeKeys().end() ? nullptr : &*found;
}

}  // namespace retort
