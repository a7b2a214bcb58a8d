// SPDX-License-Identifier: Apache-2.0
// An HTTP server for one model and adapters on it, with the APIs of OpenAI, Anthropic, Ollama and
// llama.cpp. docs/serving.md is its contract.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runner/drift/drift_watch.h"
#include "runner/http/server.h"
#include "runner/server/api_keys.h"
#include "runner/server/request_log.h"
#include "runner/service/served_model.h"

namespace retort {

struct ServerOptions : ServiceOptions {
  HttpOptions http;
  bool page = true;          // the one at /
  std::vector<ApiKey> keys;  // of the clients; empty: none is required
  RequestLogOptions log;
  DriftOptions drift;
};

struct ServerState;

class Server {
 public:
  // Starts to listen. Throws what the constructors of HttpServer and Engine throw, and what opening
  // adapters throws. The model must outlive the server, unless it has an owner, which is given back
  // when it has been replaced; and nothing else may use its backend in that time.
  Server(ServedModel model, const ServerOptions& options,
         std::shared_ptr<const void> owner = nullptr);
  ~Server();

  int port() const;
  std::vector<std::string> urls() const;
  bool loopback() const;
  int64_t context() const;      // maximum tokens of a request, including its answer
  EngineCounts counts() const;  // any thread
  bool Run();                   // until stopped; false: stopped twice, so it ended at once
  void Stop();                  // any thread; see HttpServer

 private:
  std::unique_ptr<ServerState> state_;
};

}  // namespace retort
