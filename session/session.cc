// SPDX-License-Identifier: Apache-2.0
#include "session/session.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "eval/loss.h"
#include "model/store/base_check.h"
#include "model/store/fingerprint.h"
#include "session/defaults.h"
#include "session/initial_adapter.h"
#include "session/run_inputs.h"
#include "session/teaching.h"
#include "tokenizer/tokenizer_agreement.h"
#include "train/objectives/cross_entropy.h"
#include "train/objectives/on_policy.h"

namespace retort {
namespace {

constexpr int64_t kEvaluationTokens = 4096;  // per forward pass
constexpr int64_t kCheckedRows = 256;        // training rows checked if there is no held-out data

// Estimated rows per step, from the data's mean length.
int64_t RowsAStep(const Recipe& recipe, const ExampleSet& train) {
  const TrainRecipe& t = recipe.train;
  const int64_t tokens = t.batch_rows == 0 ? t.batch_tokens : t.batch_rows * recipe.data.max_tokens;
  const int64_t packed = tokens * std::ssize(train.examples) / std::max<int64_t>(1, train.tokens);
  return t.accumulate * (t.batch_rows > 0 && !recipe.data.packing ? t.batch_rows : packed);
}

DistillationOptions DistillationOptionsOf(const TeacherRecipe& t) {
  return {{DivergenceNamed(t.divergence), static_cast<float>(t.beta),
           static_cast<float>(t.temperature)},
          t.weight,
          t.scale_t2,
          t.mode == "cached" ? t.cache.string() : t.path.string()};
}

}  // namespace

TrainingSession::TrainingSession(const Recipe& recipe) : recipe_(recipe) {
  OpenBase();
  data_ = OpenRecipeData(recipe_, files_);
  if (data_.chat) {
    base_.chat_template = data_.chat->name();
    base_.jinja = data_.chat->Jinja();
  }
  base_.ends = data_.ends;
  recipe_ = WithDefaults(
      recipe_, {std::ssize(data_.train.examples), data_.train.tokens, files_.config.width});
  MakeAdapter();
  MakeObjective();
  MakeTrainer();
}

void TrainingSession::OpenBase() {
  files_ = OpenModel(recipe_.model.path);
  const bool trainable = recipe_.adapter.kind == "none";
  const std::string where = recipe_.model.path.string();
  if (recipe_.model.compute == "int8") {
    throw InputError(
        "'model.compute' int8 is for running a model; training computes in f32 or bf16: use auto, "
        "f32 or bf16");
  }
  if (recipe_.model.weights == "nf4" && !trainable &&
      TraitsOf(files_.stored_format()).block_elements > 1) {
    // What a file holds in blocks stays in them (LoadOptions::weights).
    recipe_.model.weights = "as-is";
    notes_.push_back(Cat(where, ": holds ", TraitsOf(files_.stored_format()).name,
                         ", which is kept: 'model.weights' nf4 is for weights of 16 or 32 bits"));
  }
  backend_ = MakeBackend({recipe_.model.device, static_cast<int>(recipe_.train.threads),
                          ComputeNamed(recipe_.model.compute)});
  LoadOptions options;
  if (recipe_.model.weights != "as-is") options.weights = FormatNamed(recipe_.model.weights);
  options.double_quant = recipe_.model.double_quant;
  options.trainable = trainable;
  model_ = LoadModel(files_, options, *backend_);
  base_ = {.path = std::filesystem::absolute(recipe_.model.path).lexically_normal().string(),
           .fingerprint = Fingerprint(files_, static_cast<int>(recipe_.train.threads)),
           .weights = trainable ? "f32" : recipe_.model.weights,
           .double_quant = recipe_.model.double_quant,
           .architecture = ArchitectureHash(files_.config),
           .source = SourceFingerprint(files_)};
  if (files_.gguf) {
    notes_.push_back(
        Cat(where, ": is a GGUF: ",
            trainable ? "what is trained becomes" : "merging the adapter into it makes",
            " a Hugging Face folder"));
  }
}

void TrainingSession::MakeAdapter() {
  const AdapterRecipe& a = recipe_.adapter;
  if (a.kind == "none") return;
  if (!a.init.empty()) {
    for (const std::string& note :
         CheckAdapterBase(a.init, files_, static_cast<int>(recipe_.train.threads)))
      notes_.push_back(note);
    adapter_ = Adapter::Load(a.init, files_.layout, *backend_);
    TakeInitialAdapter(*adapter_, files_.layout, recipe_.adapter);
  } else {
    adapter_ = Adapter::Make(AdapterConfigOf(a), files_.layout,
                             static_cast<uint64_t>(recipe_.train.seed), *backend_);
  }
  adapter_->config().base_model = base_.path;
}

void TrainingSession::MakeObjective() {
  if (!recipe_.has_teacher()) {
    objective_ = std::make_unique<CrossEntropyObjective>(recipe_.train.label_smoothing);
  } else if (recipe_.teacher.mode == "cached") {
    objective_ = std::make_unique<CachedDistillation>(
        OpenTeacherCache(recipe_, data_, files_), data_.train.examples,
        DistillationOptionsOf(recipe_.teacher), *backend_);
  } else {
    teacher_model_ = OpenTeacherModel(recipe_, files_, model_.get());
    std::ranges::copy(teacher_model_.notes, std::back_inserter(notes_));
    objective_ = OnlineOrOnPolicy();
  }
}

std::unique_ptr<Objective> TrainingSession::OnlineOrOnPolicy() {
  const TeacherRecipe& t = recipe_.teacher;
  const auto seed = static_cast<uint64_t>(recipe_.train.seed);
  std::optional<HiddenOptions> hidden;
  if (t.hidden != "none") {
    hidden = {t.hidden == "mse" ? HiddenLossKind::kMse : HiddenLossKind::kCosine, t.hidden_weight,
              t.hidden_layers == "all", seed};
  }
  auto online =
      std::make_unique<OnlineDistillation>(*teacher_model_.model, teacher_model_.adapter.get(),
                                           *model_, DistillationOptionsOf(t), hidden);
  if (t.divergence == "sorted" &&
      !Disagreement(*data_.tokenizer, *teacher_model_.tokenizer).empty()) {
    online->ReadOwnRows(RowsForTeacher(recipe_, teacher_model_, data_));
  } else {
    CheckSameTokens(recipe_, teacher_model_, data_);
  }
  if (t.mode != "on-policy") return online;
  OnPolicyOptions options{
      t.lambda, t.sampling_temperature, t.max_new_tokens, recipe_.data.max_tokens, seed, {}};
  if (data_.chat)
    options.stop_ids.push_back(
        data_.chat->CheckMarks(*data_.tokenizer, recipe_.model.path.string()));
  options.cache_type = compute() == Compute::kF32 ? DType::kF32 : DType::kBF16;
  options.parallel = std::clamp<int64_t>(RowsAStep(recipe_, data_.train), 1, options.parallel);
  return std::make_unique<OnPolicyDistillation>(std::move(online), *model_, adapter_.get(),
                                                *data_.tokenizer, options);
}

void TrainingSession::MakeTrainer() {
  const TrainRecipe& t = recipe_.train;
  const auto epochs = static_cast<int64_t>(std::ceil(t.epochs));
  BatchOptions batches{t.batch_tokens,
                       t.batch_rows,
                       t.accumulate,
                       recipe_.data.max_tokens,
                       recipe_.data.packing,
                       recipe_.data.shuffle,
                       static_cast<uint64_t>(t.seed),
                       t.steps > 0 ? 0 : epochs};
  DrawByWeight(data_, batches);
  stream_ = std::make_unique<BatchStream>(data_.train.examples, batches);
  const double whole_epochs = static_cast<double>(stream_->TotalSteps());
  schedule_.kind = ScheduleNamed(t.schedule);
  schedule_.peak = t.lr;
  schedule_.least = t.min_lr;
  schedule_.total_steps =
      t.steps > 0
          ? t.steps
          : static_cast<int64_t>(std::ceil(whole_epochs * t.epochs / static_cast<double>(epochs)));
  schedule_.warmup_steps = StepsOf(t.warmup, schedule_.total_steps);
  schedule_.decay_steps = StepsOf(t.decay, schedule_.total_steps);
  if (t.warmup >= 1 && schedule_.warmup_steps >= schedule_.total_steps) {
    notes_.push_back(Cat("'train.warmup' of ", schedule_.warmup_steps,
                         " steps is not shorter than the run of ", schedule_.total_steps,
                         ": the rate never reaches 'train.lr'"));
  }
  TrainerOptions options;
  options.optimizer = {
      OptimizerNamed(t.optimizer), t.beta1, t.beta2, t.epsilon, t.momentum, t.weight_decay, t.clip};
  options.schedule = schedule_;
  options.seed = static_cast<uint64_t>(t.seed);
  options.part_tokens = t.part_tokens;
  options.noise = t.neftune;
  options.checkpoint_blocks = t.gradient_checkpointing == "block";
  trainer_ = std::make_unique<Trainer>(*model_, adapter_.get(), *stream_, options, *objective_);
}

Evaluation TrainingSession::Evaluate(const std::vector<Example>& examples) const {
  const LossTotal total = EvaluateLoss(*model_, adapter_.get(), examples, kEvaluationTokens);
  if (total.odd_row >= 0) {
    throw Failure("evaluation: the loss of row ", total.odd_row + 1,
                  " is not a finite number; a lower train.lr usually helps");
  }
  return {total.mean(), std::ssize(examples), total.likely, total.tokens};
}

RunInputs TrainingSession::Inputs() const {
  RunInputs inputs;
  inputs.old_base = OldFingerprint(files_);
  inputs.hashes = InputHashes(recipe_, data_, teacher_model_);
  return inputs;
}

RunSummary TrainingSession::Run(const RunOptions& options,
                                const std::function<void(const RunProgress&)>& on_step,
                                const std::function<bool()>& stop) {
  RunHooks hooks;
  hooks.on_step = on_step;
  hooks.stop = stop;
  if (!data_.eval.examples.empty())
    hooks.evaluate = [this] { return Evaluate(data_.eval.examples); };
  hooks.check_trained = [this] {
    const auto& all = data_.train.examples;
    return Evaluate({all.begin(), all.begin() + std::min(std::ssize(all), kCheckedRows)});
  };
  RunOptions filled = options;
  filled.chance_loss = std::log(static_cast<double>(files_.config.vocab));
  filled.inputs = Inputs();
  return RunTraining(*trainer_, base_, filled, hooks);
}

std::string TrainingSession::DescribeSteps() const {
  const TrainRecipe& t = recipe_.train;
  const std::string batch =
      t.batch_rows == 0
          ? Cat(t.batch_tokens, " tokens (some ", RowsAStep(recipe_, data_.train), " rows)")
      : recipe_.data.packing
          ? Cat(t.batch_rows, " packed sequences of ", recipe_.data.max_tokens, " tokens")
          : Cat(t.batch_rows, " rows");
  return Cat("steps    ", schedule_.total_steps, t.steps > 0 ? "" : Cat(": ", t.epochs, " epochs"),
             " of ", t.accumulate > 1 ? Cat(t.accumulate, " times ") : "", batch,
             "; learning rate ", t.lr, ", ", t.schedule);
}

std::string TrainingSession::HeldWeights() const {
  if (recipe_.adapter.kind == "none") return "f32, all trained";
  if (recipe_.model.weights != "as-is") return recipe_.model.weights;
  return Cat(TraitsOf(files_.stored_format()).name, ", as stored");
}

std::vector<std::string> TrainingSession::Describe() const {
  int64_t trained = 0;
  for (const auto& m : trainer_->optimizer().trained()) trained += m.parameter->value.elements();
  std::vector<std::string> lines = {
      Cat("model    ", recipe_.model.path.string(), ": ", files_.config.family, ", ",
          files_.config.layers(), " layers, width ", files_.config.width, ", vocabulary ",
          files_.config.vocab),
      Cat("weights  ", HeldWeights(),
          recipe_.adapter.kind != "none" && recipe_.model.weights == "nf4" &&
                  recipe_.model.double_quant
              ? " with double quantisation"
              : "",
          "; compute ", NameOf(compute()), " on ", backend_->name(), ", ", backend_->threads(),
          " threads"),
      Cat("trained  ", trained, " parameters",
          adapter_ ? Cat(" of rank ", adapter_->config().rank) : ""),
      Cat("data     ", data_.train.examples.size(), " rows, ", data_.train.tokens,
          " tokens, of which ", data_.train.loss_tokens, " carry loss",
          data_.eval.examples.empty() ? ""
                                      : Cat("; held out ", data_.eval.examples.size(), " rows")),
      DescribeSteps()};
  if (recipe_.has_teacher()) lines.push_back(Cat("teacher  ", DescribeTeacher()));
  for (const std::string& note : notes_) lines.push_back(Cat("note     ", note));
  for (const std::string& note : data_.train.notes) lines.push_back(Cat("note     ", note));
  return lines;
}

std::string TrainingSession::DescribeTeacher() const {
  const TeacherRecipe& t = recipe_.teacher;
  const std::string loss = Cat(t.divergence, t.divergence == "jsd" ? Cat(" of beta ", t.beta) : "",
                               " at temperature ", t.temperature, ", weight ", t.weight);
  if (t.mode == "cached") return Cat(t.cache.string(), ": cached, ", loss);
  const Architecture& c = teacher_model_.files.config;
  return Cat(t.path.string(), ": ", c.layers(), " layers, width ", c.width, ", ",
             teacher_model_.shared() ? "the student's own base"
                                     : Cat(TeacherWeights(t, teacher_model_.files), ", compute ",
                                           NameOf(teacher_model_.model->compute())),
             "; ", t.mode, ", ", loss);
}

std::string TrainingSession::ShowFirstExample() const {
  return ShowExample(data_.train.examples.front(), *data_.tokenizer);
}

}  // namespace retort
