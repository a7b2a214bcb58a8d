// SPDX-License-Identifier: Apache-2.0
// retort run MODEL: continues a raw prompt, answers one message, or chats in the terminal.
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/answer_printer.h"
#include "cli/chat.h"
#include "cli/commands.h"
#include "cli/draft_flags.h"
#include "cli/flags.h"
#include "cli/grammar_flags.h"
#include "cli/sampling_flags.h"
#include "runner/engine/engine.h"
#include "runner/engine/field_probabilities.h"
#include "runner/service/chat_answer.h"

namespace retort {
namespace {

struct RunFlags {
  std::string model, system, chat_template = "auto";
  AdapterFlags adapter;
  std::optional<std::string> prompt, chat;
  SamplingOptions sampling;
  GrammarFlags grammar;
  DraftFlags draft;
  int64_t context = 0;
  bool json = false, quiet = false, hide_thoughts = false, field_probabilities = false;
  ComputeFlags compute;
};

// Ctrl-C ends the current answer; between turns it ends the program.
volatile std::sig_atomic_t interrupted = 0;

class CatchInterrupt {
 public:
  CatchInterrupt() {
    struct sigaction action {};
    action.sa_handler = [](int) { interrupted = 1; };  // no SA_RESTART: a blocked read must return
    sigaction(SIGINT, &action, &before_);
  }
  ~CatchInterrupt() { sigaction(SIGINT, &before_, nullptr); }
  CatchInterrupt(const CatchInterrupt&) = delete;
  CatchInterrupt& operator=(const CatchInterrupt&) = delete;

 private:
  struct sigaction before_ {};
};

double TokensPerSecond(const Generation& g) {
  // The first token results from the prefill, so it is not part of the decoding rate.
  const auto count = static_cast<double>(g.ids.size());
  if (g.ids.size() > 1 && g.decode_seconds > 0) return (count - 1) / g.decode_seconds;
  const double seconds = g.prefill_seconds + g.decode_seconds;
  return seconds > 0 ? count / seconds : 0;
}

// With guesses, a step reads more than one token: weights in the mapped file, which are fast for
// one, would be slow.
OpenedFor UseOf(const RunFlags& flags) {
  const bool little = (flags.prompt || flags.chat) && flags.draft.draft.empty();
  return little ? OpenedFor::kText : OpenedFor::kMuchText;
}

class Runner {
 public:
  explicit Runner(const RunFlags& flags)
      : flags_(flags),
        opened_(OpenForRunning(flags.model, flags.adapter.adapters(), flags.compute, UseOf(flags),
                               true)),
        draft_(flags.draft, opened_, flags.model, flags.compute, UseOf(flags)) {
    EngineOptions options;
    options.parallel = 1;
    options.context = flags.context;
    options.draft = draft_.options();
    options.cache_type = CacheType(flags.compute.kv, opened_.compute);
    if (auto source = flags.grammar.Read(opened_.answers)) {
      if (!flags.prompt) source->before.clear();
      if (!flags.quiet) Note(Cat("answers  are held to ", flags.grammar.Where()));
      const auto vocabulary = std::make_shared<const Vocabulary>(*opened_.tokenizer);
      constraint_.grammar = CompileGrammar(*source, flags.grammar.Where(), vocabulary);
      source_ = std::move(source);
    }
    if (flags.field_probabilities && !source_)
      throw InputError(
          "--field-probabilities needs an answer that is held to --schema or --choices");
    engine_.emplace(*opened_.model, opened_.adapter.get(), *opened_.tokenizer, options);
    if (!flags.quiet) {
      Note(Cat("compute  ", NameOf(opened_.compute), " on ", opened_.backend->name(), ", ",
               opened_.backend->threads(), " threads; cache ",
               flags.compute.kv == "auto" ? NameOf(options.cache_type) : flags.compute.kv));
      if (options.draft.any()) Note(Cat("draft    ", draft_.Text()));
    }
  }

  void Prompt(const std::string& text) {
    const Generation g = Generate(opened_.tokenizer->EncodePrompt(text), flags_.sampling,
                                  [&](const std::string& piece) {
                                    if (flags_.json) return;
                                    std::cout << piece << std::flush;
                                    CheckOutput();
                                  });
    Show(g, g.text);
  }
  void Answer(const std::string& text) {
    Converse();
    messages_.push_back({"user", text});
    Reply(Encoded());
  }
  void Chat();

