// SPDX-License-Identifier: Apache-2.0
// retort eval MODEL --data FILE.jsonl: scores a model on held-out rows.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/text.h"
#include "cli/chat.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/grammar_flags.h"
#include "cli/rate_progress.h"
#include "eval/agreement.h"
#include "eval/calibration.h"
#include "eval/choice.h"
#include "eval/exact.h"
#include "eval/fields.h"
#include "eval/loss.h"
#include "eval/scope.h"
#include "model/store/answer_schema.h"

namespace retort {
namespace {

struct EvalFlags {
  std::string model, reference, choices, out_of_scope;
  AdapterFlags adapter;
  std::vector<std::string> data;
  std::string metric = "loss", format = "auto", chat_template = "auto", over_length = "error",
              loss_on = "completion";
  int64_t max_tokens = 1024, rows = 0, batch_tokens = 2048;
  bool no_eos = false, json = false, batch_given = false, calibrate = false;
  GrammarFlags grammar;
  ComputeFlags compute;
};

struct Score {
  double value = 0;
  int64_t rows = 0, tokens = 0;
  int64_t labels = 0;              // choice: that were chosen among
  Json more = Json::object();      // what the metric has beside the value, for --json
  std::vector<std::string> lines;  // the same for a person
};

// Whether the metric looks at the tokens that carry loss.
bool OfTokens(const std::string& metric) { return metric == "loss" || metric == "kl"; }

// The data that the metrics share.
struct ScoredRows {
  const EvalFlags& flags;
  OpenedModel opened;
  Rows rows;
  std::optional<ChatTemplate> chat;
  int64_t max_tokens;

