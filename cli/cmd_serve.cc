// SPDX-License-Identifier: Apache-2.0
// retort serve MODEL: an OpenAI-compatible server.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <csignal>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/chat.h"
#include "cli/commands.h"
#include "cli/draft_flags.h"
#include "cli/drift_flags.h"
#include "cli/file_stamps.h"
#include "cli/flags.h"
#include "cli/grammar_flags.h"
#include "cli/listen_flags.h"
#include "cli/served_adapters.h"
#include "model/store/base_record.h"
#include "model/store/run_folder.h"
#include "runner/server/server.h"

namespace retort {
namespace {

constexpr int64_t kMostParallel = 4096, kMostWaiting = 1 << 20;

struct ServeFlags {
  std::string model, name, chat_template = "auto";
  ServedAdapterFlags adapter;
  ServerOptions server;
  ListenFlags listen;
  GrammarFlags grammar;
  DraftFlags draft;
  DriftFlags drift;
  ComputeFlags compute;
};

// The last part of the path: "router-q8.gguf" is "router-q8".
std::string NameFrom(const Path& path) {
  const Path plain = path.has_filename() ? path : path.parent_path();
  return plain.extension() == ".gguf" ? plain.stem().string() : plain.filename().string();
}

// A model as its files are, and what it is served with.
struct OpenedToServe {
  explicit OpenedToServe(const ServeFlags& flags)
      : opened(OpenForRunning(flags.model, flags.adapter.given.adapters(), flags.compute,
                              OpenedFor::kMuchText, true, flags.adapter.named_folders())),
        draft(flags.draft, opened, flags.model, flags.compute, OpenedFor::kMuchText),
        served{*opened.model,
               opened.adapter.get(),
               *opened.tokenizer,
               flags.name.empty() ? NameFrom(flags.model) : flags.name,
               {},
               {}},
        engine(flags.server.engine),
        rule{flags.grammar.Read(opened.answers), flags.grammar.Where()},
        adapters(
            AdaptersFor(flags.adapter, opened, flags.chat_template, flags.grammar, flags.compute)) {
    // A model without a template can still complete text. One with a template that is unknown or
    // that it cannot use is rejected.
    if (HasTemplate(flags.chat_template, opened, opened.chat_adapter))
      served.chat = ChatFor(flags.chat_template, opened);
    else
      served.no_chat = kNoChat;
    engine.cache_type = CacheType(flags.compute.kv, opened.compute);
    engine.draft = draft.options();
  }

