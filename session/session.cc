// SPDX-License-Identifier: Apache-2.0
#include "session/session.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "model/load.h"
#include "model/store/base_check.h"
#include "model/store/fingerprint.h"
#include "session/initial_adapter.h"
#include "session/run_facts.h"
#include "session/run_inputs.h"
#include "session/teaching.h"

namespace retort {
namespace {

constexpr int64_t kCheckedRows = 256;  // training rows checked if there is no held-out data

// LoRA+ (arXiv 2402.12354), as PEFT groups parameters: B, and vectors.
bool LearnsFaster(const Parameter& p) {
  return p.name.ends_with(".lora_B") || p.value.shape().rank() == 1;
}

// "200 rows", "200 pairs of answers"
std::string CountText(const ExampleSet& set) {
  const int64_t joined = set.examples.CountJoined();
  return joined > 0 ? Cat(joined, " pairs of answers") : Cat(set.examples.size(), " rows");
}

}  // namespace

TrainingSession::TrainingSession(const OpenedRecipe& opened, Use use)
    : opened_(opened),
      use_(use),
      recipe_(opened.recipe),
      files_(*opened_.files),
      data_(*opened_.data) {
  OpenBase();
  OpenHeldOut();
  const auto live = [this] { return backend_->memory().live_bytes(); };
  held_.weights = live();
  MakeAdapter();
  if (adapter_) held_.trained = live() - held_.weights;
  MakeObjective();
  held_.weights = live() - held_.trained + TeacherBytes();
  MakeTrainer();
  held_.optimizer = live() + TeacherBytes() - held_.weights - held_.trained;
}

void TrainingSession::OpenBase() {
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
                          ComputeNamed(recipe_.model.compute), counting()});
  LoadOptions options;
  if (recipe_.model.weights != "as-is") options.weights = FormatNamed(recipe_.model.weights);
  options.double_quant = recipe_.model.double_quant;
  options.trainable = trainable;
  model_ = LoadModel(files_, options, *backend_);
  if (!counting()) RecordBase();
  if (files_.gguf) {
    notes_.push_back(
        Cat(where, ": is a GGUF: ",
            trainable ? "what is trained becomes" : "merging the adapter into it makes",
            " a Hugging Face folder"));
  }
}

void TrainingSession::RecordBase() {
  base_ = {.path = std::filesystem::absolute(recipe_.model.path).lexically_normal().string(),
           .fingerprint = Fingerprint(files_, static_cast<int>(recipe_.train.threads)),
           .weights = recipe_.adapter.kind == "none" ? "f32" : recipe_.model.weights,
           .double_quant = recipe_.model.double_quant,
           .architecture = ArchitectureHash(files_.config),
           .source = SourceFingerprint(files_)};
  if (data_.chat) {
    base_.chat_template = data_.chat->name();
    base_.jinja = data_.chat->Jinja();
  }
  base_.ends = data_.ends;
  if (data_.answer_check) base_.answers = data_.answer_check->source();
}

void TrainingSession::MakeAdapter() {
  const AdapterRecipe& a = recipe_.adapter;
  if (a.kind == "none") return;
  if (!a.init.empty()) {
    for (const std::string& note :
         CheckAdapterBase(a.init, files_, static_cast<int>(recipe_.train.threads)))
      notes_.push_back(note);
    adapter_ = Adapter::Load(a.init, files_.layout, *backend_, {&files_});
    TakeInitialAdapter(*adapter_, files_.layout, recipe_.adapter);
  } else {
    adapter_ =
        Adapter::Make(AdapterConfigOf(a), files_.layout, static_cast<uint64_t>(recipe_.train.seed),
                      *backend_, {&files_, model_.get()});
  }
  adapter_->config().base_model = base_.path;
  for (Parameter* p : adapter_->parameters()) {
    if (LearnsFaster(*p)) p->rate = a.lr_ratio;
  }
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
  options.name_row = [this](const Example& e) { return WhereOf(data_, e); };
  options.checkpoint_blocks = t.gradient_checkpointing == "block";
  trainer_ = std::make_unique<Trainer>(*model_, adapter_.get(), *stream_, options, *objective_);
}

