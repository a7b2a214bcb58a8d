// SPDX-License-Identifier: Apache-2.0
// A recipe describes one run completely, as plain values with their defaults.
//
// The names are those of the file's keys ("train.lr" is train.lr), except where C++ reserves a
// word: data.template is template_name, export is exports. The reader (recipe_reader.h) checks all
// values against the table of keys (keys.cc), which lists the ranges and the fixed sets of texts
// ("nf4", "cosine"); users of a Recipe need not check again. Paths are absolute.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/file.h"

namespace retort {

struct ModelRecipe {
  Path path;                     // a Hugging Face folder or a GGUF file
  std::string weights = "nf4";   // as-is | f32 | bf16 | nf4: format of the base's linear layers
  bool double_quant = true;      // nf4: its scales are quantised too
  std::string compute = "auto";  // auto | f32 | bf16 | int8
  std::string device = "auto";   // auto | cpu | cuda | cuda:N

  bool operator==(const ModelRecipe&) const = default;
};

// Selects modules by the last parts of their names, or by a regex that matches the whole name. At
// most one of the two is set.
struct ModuleMatch {
  std::vector<std::string> suffixes;
  std::string regex;

  bool empty() const { return suffixes.empty() && regex.empty(); }
  bool operator==(const ModuleMatch&) const = default;
};

// The keys of a section that a recipe names itself, without the section's name. What a value is
// does not depend on it, so it takes no part in comparisons.
struct GivenKeys {
  std::set<std::string> names;

  bool contains(const std::string& name) const { return names.contains(name); }
  bool operator==(const GivenKeys&) const { return true; }
};

inline constexpr const char* kNoTargets = "none";  // adapter.targets for parameters alone

struct AdapterRecipe {
  std::string kind = "lora";  // lora | none (train every weight)
  int64_t rank = 16;
  double alpha = 32;
  double dropout = 0;   // [0, 1)
  ModuleMatch targets;  // empty: "all-linear", every linear layer of the blocks
  ModuleMatch exclude;  // removed from the targets
  // model/adapter_config.h. With them, targets may be kNoTargets.
  std::vector<std::string> target_parameters;
  std::vector<int64_t> layers;  // the only layers with an adapter; empty: all
  // Other ranks and alphas of some layers (model/adapter_config.h).
  std::map<std::string, int64_t> rank_pattern;
  std::map<std::string, double> alpha_pattern;
  Path init;  // a PEFT folder to start from; empty: A random, B zero
  // model/adapter_config.h
  bool dora = false, lora_bias = false;
  std::string bias = "none";  // none | all | lora_only
  std::vector<std::string> modules_to_save;
  std::vector<int64_t> trainable_tokens;
  std::string initialise = "kaiming";  // kaiming | gaussian | pissa | pissa_niter_N | olora
  double lr_ratio = 1;                 // of B's learning rate to A's
  bool rslora = false;                 // scale alpha / sqrt(rank) instead of alpha / rank
  GivenKeys given;

  bool operator==(const AdapterRecipe&) const = default;
};

struct DataSource {
  Path path;
  // How often one of its rows is drawn in training, relative to one of another source's; above 0.
  double weight = 1;

  bool operator==(const DataSource&) const = default;
};

struct DataRecipe {
  std::vector<DataSource> train;  // at least one
  std::vector<DataSource> eval;   // empty: no evaluation, unless val_split is above 0
  double val_split = 0;           // share or number of training rows to evaluate on
  std::string format = "auto";    // data/rows.h
  std::string template_name = "auto";
  Path schema;                         // a JSON Schema that every answer satisfies; empty: none
  std::string loss_on = "completion";  // completion | all | last | choices
  int64_t max_tokens = 1024;           // maximum length of a row and of a packed sequence
  bool packing = true;
  std::string over_length = "error";  // error | drop | truncate | split
  bool shuffle = true;
  bool add_eos = true;
  std::string audit = "stop";  // stop | warn | off
  std::string cache = "auto";  // of tokenised rows: auto | none | a folder

