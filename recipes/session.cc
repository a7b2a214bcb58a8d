// SPDX-License-Identifier: Apache-2.0
#include "recipes/session.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "data/audit.h"
#include "data/load_tokenizer.h"
#include "eval/loss.h"
#include "export/folders.h"

namespace retort {
namespace {

std::vector<RowSource> SourcesOf(const std::vector<DataSource>& sources) {
  std::vector<RowSource> out;
  for (const DataSource& s : sources) out.push_back({s.path, s.weight});
  return out;
}

// What the weights are once loaded: NF4 covers plain linear layers, block formats stay.
WeightFormat LoadedFormat(const Recipe& recipe, WeightFormat stored) {
  if (recipe.adapter.kind == "none") return WeightFormat::kF32;
  if (recipe.model.weights == "as-is") return stored;
  const WeightFormat wanted = FormatNamed(recipe.model.weights);
  return wanted == WeightFormat::kNF4 && TraitsOf(stored).block_elements > 1 ? stored : wanted;
}

}  // namespace

TrainingSession::TrainingSession(const Recipe& recipe) : recipe_(recipe) {
  if (recipe_.has_teacher()) {
    throw InputError("recipe '", recipe_.name,
                     "': 'teacher' is not supported by this version; remove the section");
  }
  OpenBase();
  OpenData();
  MakeAdapter();
  MakeTrainer();
}

void TrainingSession::OpenBase() {
  files_ = OpenModel(recipe_.model.path);
  const bool trainable = recipe_.adapter.kind == "none";
  const WeightFormat format = LoadedFormat(recipe_, files_.stored_format());
  compute_ = ResolveCompute(recipe_.model.compute, format, /*runner=*/false);
  backend_ = MakeBackend({recipe_.model.device, static_cast<int>(recipe_.train.threads), compute_});
  LoadOptions options;
  if (recipe_.model.weights != "as-is") options.weights = FormatNamed(recipe_.model.weights);
  options.double_quant = recipe_.model.double_quant;
  options.trainable = trainable;
  model_ = LoadModel(files_, options, *backend_);
  tokenizer_ = LoadTokenizer(files_);
  base_ = {std::filesystem::absolute(recipe_.model.path).lexically_normal().string(),
           Fingerprint(files_), trainable ? "f32" : recipe_.model.weights,
           recipe_.model.double_quant, ""};
}

void TrainingSession::OpenData() {
  const DataRecipe& d = recipe_.data;
  const RowFormat format = ParseRowFormat(d.format);
  ExampleOptions options;
  options.loss_on = ParseLossOn(d.loss_on);
  options.over_length = ParseOverLength(d.over_length);
  options.audit = ParseAudit(d.audit);
  // Positions restart in every row, so only a row is bound by the model; a packed sequence may be longer.
  options.max_tokens = std::min(d.max_tokens, files_.config.max_positions);
  options.add_eos = d.add_eos;
  const auto make = [&](const Rows& rows) {
    if (rows.HasMessages() && !chat_) {
      chat_ =
          ChatTemplate::Resolve(d.template_name, tokenizer_->spec(), recipe_.model.path.string());
      chat_->CheckMarks(*tokenizer_, recipe_.model.path.string());
      base_.chat_template = std::string(chat_->name());
    }
    return MakeExamples(rows, *tokenizer_, chat_ ? &*chat_ : nullptr, options);
  };
  train_ = make(Rows::Open(SourcesOf(d.train), format));
  if (d.eval.empty()) return;
  const Rows held_out = Rows::Open(SourcesOf(d.eval), format);
  eval_ = make(held_out);
  if (const std::string note = OverlapNote(train_, eval_, held_out); !note.empty())
    train_.notes.push_back(note);
}

void TrainingSession::MakeAdapter() {
  const AdapterRecipe& a = recipe_.adapter;
  if (a.kind == "none") return;
  if (!a.init.empty()) {
    adapter_ = Adapter::Load(a.init, files_.config, *backend_);
    adapter_->config().dropout = a.dropout;
  } else {
    AdapterConfig config;
    config.rank = a.rank;
    config.alpha = a.alpha;
    config.dropout = a.dropout;
    config.rslora = a.rslora;
    config.targets = a.targets.suffixes;
    if (!a.targets.regex.empty()) config.target_pattern = a.targets.regex;
    config.exclude = a.exclude.suffixes;
    config.exclude_pattern = a.exclude.regex;
    adapter_ =
        Adapter::Make(config, files_.config, static_cast<uint64_t>(recipe_.train.seed), *backend_);
  }
  adapter_->config().base_model = base_.path;
}

void TrainingSession::MakeTrainer() {
  const TrainRecipe& t = recipe_.train;
  const auto epochs = static_cast<int64_t>(std::ceil(t.epochs));
  stream_ = std::make_unique<BatchStream>(
      train_.examples,
      BatchOptions{t.batch_rows, t.accumulate, recipe_.data.max_tokens, recipe_.data.packing,
                   recipe_.data.shuffle, static_cast<uint64_t>(t.seed), t.steps > 0 ? 0 : epochs});
  const double whole_epochs = static_cast<double>(stream_->TotalSteps());
  schedule_.kind = ScheduleNamed(t.schedule);
  schedule_.peak = t.lr;
  schedule_.least = t.min_lr;
  schedule_.total_steps =
      t.steps > 0
          ? t.steps
          : static_cast<int64_t>(std::ceil(whole_epochs * t.epochs / static_cast<double>(epochs)));
  schedule_.warmup_steps = WarmupSteps(t.warmup, schedule_.total_steps);
  TrainerOptions options;
  options.optimizer = {t.beta1, t.beta2, t.epsilon, t.weight_decay, t.clip};
  options.schedule = schedule_;
  options.seed = static_cast<uint64_t>(t.seed);
  options.checkpoint_blocks = t.gradient_checkpointing == "block";
  trainer_ = std::make_unique<Trainer>(*model_, adapter_.get(), *stream_, options);
}

double TrainingSession::Evaluate() const {
  return EvaluateLoss(*model_, adapter_.get(), eval_.examples,
                      recipe_.data.max_tokens * recipe_.train.batch_rows)
      .mean();
}

RunSummary TrainingSession::Run(const RunOptions& options,
                                const std::function<void(const RunProgress&)>& on_step) {
  RunHooks hooks;
  hooks.on_step = on_step;
  if (!eval_.examples.empty()) hooks.evaluate = [this] { return Evaluate(); };
  return RunTraining(*trainer_, base_, options, hooks);
}

std::vector<std::string> TrainingSession::Describe() const {
  int64_t trained = 0;
  for (const auto& m : trainer_->optimizer().moments()) trained += m.parameter->value.elements();
  std::vector<std::string> lines = {
      Cat("model    ", recipe_.model.path.string(), ": ", files_.config.family, ", ",
          files_.config.layers, " layers, width ", files_.config.width, ", vocabulary ",
          files_.config.vocab),
      Cat("weights  ", recipe_.adapter.kind == "none" ? "f32, all trained" : recipe_.model.weights,
          recipe_.adapter.kind != "none" && recipe_.model.weights == "nf4" &&
                  recipe_.model.double_quant
              ? " with double quantisation"
              : "",
          "; compute ", NameOf(compute_), " on ", backend_->name(), ", ", backend_->threads(),
          " threads"),
      Cat("trained  ", trained, " parameters",
          adapter_ ? Cat(" of rank ", adapter_->config().rank) : ""),
      Cat("data     ", train_.examples.size(), " rows, ", train_.tokens, " tokens, of which ",
          train_.loss_tokens, " carry loss",
          eval_.examples.empty() ? "" : Cat("; held out ", eval_.examples.size(), " rows")),
      Cat("steps    ", schedule_.total_steps)};
  for (const std::string& note : train_.notes) lines.push_back(Cat("note     ", note));
  return lines;
}

std::string TrainingSession::ShowFirstExample() const {
  return ShowExample(train_.examples.front(), *tokenizer_);
}

}  // namespace retort
