// SPDX-License-Identifier: Apache-2.0
// What a service answers for: a model, what its answers are held to, and the adapters beside it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "grammar/compile.h"
#include "model/model.h"
#include "runner/engine/engine.h"
#include "template/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace retort {

struct ServedModel {
  const Model& model;
  const Adapter* adapter;  // may be null
  const Tokenizer& tokenizer;
  std::string name;  // in the API
  // Without a template, chat requests are answered with status 400 and the message `no_chat`;
  // completions still work.
  std::optional<ChatTemplate> chat;
  std::string no_chat;
};

// What answers are held to whose requests say nothing of it and have no tools, and where that is
// said.
struct AnswerRule {
  std::optional<GrammarSource> grammar;
  std::string where;
};

// An adapter's folder as far as it is read before its tensors are.
struct AdapterOffer {
  std::optional<ChatTemplate> chat;  // as in ServedModel
  std::string no_chat;
  AnswerRule rule;
  // Called once, on the engine's thread: it takes memory of the model's backend.
  std::function<std::unique_ptr<const Adapter>()> load;
};

// Adapters beside the served model, which requests name as they name a model.
struct AdapterOptions {
  // Reads a folder. Throws Error{kInput} if it is not an adapter of the served model. Any thread.
  std::function<AdapterOffer(const Path& folder)> open;
  std::vector<std::pair<std::string, Path>> loaded;  // name and folder, at the start
  Path root;  // the folder whose adapters clients may load and unload; "": they may not
};

// A served model whose files have been read again.
struct ReopenedModel {
  ServedModel model;
  EngineOptions engine;
  AnswerRule rule;
  AdapterOptions adapters;            // `loaded` is not used: those that are served then are opened
  std::shared_ptr<const void> owner;  // of what all this refers to
};

// How the served model is replaced while the server runs. Both functions are called on one thread.
struct ReloadOptions {
  // Reads its files again, with a backend of its own. Empty: there is no reloading.
  std::function<ReopenedModel()> open;
  // Of the files as they are, and of those in the folders of the adapters that are served now:
  // another text if one has changed. And of the served model's as they were before they were read.
  std::function<std::string(std::vector<Path> adapters)> stamp;
  std::string opened;
  bool for_clients = false;  // by POST /v1/reload too, not by SIGHUP alone
  // Told what came of it, in a line.
  std::function<void(const std::string& note)> on_reload = [](const std::string&) {};
};

struct ServiceOptions {
  EngineOptions engine;
  AnswerRule rule;  // of the served model
  AdapterOptions adapters;
  ReloadOptions reload;
  JsonSpace json_space = JsonSpace::kCompact;  // in JSON that a request asks for
  int64_t queue = 64;    // maximum number of waiting requests; more get status 429
  bool watched = false;  // answers tell their watched tokens (GenerationRequest)
  std::string version;   // of the program, for clients
  int64_t reading = 0;   // how often the model's files were read before
};

}  // namespace retort