  const OpenedModel opened;
  const OpenedDraft draft;
  ServedModel served;
  EngineOptions engine;
  AnswerRule rule;
  AdapterOptions adapters;
};

// A model, and what it is based on if it is an adapter's folder.
void AddModel(const std::string& model, std::vector<Path>& paths) {
  if (model.empty()) return;
  paths.emplace_back(model);
  const auto own = AdapterFolderAt(model);
  if (!own) return;
  if (const auto record = ReadBaseRecord(*own)) paths.emplace_back(record->path);
}

// Of all that OpenedToServe reads, and of the adapters in these folders.
std::string StampOf(const ServeFlags& flags, std::vector<Path> paths) {
  for (const Path& folder : flags.adapter.named_folders()) paths.push_back(folder);
  for (const WeightedAdapter& part : flags.adapter.given.adapters()) paths.push_back(part.folder);
  AddModel(flags.model, paths);
  AddModel(flags.draft.draft, paths);
  for (const auto* file : {&flags.grammar.schema, &flags.grammar.choices, &flags.grammar.grammar}) {
    if (*file) paths.emplace_back(**file);
  }
  return FileStamps(paths);
}

// What is to be read again is all that the flags name, which outlive the server.
ReloadOptions ReloadFor(const ServeFlags& flags, std::string stamp) {
  ReloadOptions out = flags.server.reload;
  out.open = [&flags] {
    const auto again = std::make_shared<const OpenedToServe>(flags);
    return ReopenedModel{again->served, again->engine, again->rule, again->adapters, again};
  };
  out.stamp = [&flags](std::vector<Path> adapters) { return StampOf(flags, std::move(adapters)); };
  out.opened = std::move(stamp);
  out.on_reload = [](const std::string& note) { Note(note); };
  return out;
}

// What is served, and how.
void Tell(const Server& server, const OpenedToServe& first, const ServerOptions& options) {
  const ServedModel& served = first.served;
  if (options.rule.grammar) Note(Cat("answers  are held to ", options.rule.where));
  Note(Cat("model    ", served.name, ", chat template ",
           served.chat ? served.chat->name() : "none"));
  for (const auto& [name, folder] : options.adapters.loaded)
    Note(Cat("adapter  ", name, ", ", folder.string()));
  Note(Cat("compute  ", NameOf(first.opened.compute), " on ", first.opened.backend->name(), ", ",
           first.opened.backend->threads(), " threads; cache ", NameOf(options.engine.cache_type),
           ", ", BytesText(server.counts().cache_bytes)));
  if (options.drift.baseline) {
    Note(Cat("watch    answers beside those of ", options.drift.baseline->model, " at ",
             options.drift.baseline->recorded));
  }
  if (options.engine.draft.any()) Note(Cat("draft    ", first.draft.Text()));
  Note(Cat("serving  ", options.engine.parallel, " at once, ", options.queue, " waiting, ",
           server.context(), " tokens each"));
  if (!server.loopback() && options.keys.empty()) {
    Note(
        "retort: warning: anyone who can reach this machine can use the server; give it an "
        "--api-key");
  }
  for (const std::string& url : server.urls()) PrintLine("listening on " + url);
}

void Serve(const ServeFlags& flags) {
  std::signal(SIGPIPE, SIG_IGN);  // whoever read a log may leave
  // The server handles it later; a file that is renewed meanwhile is no reason to end.
  std::signal(SIGHUP, SIG_IGN);
  ServerOptions options = flags.server;
  options.http = flags.listen.Http();
  options.keys = flags.listen.Keys();
  options.reload = ReloadFor(flags, StampOf(flags, {}));
  auto first = std::make_shared<const OpenedToServe>(flags);
  options.engine = first->engine;
  options.rule = first->rule;
  options.adapters = first->adapters;
  options.http.catch_signals = true;
  options.http.on_reload = [](const std::string& fault) {
    Note(fault.empty() ? "the certificate was read again"
                       : Cat("retort: the certificate is kept as it was: ", fault));
  };
  options.json_space = flags.grammar.Space();
  options.version = RETORT_VERSION;
  options.drift = flags.drift.Read();

  Server server(first->served, options, first);
  Tell(server, *first, options);
  first.reset();  // its memory is free when the model has been replaced
  server.Run();
  // Every client has been told. What still computes, for nobody any more, is not waited for:
  // reading a body can take longer than the grace time.
  std::_Exit(0);
}

void AddLog(CLI::App& command, RequestLogOptions& log) {
  command.add_option("--log,--log-requests", log.file,
                     "a file to which a line of JSON is added for each request");
  command.add_option("--log-share", log.share, "share of the answered requests that are logged")
      ->check(CLI::Range(0.0, 1.0));
  command.add_flag("--log-text", log.text, "log prompts and answers too, redacted");
}

void AddEngine(CLI::App& command, ServerOptions& server) {
  command.add_option("--parallel", server.engine.parallel, "requests that run at once")
      ->check(CLI::Range(int64_t{1}, kMostParallel));
  command.add_option("--queue,--max-waiting", server.queue, "requests that may wait beside them")
      ->check(CLI::Range(int64_t{0}, kMostWaiting));
  command
      .add_option("--context", server.engine.context,
                  "maximum tokens of a request, its answer included; 0: the model's maximum")
      ->check(CLI::Range(int64_t{0}, kMostCount));
  command
      .add_option("--prefill-tokens", server.engine.prefill_tokens,
                  "tokens of prompts in one step, at most")
      ->check(CLI::Range(int64_t{2}, kMostCount));
  server.engine.kept_tokens = -1;
  command
      .add_option("--keep-prefixes", server.engine.kept_tokens,
                  "tokens of earlier prompts kept for later ones that begin alike; -1: as many as "
                  "the cache has room for")
      ->check(CLI::Range(int64_t{-1}, kMostCount));
}

}  // namespace

void AddServe(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("serve", "Serve a model over HTTP: the APIs of OpenAI, Anthropic, Ollama");
  auto flags = std::make_shared<ServeFlags>();
  command
      ->add_option("model", flags->model,
                   "Hugging Face folder, GGUF file, or folder of a run or adapter")
      ->required();
  flags->adapter.Add(*command);
  command->add_flag("--allow-reload", flags->server.reload.for_clients,
                    "let clients have the model's files read again, as SIGHUP does");
  flags->grammar.Add(*command);
  flags->draft.Add(*command);
  flags->drift.Add(*command);
  flags->listen.Add(*command);
  AddLog(*command, flags->server.log);
  command->add_flag("!--no-page", flags->server.page, "no chat page at /");
  command->add_option("--name", flags->name,
                      "what the API calls the model; the file's name unless given");
  command->add_option("--template", flags->chat_template,
                      "chat template; auto: the adapter's or model's own");
  AddEngine(*command, flags->server);
  flags->compute.Add(*command, true);
  command->callback([flags] {
    flags->adapter.Sort();
    Serve(*flags);
  });
}

}  // namespace retort