 private:
  // Loads the chat template and starts a conversation.
  void Converse() {
    chat_.emplace(ChatFor(flags_.chat_template, opened_));
    answers_.emplace(*chat_, *opened_.tokenizer);
    chat_sampling_ = flags_.sampling;
    chat_sampling_.stop_ids.push_back(chat_->CheckMarks(*opened_.tokenizer, flags_.model));
    Forget();
  }
  void Forget() {
    messages_.clear();
    if (!flags_.system.empty()) messages_.push_back({"system", flags_.system});
  }
  std::vector<int32_t> Encoded() const {
    std::vector<Message> messages = messages_;
    answers_->PlaceEarlierThoughts(messages);
    return EncodeChat(*opened_.tokenizer, *chat_, messages, true, "the conversation");
  }
  // Removes the oldest turns until there is room for an answer. At least the last question is kept.
  std::vector<int32_t> EncodedToFit();
  Generation Generate(std::vector<int32_t> prompt, const SamplingOptions& sampling,
                      const std::function<void(const std::string&)>& on_text,
                      const std::vector<int32_t>& shown_ids = {});
  // Answers the conversation, shows the answer and adds it.
  void Reply(std::vector<int32_t> prompt);
  void Show(const Generation& g, const std::string& text, const std::string& thought = "");
  static void NoteField(const FieldChoice& field);
  void NoteSpeed(const Generation& g) const;