  bool has_eval() const { return !eval.empty() || val_split > 0; }
  bool operator==(const DataRecipe&) const = default;
};

struct TeacherRecipe {
  Path path;                     // a Hugging Face folder or a GGUF file
  Path adapter;                  // a PEFT folder for the teacher; empty: none
  std::string weights = "bf16";  // as-is | f32 | bf16 | nf4
  std::string compute = "auto";  // auto | f32 | bf16 | int8
  std::string device = "auto";   // auto: the student's
  std::string mode = "online";   // online | cached | on-policy
  Path cache;                    // the folder for mode cached
  int64_t top_k = 64;            // log-probabilities per token in a cache
  double temperature = 1;
  std::string divergence = "forward_kl";  // tensor/distillation.h
  double beta = 0.5;                      // for jsd, between 0 and 1
  double weight = 0.5;                    // loss = (1 - weight) * CE + weight * KD
  bool scale_t2 = false;
  double lambda = 1;                // on-policy: share of rows that the student answers
  double sampling_temperature = 1;  // on-policy: of the student's answers
  int64_t max_new_tokens = 128;     // on-policy, and for teach --generate
  std::string hidden = "none";      // none | mse | cosine: an extra term between hidden states
  double hidden_weight = 1;
  std::string hidden_layers = "last";  // last | all

  bool operator==(const TeacherRecipe&) const = default;
};

// Learning from pairs of answers, or judged ones. Off if `method` is empty.
struct PreferenceRecipe {
  std::string method;  // dpo | orpo | kto (train/objectives/preference.h)
  double beta = 0.1;
  double weight = 1;  // kto: of answers that are not wanted

  bool operator==(const PreferenceRecipe&) const = default;
};

struct RewardRecipe {
  std::string regex, command;  // train/reward.h
  Path schema;                 // a JSON Schema
  bool exact = false;
  int64_t answers = 8;           // sampled to each prompt
  double temperature = 1;        // of the sampling
  int64_t max_new_tokens = 128;  // of an answer
  double beta = 0;               // train/objectives/grpo.h

  bool given() const { return exact || !regex.empty() || !schema.empty() || !command.empty(); }
  bool operator==(const RewardRecipe&) const = default;
};

struct TrainRecipe {
  // 0 in epochs, batch_tokens, lr, beta1 and beta2 means "auto": session/defaults.h computes them.
  int64_t steps = 0;  // 0: `epochs` is used; otherwise `epochs` is ignored
  double epochs = 0;
  int64_t batch_tokens = 0;  // per micro-batch, if batch_rows is 0
  int64_t batch_rows = 0;    // rows (or packed sequences) per micro-batch; 0: batch_tokens is used
  int64_t accumulate = 1;    // micro-batches per step
  std::string optimizer = "adamw";  // train/update_rule.h
  double beta1 = 0;                 // 0: the optimiser's own
  double beta2 = 0;
  double epsilon = 1e-8;
  double momentum = 0;  // sgd
  double lr = 0;
  double min_lr = 0;                // final rate of the schedule
  std::string schedule = "cosine";  // train/schedule.h
  double warmup = 0.03;             // below 1: share of the steps, rounded up; otherwise steps
  double decay = 0.1;               // of wsd, counted like warmup
  double neftune = 0;               // NEFTune's alpha; 0: off
  double label_smoothing = 0;
  double weight_decay = 0;
  double clip = 1.0;  // maximum gradient norm; 0: off
  int64_t seed = 1;
  int64_t threads = 0;                          // 0: all
  std::string gradient_checkpointing = "auto";  // auto | none | block
  int64_t part_tokens = 512;                    // tokens of a micro-batch computed at once
  int64_t checkpoint_every = 100;               // steps; 0: only at the end
  int64_t keep = 2;                             // number of newest checkpoints to keep
  int64_t eval_every = 0;                       // steps; 0: only at the end
  std::vector<std::string> eval_metrics;        // exact, choice, fields: beside the loss
  std::vector<std::string> logs;                // csv, tensorboard: written beside metrics.jsonl
  std::string best_by = "loss";                 // loss | exact | choice | fields
  int64_t early_stop = 0;                       // evaluations without a better one; 0: off
  int64_t samples = 0;                          // held-out prompts answered at each evaluation

  bool operator==(const TrainRecipe&) const = default;
};

// What to export after training. Nothing if both `gguf` and `out` are empty.
struct ExportRecipe {
  std::string merge = "auto";     // auto (the base it was trained on) | original | nf4
  std::vector<std::string> gguf;  // one file for each of these types
  Path out;                       // the folder for the files; empty: `export` in the run's folder

  bool operator==(const ExportRecipe&) const = default;
};

struct Recipe {
  std::string name;  // default: the file's name without its extension
  ModelRecipe model;
  AdapterRecipe adapter;
  DataRecipe data;
  TeacherRecipe teacher;
  PreferenceRecipe preference;
  RewardRecipe reward;
  TrainRecipe train;
  ExportRecipe exports;

  bool has_teacher() const { return !teacher.path.empty() || !teacher.cache.empty(); }
  bool operator==(const Recipe&) const = default;
};

}  // namespace retort