  explicit ScoredRows(const EvalFlags& f)
      : flags(f),
        opened(OpenForRunning(f.model, f.adapter.adapters(), f.compute,
                              OfTokens(f.metric) ? OpenedFor::kScores : OpenedFor::kMuchText,
                              true)),
        rows(OpenRows(f)),
        max_tokens(std::min(f.max_tokens, opened.files.config.max_positions)) {
    if (rows.HasMessages()) chat = ChatFor(f.chat_template, opened);
  }
  static Rows OpenRows(const EvalFlags& f) {
    std::vector<RowSource> sources;
    for (const std::string& file : f.data) sources.push_back({file});
    const Rows all = Rows::Open(sources, ParseRowFormat(f.format));
    return f.rows > 0 ? all.First(f.rows) : all;
  }
  std::shared_ptr<const Grammar> GrammarOrNull() const {
    const std::optional<GrammarSource> source = flags.grammar.Read(opened.answers);
    if (!source) return nullptr;
    const std::string where = flags.grammar.Where();
    Note(Cat("note     answers are held to ", where));
    return CompileGrammar(*source, where, std::make_shared<const Vocabulary>(*opened.tokenizer));
  }
  QuestionOptions Questions() const {
    QuestionOptions options;
    options.max_tokens = max_tokens;
    options.over_length = ParseOverLength(flags.over_length);
    options.cache_type = CacheType(flags.compute.kv, opened.compute);
    options.grammar = GrammarOrNull();
    return options;
  }
  const ChatTemplate* chat_or_null() const { return chat ? &*chat : nullptr; }
  std::vector<Answer> Answers() const {
    std::vector<Answer> answers = ReadAnswers(rows, *opened.tokenizer, chat_or_null());
    if (const std::string note = rows.UnreadNote(); !note.empty()) Note(Cat("note     ", note));
    return answers;
  }
};

ExampleSet LossExamples(const ScoredRows& e) {
  ExampleOptions options;
  options.loss_on = ParseLossOn(e.flags.loss_on);
  options.over_length = ParseOverLength(e.flags.over_length);
  options.audit = Audit::kWarn;
  options.max_tokens = e.max_tokens;
  options.model_limit = e.max_tokens < e.flags.max_tokens;
  options.max_tokens_name = "--max-tokens", options.over_length_name = "--over-length";
  options.add_eos = !e.flags.no_eos;
  ExampleSet set = MakeExamples(e.rows, *e.opened.tokenizer, e.chat_or_null(), options);
  for (const std::string& note : set.notes) Note(Cat("note     ", note));
  return set;
}

Score LossScore(const ScoredRows& e) {
  const ExampleSet set = LossExamples(e);
  RateProgress progress("eval", set.examples.size(), "rows");
  const LossTotal total = EvaluateLoss(*e.opened.model, e.opened.adapter.get(), set.examples,
                                       e.flags.batch_tokens, std::ref(progress));
  if (total.odd_row >= 0) {
    throw Failure(e.rows.Where(total.odd_row),
                  ": the loss is not a finite number: the model's or the "
                  "adapter's activations overflow; try --compute f32");
  }
  return {total.mean(), set.rows - set.dropped, total.tokens};
}

std::string PercentText(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f %%", 100 * share);
  return text;
}

// KL(reference || model) at the tokens that carry loss.
Score KlScore(const ScoredRows& e) {
  const OpenedModel reference = OpenForRunning(e.flags.reference, {}, e.flags.compute,
                                               OpenedFor::kScores, /*with_tokenizer=*/false);
  if (reference.files.config.vocab != e.opened.files.config.vocab)
    throw InputError(e.flags.reference, ": has ", reference.files.config.vocab, " tokens, ",
                     e.flags.model, " ", e.opened.files.config.vocab,
                     "; --reference is a model with the same ones");
  const ExampleSet set = LossExamples(e);
  const Agreement found =
      CompareModels({reference.model.get(), reference.adapter.get()},
                    {{e.opened.model.get(), e.opened.adapter.get()}}, set.examples, kMostCount)
          .front();
  Score score{found.mean_kl, set.rows - set.dropped, found.tokens};
  score.more["largest_kl"] = found.largest_kl;
  score.more["top1"] = found.top1;
  score.lines.push_back(Cat("same next token ", PercentText(found.top1)));
  return score;
}

// `rights`: whether each row is right, and the text of its answer.
void AddScope(const std::string& label, const std::vector<std::pair<std::string, bool>>& rights,
              Score& score) {
  if (label.empty()) return;
  ScopeCounts counts;
  for (const auto& [answer, right] : rights) counts.Add(Strip(answer) == label, right);
  if (counts.out_rows == 0)
    return Note(Cat("note     --out-of-scope ", Quoted(label), ": no row has this answer"));
  score.more["in_scope"] = counts.in_scope();
  score.more["in_scope_rows"] = counts.in_rows;
  score.more["out_of_scope_recall"] = counts.out_of_scope_recall();
  score.more["out_of_scope_rows"] = counts.out_rows;
  score.lines.push_back(Cat("in scope ", PercentText(counts.in_scope()), "  (", counts.in_rows,
                            " rows), out of scope ", PercentText(counts.out_of_scope_recall()),
                            "  (", counts.out_rows, " rows)"));
}

void NoteDropped(int64_t dropped, int64_t max_tokens) {
  if (dropped > 0) Note(Cat("note     ", dropped, " rows over ", max_tokens, " tokens left out"));
}

Score ExactScore(const ScoredRows& e) {
  const QuestionOptions options = e.Questions();
  const std::vector<Answer> answers = e.Answers();
  RateProgress progress("eval", static_cast<int64_t>(answers.size()), "rows");
  const ExactResult result =
      EvaluateExact(*e.opened.model, e.opened.adapter.get(), *e.opened.tokenizer, e.chat_or_null(),
                    answers, options, std::ref(progress));
  NoteDropped(result.dropped, e.max_tokens);
  Score score{result.share(), result.rows, result.tokens};
  std::vector<std::pair<std::string, bool>> rights;
  for (size_t i = 0; i < result.kept.size(); ++i)
    rights.emplace_back(answers[result.kept[i]].text, result.matched[i]);
  AddScope(e.flags.out_of_scope, rights, score);
  return score;
}

Json CountsJson(const FieldCounts& c) {
  return {{"precision", c.precision()}, {"recall", c.recall()}, {"f1", c.f1()},
          {"right", c.right},           {"said", c.said},       {"wanted", c.wanted}};
}

std::string CountsText(const std::string& name, const FieldCounts& c) {
  return Cat("  ", name, ": F1 ", PercentText(c.f1()), ", precision ", PercentText(c.precision()),
             ", recall ", PercentText(c.recall()), "  (", c.wanted, " wanted)");
}

Score FieldsScore(const ScoredRows& e) {
  const QuestionOptions options = e.Questions();
  const std::vector<Answer> answers = e.Answers();
  RateProgress progress("eval", static_cast<int64_t>(answers.size()), "rows");
  const FieldsResult result =
      EvaluateFields(*e.opened.model, e.opened.adapter.get(), *e.opened.tokenizer, e.chat_or_null(),
                     answers, options, std::ref(progress));
  NoteDropped(result.dropped, e.max_tokens);
  Score score{result.all.f1(), result.rows, result.tokens};
  score.more = CountsJson(result.all);
  score.more["whole"] = result.whole;
  score.more["malformed"] = result.malformed;
  Json& fields = score.more["fields"] = Json::object();
  score.lines.push_back(CountsText("all fields", result.all));
  for (const auto& [name, counts] : result.fields) {
    fields[name] = CountsJson(counts);
    score.lines.push_back(CountsText(name, counts));
  }
  score.lines.push_back(
      Cat("  whole answers right: ", result.whole, "; no JSON object: ", result.malformed));
  return score;
}

Score ChoiceScore(const ScoredRows& e) {
  ChoiceOptions options;
  options.max_tokens = e.max_tokens;
  options.over_length = ParseOverLength(e.flags.over_length);
  options.add_eos = !e.flags.no_eos;
  std::vector<std::string> labels;
  if (!e.flags.choices.empty()) labels = ReadLabels(e.flags.choices);
  const ChoiceTask task = MakeChoiceTask(e.Answers(), std::move(labels), *e.opened.tokenizer,
                                         e.chat_or_null(), options);
  NoteDropped(task.dropped, e.max_tokens);
  RateProgress progress("eval", static_cast<int64_t>(task.cases.size()), "rows");
  const ChoiceResult result = EvaluateChoice(*e.opened.model, e.opened.adapter.get(), task.cases,
                                             e.flags.batch_tokens, std::ref(progress));
  const int64_t count = std::ssize(task.labels);
  if (e.flags.choices.empty())
    Note(Cat("note     chosen among the ", count,
             " labels that occur in the rows; --choices names all there are"));
  Score score{result.share(), result.rows, result.tokens, count};
  std::vector<std::pair<std::string, bool>> rights;
  for (size_t i = 0; i < task.cases.size(); ++i) {
    const int32_t expected = task.cases[i].expected;
    rights.emplace_back(task.labels[static_cast<size_t>(expected)], result.chosen[i] == expected);
  }
  AddScope(e.flags.out_of_scope, rights, score);
  return score;
}

// What the answers are held to, whose choices are judged.
GrammarSource CalibrationSource(const ScoredRows& e, const std::vector<Answer>& answers) {
  if (!e.flags.choices.empty()) {
    const auto spaced = [](const Answer& answer) { return answer.text.starts_with(' '); };
    return {GrammarSource::Kind::kChoices, DumpJson(Json(ReadLabels(e.flags.choices))),
            JsonSpace::kCompact, std::ranges::all_of(answers, spaced) ? " " : ""};
  }
  if (const auto source = e.flags.grammar.Read(e.opened.answers)) return *source;
  throw InputError(e.flags.model,
                   ": carries no schema whose choices could be judged; give --schema or --choices");
}

Json CalibrationJson(double temperature, const Calibration& c) {
  return {{"temperature", temperature}, {"nll", c.nll}, {"ece", c.ece}};
}

std::string CalibrationText(const char* name, double temperature, const Calibration& c) {
  char text[160];
  std::snprintf(text, sizeof text, "  %s: temperature %.4f, NLL %.4f, ECE %.2f %%", name,
                temperature, c.nll, 100 * c.ece);
  return text;
}

Score CalibrationScore(const ScoredRows& e) {
  const std::vector<Answer> answers = e.Answers();
  const GrammarSource source = CalibrationSource(e, answers);
  const std::string where = e.flags.choices.empty() ? e.flags.grammar.Where() : e.flags.choices;
  const auto grammar =
      CompileGrammar(source, where, std::make_shared<const Vocabulary>(*e.opened.tokenizer));
  const SamplingOptions sampling = GreedyAnswers(e.chat_or_null(), *e.opened.tokenizer);
  const CalibrationTask task = MakeCalibrationTask(
      answers, source, grammar, EndOf(sampling, e.opened.files.config), *e.opened.tokenizer,
      e.chat_or_null(), e.max_tokens, ParseOverLength(e.flags.over_length));
  NoteDropped(task.dropped, e.max_tokens);
  if (task.cases.empty())
    throw InputError(where, ": leaves no choice among few values in any of the rows' answers");
  RateProgress progress("eval", std::ssize(task.cases), "choices");
  std::vector<JudgedChoice> judged;
  const auto judge = [&](const ChoiceCase& c, const std::vector<double>& scores) {
    judged.push_back({scores, static_cast<size_t>(c.expected)});
  };
  const int64_t tokens =
      ScoreAllChoices(*e.opened.model, e.opened.adapter.get(), task.cases, e.flags.batch_tokens,
                      ChoiceScores::kWithin, judge, std::ref(progress));
  const std::optional<double> fitted = FitTemperature(judged);
  const Calibration before = CalibrationAt(judged, source.temperature);
  const std::string no_fit = Cat("no temperature can be fitted to ", judged.size(), " choices, ",
                                 PercentText(before.right), " right; give more rows");
  if (!fitted && e.flags.calibrate) throw InputError(e.flags.data.front(), ": ", no_fit);
  Score score{before.ece, task.rows, tokens};
  score.more = {{"choices", judged.size()},
                {"right", before.right},
                {"before", CalibrationJson(source.temperature, before)},
                {"after", nullptr},
                {"kept", e.flags.calibrate}};
  score.lines = {Cat("  ", judged.size(), " choices, ", PercentText(before.right), " right"),
                 CalibrationText("before", source.temperature, before)};
  if (!fitted) {
    score.lines.push_back(Cat("  ", no_fit));
    return score;
  }
  const Calibration after = CalibrationAt(judged, *fitted);
  score.more["after"] = CalibrationJson(*fitted, after);
  score.lines.push_back(CalibrationText("fitted", *fitted, after));
  if (judged.size() < kFewChoices)
    score.lines.push_back(Cat("  fitted to fewer than ", kFewChoices,
                              " choices, which says little of other rows; give more"));
  if (!e.flags.calibrate) return score;
  KeepTemperature(e.opened.answers_folder, *fitted);
  score.lines.push_back(Cat("  kept in ", e.opened.answers_folder.string()));
  return score;
}

// Before rows are read.
void CheckCalibration(const ScoredRows& e) {
  if (!e.flags.calibrate) return;
  if (e.flags.grammar.schema || !e.flags.choices.empty())
    throw InputError(
        "--calibrate keeps the temperature with the schema that the model carries; "
        "leave out --schema and --choices, or --calibrate");
  if (!e.opened.answers)
    throw InputError(e.flags.model,
                     ": carries no schema to keep a temperature with; train it with "
                     "data.schema, or leave out --calibrate");
  if (e.opened.answers_folder.empty())
    throw InputError(e.flags.model,
                     ": --calibrate needs the folder of a model or of one adapter; "
                     "calibrate what this was exported or merged of, and export again");
}

void Run(const EvalFlags& flags) {
  const bool calibration = flags.metric == "calibration";
  if (!flags.choices.empty() && flags.metric != "choice" && !calibration)
    throw InputError("--choices goes with --metric choice or calibration");
  if (flags.grammar.given() && flags.metric != "exact" && flags.metric != "fields" && !calibration)
    throw InputError("--schema goes with --metric exact, fields or calibration");
  if (flags.calibrate && !calibration)
    throw InputError("--calibrate goes with --metric calibration");
  if (!flags.out_of_scope.empty() && flags.metric != "choice" && flags.metric != "exact")
    throw InputError("--out-of-scope goes with --metric exact or choice");
  if ((flags.metric == "kl") == flags.reference.empty())
    throw InputError("--reference goes with --metric kl, which needs it");
  if (flags.batch_given && flags.metric == "kl")
    throw InputError("--batch-tokens: --metric kl has its own batches; leave it out");
  const ScoredRows e(flags);
  CheckCalibration(e);
  Note(Cat("compute  ", NameOf(e.opened.compute), " on ", e.opened.backend->name(), ", ",
           e.opened.backend->threads(), " threads"));
  const Score score = flags.metric == "loss"     ? LossScore(e)
                      : flags.metric == "kl"     ? KlScore(e)
                      : flags.metric == "exact"  ? ExactScore(e)
                      : flags.metric == "fields" ? FieldsScore(e)
                      : calibration              ? CalibrationScore(e)
                                                 : ChoiceScore(e);
  if (score.rows == 0)
    throw InputError(flags.data.front(), ": no row is short enough for --max-tokens ",
                     e.max_tokens);
  if (flags.json) {
    Json result = {{"metric", flags.metric},
                   {"value", score.value},
                   {"rows", score.rows},
                   {"tokens", score.tokens},
                   {"compute", std::string(NameOf(e.opened.compute))},
                   {"device", e.opened.backend->name()}};
    if (score.labels > 0) result["labels"] = score.labels;
    result.update(score.more);
    return PrintJson(result);
  }
  char nats[32];
  std::snprintf(nats, sizeof nats, flags.metric == "kl" ? "%.3e" : "%.4f", score.value);
  const std::string value = OfTokens(flags.metric) ? nats : PercentText(score.value);
  PrintLine(Cat(flags.metric, " ", value, "  (", score.rows, " rows, ", score.tokens, " tokens",
                score.labels > 0 ? Cat(", ", score.labels, " labels") : "", ")"));
  for (const std::string& line : score.lines) PrintLine(line);
}

void AddMetric(CLI::App& command, EvalFlags& flags) {
  command
      .add_option(
          "--metric", flags.metric,
          "loss: mean over the tokens that carry loss; kl: of their distributions to those of "
          "--reference; exact: greedy generation equals the answer; "
          "choice: the likeliest label is the answer; fields: F1 of the fields of answers that are "
          "JSON objects; calibration: the expected calibration error of the probabilities of "
          "choices that a schema leaves")
      ->check(CLI::IsMember({"loss", "kl", "exact", "choice", "fields", "calibration"}));
  command.add_flag("--calibrate", flags.calibrate,
                   "of --metric calibration: keep the fitted temperature beside the model");
  command.add_option("--reference", flags.reference,
                     "of --metric kl: the model to compare with, such as that a file was made of");
  command.add_option("--choices", flags.choices,
                     "JSON list of labels (default: those in the data)");
  command.add_option("--out-of-scope", flags.out_of_scope,
                     "the label of rows that belong to none of the others, which are then counted "
                     "by themselves");
}

void AddRows(CLI::App& command, EvalFlags& flags) {
  command.add_option("--format", flags.format,
                     "auto, messages, prompt_completion, alpaca, text or tokens");
  command.add_option("--template", flags.chat_template,
                     "chat template of message rows; auto: the adapter's or model's own");
  command
      .add_option("--max-tokens", flags.max_tokens,
                  "longest row in tokens, at most the model's positions")
      ->check(CLI::Range(int64_t{2}, kMostCount));
  command.add_option(
      "--over-length", flags.over_length,
      "what to do with longer rows: error, drop and, for the loss, truncate or split");
  command.add_option("--loss-on", flags.loss_on, "for the loss: completion, all or last")
      ->check(CLI::IsMember({"completion", "all", "last"}));
  command.add_option("--rows", flags.rows, "only the first N rows; 0: all")
      ->check(CLI::Range(int64_t{0}, kMostCount));
}

}  // namespace

void AddEval(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("eval", "Score a model, with or without an adapter, on held-out rows");
  auto flags = std::make_shared<EvalFlags>();
  command
      ->add_option("model", flags->model,
                   "Hugging Face folder, GGUF file, or folder of a run or adapter")
      ->required();
  command->add_option("--data", flags->data, "JSONL file of rows; may be given several times")
      ->required()
      ->allow_extra_args(false);
  flags->adapter.Add(*command);
  AddMetric(*command, *flags);
  AddRows(*command, *flags);
  const CLI::Option* batch =
      command->add_option("--batch-tokens", flags->batch_tokens, "tokens computed at once")
          ->check(CLI::Range(int64_t{1}, kMostCount));
  command->add_flag("--no-eos", flags->no_eos,
                    "texts and completions do not end with the end token");
  flags->grammar.AddSchema(*command);
  flags->compute.Add(*command, true);
  command->add_flag("--json", flags->json, "print one JSON object");
  command->callback([flags, batch] {
    flags->batch_given = batch->count() > 0;
    Run(*flags);
  });
}

}  // namespace retort
