// SPDX-License-Identifier: Apache-2.0
// An HTTP server that speaks OpenAI's API for one model: chat and text completions, whole or
// streamed, many at a time. docs/serving.md is its contract.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "runner/engine.h"
#include "runner/http_server.h"
#include "template/chat_template.h"

namespace retort {

struct ServedModel {
  const Model& model;
  const Adapter* adapter;  // may be null
  const Tokenizer& tokenizer;
  std::string name;  // what the API calls it
  // Without one, chat requests are answered with 400 and `no_chat`; completions work.
  std::optional<ChatTemplate> chat;
  std::string no_chat;
};

struct ServerOptions {
  HttpOptions http;
  EngineOptions engine;
  int64_t queue = 64;   // requests that may wait beside those that run
  std::string api_key;  // empty: anyone may ask
};

class Server {
 public:
  // Listens from here on; what it throws, HttpServer and Engine throw. The model must outlive it,
  // and nobody else may use its backend meanwhile.
  Server(ServedModel model, const ServerOptions& options);
  ~Server();

  int port() const;
  std::string url() const;
  bool loopback() const;
  int64_t context() const;      // most tokens of a request, its answer included
  EngineCounts counts() const;  // any thread
  void Run();                   // until stopped
  void Stop();                  // any thread; see HttpServer

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace retort