RunInputs TrainingSession::Inputs() const {
  RunInputs inputs;
  inputs.old_base = OldFingerprint(files_);
  inputs.hashes = InputHashes(recipe_, data_, teacher_model_);
  return inputs;
}

RunSummary TrainingSession::Run(const Path& folder,
                                const std::function<void(const RunProgress&)>& on_step,
                                const std::function<bool()>& stop) {
  RunHooks hooks;
  hooks.on_step = on_step;
  hooks.stop = stop;
  if (stop) {
    stopping_ = [stop](int64_t) {
      if (stop()) throw EvaluationStopped{};
    };
  }
  if (HasHeldOut()) hooks.evaluate = [this] { return EvaluateHeldOut(); };
  if (recipe_.train.samples > 0) hooks.sample = [this] { return TakeSamples(); };
  if (LearnsAnswers()) hooks.check_trained = [this] { return EvaluateTrained(); };
  const TrainRecipe& t = recipe_.train;
  RunOptions options;
  options.folder = folder;
  options.total_steps = total_steps();
  options.checkpoint_every = t.checkpoint_every;
  options.keep = t.keep;
  options.eval_every = t.eval_every;
  options.best_by = t.best_by;
  options.early_stop = t.early_stop;
  options.title = recipe_.name;
  options.logs = t.logs;
  options.chance_loss = std::log(static_cast<double>(files_.config.vocab));
  options.inputs = Inputs();
  options.about = AboutRun(Describe(), data_.train.examples);
  return RunTraining(*trainer_, base_, options, hooks);
}

// Other objectives have no level at which an answer counts as learnt.
bool TrainingSession::LearnsAnswers() const {
  return recipe_.preference.method.empty() && !recipe_.reward.given();
}

Evaluation TrainingSession::EvaluateTrained() const {
  return Evaluate(data_.train.examples.First(kCheckedRows));
}

void TrainingSession::EvaluateBefore() const {
  // For rewards answers are generated, which the steps do too.
  if (HasHeldOut() && !recipe_.reward.given()) EvaluateHeldOut();
}

void TrainingSession::EvaluateAfter() const {
  if (HasHeldOut()) {
    EvaluateBefore();
  } else if (LearnsAnswers()) {
    EvaluateTrained();
  }
}

int64_t TrainingSession::TeacherBytes() const {
  return teacher_model_.backend ? teacher_model_.backend->memory().live_bytes() : 0;
}

TrainingSession::Memory TrainingSession::memory() const {
  Memory out = held_;
  for (Backend* b : {backend_.get(), teacher_model_.backend.get()}) {
    if (!b) continue;
    out.peak += b->memory().peak_bytes();
    out.reached += b->memory().reached_bytes();
  }
  int64_t largest = 0;
  for (const auto& t : trainer_->optimizer().trained())
    largest = std::max(largest, t.parameter->value.bytes());
  out.checkpoint = out.optimizer + largest;
  out.mapped = MappedBytes(*model_);
  if (teacher_model_.own) out.mapped += MappedBytes(*teacher_model_.own);
  return out;
}

// The kernel maps some pages around one that is read.
int64_t TrainingSession::MappedBytes(const Model& model) const {
  constexpr int64_t kAround = 64 << 10;
  return model.mapped_bytes +
         std::min(model.mapped_table_bytes, data_.train.distinct_ids * kAround);
}

std::string TrainingSession::DescribeSteps() const {
  const TrainRecipe& t = recipe_.train;
  const std::string batch =
      t.batch_rows == 0 ? Cat(t.batch_tokens, " tokens (some ", RowsAStep(), " rows)")
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
      Cat("data     ", CountText(data_.train), ", ", data_.train.tokens, " tokens, of which ",
          data_.train.loss_tokens, " carry loss",
          data_.eval.examples.empty() ? "" : Cat("; held out ", CountText(data_.eval))),
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