  const RunFlags& flags_;
  OpenedModel opened_;
  OpenedDraft draft_;
  std::optional<Engine> engine_;
  std::optional<ChatTemplate> chat_;
  std::optional<ChatAnswers> answers_;
  std::optional<GrammarSource> source_;  // of what constraint_ holds answers to
  AnswerConstraint constraint_;
  std::optional<std::vector<FieldChoice>> fields_;  // of the last answer, if it is whole
  SamplingOptions chat_sampling_;
  std::vector<Message> messages_;
};

Generation Runner::Generate(std::vector<int32_t> prompt, const SamplingOptions& sampling,
                            const std::function<void(const std::string&)>& on_text,
                            const std::vector<int32_t>& shown_ids) {
  if (prompt.empty())
    throw InputError("the prompt is empty and the tokenizer adds no BOS; give some text");
  interrupted = 0;
  Generation g = retort::Generate(
      *engine_, prompt, sampling,
      [&](const GenerationEvent& event) {
        on_text(event.text);
        return interrupted == 0;
      },
      shown_ids, constraint_);
  fields_.reset();
  if (flags_.field_probabilities && g.finish == FinishReason::kStop) {
    GenerationRequest asked;
    asked.prompt = std::move(prompt);
    const ChoiceRule rule(*source_, constraint_, EndOf(sampling, opened_.files.config));
    fields_ = ScoreFields(*engine_, rule, asked, g.ids, *opened_.tokenizer);
  }
  return g;
}

void Runner::Reply(std::vector<int32_t> prompt) {
  const bool in_thought = answers_->BeginsInThought(prompt, "");
  answers_->LetThink(constraint_, in_thought);
  AnswerPrinter printer(
      answers_->Parser({}, /*stream=*/true, in_thought), !flags_.json,
      flags_.hide_thoughts ? AnswerPrinter::Thoughts::kHidden : AnswerPrinter::Thoughts::kShown);
  const Generation g = Generate(
      std::move(prompt), chat_sampling_, [&](const std::string& text) { printer.Push(text); },
      answers_->shown_ids());
  printer.Finish();
  const std::string& thought = printer.thought();
  messages_.push_back({"assistant", printer.content(), true,
                       thought.empty() ? "" : DumpJson({{"reasoning_content", thought}})});
  Show(g, printer.content(), thought);
}

void Runner::Show(const Generation& g, const std::string& text, const std::string& thought) {
  if (flags_.json) {
    Json answer = {{"text", text},
                   {"reasoning_content", thought.empty() ? Json() : Json(thought)},
                   {"ids", g.ids},
                   {"finish_reason", std::string(NameOf(g.finish))},
                   {"prompt_tokens", g.prompt_tokens},
                   {"completion_tokens", g.ids.size()},
                   {"tokens_per_second", TokensPerSecond(g)},
                   {"prefill_seconds", g.prefill_seconds},
                   {"decode_seconds", g.decode_seconds},
                   {"drafted_tokens", g.drafted_tokens},
                   {"accepted_tokens", g.accepted_tokens},
                   {"compute", std::string(NameOf(opened_.compute))},
                   {"device", opened_.backend->name()}};
    if (flags_.field_probabilities)
      answer["field_probabilities"] = fields_ ? FieldsJson(*fields_) : Json();
    return PrintJson(answer);
  }
  PrintLine("");
  for (const FieldChoice& field : fields_.value_or(std::vector<FieldChoice>())) NoteField(field);
  NoteSpeed(g);
}

// The likeliest values.
void Runner::NoteField(const FieldChoice& field) {
  constexpr size_t kShown = 5;
  std::string line = Cat("[", field.pointer.empty() ? "answer" : field.pointer, ":");
  for (size_t i = 0; i < std::min(kShown, field.values.size()); ++i) {
    const auto& [value, probability] = field.values[i];
    char share[16];
    std::snprintf(share, sizeof share, "%.4f", probability);
    line += Cat(" ", value, " ", share);
  }
  Note(Cat(line, field.values.size() > kShown ? " ...]" : "]"));
}

void Runner::NoteSpeed(const Generation& g) const {
  if (flags_.quiet) return;
  char text[160];
  std::snprintf(text, sizeof text, "[%lld prompt tokens in %.2f s, %zu tokens, %.1f tok/s, %s]",
                static_cast<long long>(g.prompt_tokens), g.prefill_seconds, g.ids.size(),
                TokensPerSecond(g), std::string(NameOf(g.finish)).c_str());
  Note(text);
}

std::vector<int32_t> Runner::EncodedToFit() {
  const int64_t room = std::min(chat_sampling_.max_tokens, engine_->context() / 4);
  std::vector<int32_t> ids = Encoded();
  const size_t first = flags_.system.empty() ? 0 : 1;
  bool left_out = false;
  while (static_cast<int64_t>(ids.size()) + room > engine_->context() &&
         messages_.size() > first + 2) {
    const auto oldest = messages_.begin() + static_cast<int64_t>(first);
    messages_.erase(oldest, oldest + 2);  // a question and its answer
    ids = Encoded();
    left_out = true;
  }
  if (left_out) Note("[the context is full: the oldest turns are left out]");
  return ids;
}

void Runner::Chat() {
  Converse();
  const bool terminal = ::isatty(STDIN_FILENO) != 0 && ::isatty(STDERR_FILENO) != 0;
  if (terminal)
    Note(
        "Type a message; /clear forgets the conversation, /exit or Ctrl-D ends it, Ctrl-C ends an answer.");
  const CatchInterrupt catch_interrupt;
  for (std::string line;;) {
    if (terminal) std::cerr << "> " << std::flush;
    if (!std::getline(std::cin, line)) break;
    const std::string_view text = Strip(line);
    if (text.empty()) continue;
    if (text == "/exit") return;
    if (text == "/clear") {
      Forget();
      continue;
    }
    messages_.push_back({"user", std::string(text)});
    try {
      Reply(EncodedToFit());
    } catch (const Error& e) {
      if (e.kind() != Error::Kind::kInput) throw;
      messages_.pop_back();
      Note(e.what());  // for example a message that is too long; the conversation continues
    }
  }
  if (terminal) std::cerr << "\n";
}

void Run(const RunFlags& flags) {
  if (flags.prompt && flags.chat) throw InputError("--prompt and --chat exclude each other");
  CheckSampling(flags.sampling);
  Runner runner(flags);
  if (flags.prompt)
    runner.Prompt(*flags.prompt);
  else if (flags.chat)
    runner.Answer(*flags.chat);
  else
    runner.Chat();
}

}  // namespace

void AddRun(CLI::App& app) {
  CLI::App* command = app.add_subcommand("run", "Generate text, or chat in the terminal");
  auto flags = std::make_shared<RunFlags>();
  SamplingOptions& s = flags->sampling;
  command
      ->add_option("model", flags->model,
                   "Hugging Face folder, GGUF file, or folder of a run or adapter")
      ->required();
  flags->adapter.Add(*command);
  command->add_option("--prompt", flags->prompt, "raw text to continue");
  command->add_option("--chat", flags->chat, "one message, put into the chat template");
  command->add_option("--system", flags->system, "system prompt of a chat");
  command->add_option("--template", flags->chat_template,
                      "chat template; auto: the adapter's or model's own");
  command->add_option("--max-tokens", s.max_tokens, "maximum tokens of an answer")
      ->check(CLI::Range(int64_t{1}, kMostCount));
  AddSamplingFlags(*command, s);
  command
      ->add_option("--context", flags->context,
                   "maximum tokens of a conversation; 0: the model's maximum")
      ->check(CLI::Range(int64_t{0}, kMostCount));
  flags->grammar.Add(*command);
  flags->draft.Add(*command);
  flags->compute.Add(*command, true);
  command->add_flag("--json", flags->json, "print one JSON object for each answer");
  command->add_flag("--field-probabilities", flags->field_probabilities,
                    "tell how likely each value was where the schema or --choices left a choice");
  command->add_flag("--hide-thoughts", flags->hide_thoughts,
                    "leave out what a model thinks before it answers");
  command->add_flag("--quiet", flags->quiet, "no figures on standard error");
  command->callback([flags] { Run(*flags); });
}

}  // namespace retort
