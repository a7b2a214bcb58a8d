// SPDX-License-Identifier: Apache-2.0
// What a server is made of. server.cc has what its own thread does, up to a request's body, and
// bodies.cc what becomes of that.
#pragma once

#include <memory>
#include <optional>
#include <random>
#include <string>

#include "runner/api/error.h"
#include "runner/server/dialects.h"
#include "runner/server/info.h"
#include "runner/server/records.h"
#include "runner/server/work_queue.h"
#include "runner/service/current_model.h"

namespace retort {

// Bytes; reading and tokenising more takes milliseconds.
inline constexpr size_t kLongBody = 32 << 10;

HttpAnswer JsonAnswer(const Json& value);

// A complete request, on its way to its answer.
struct PendingRequest {
  Route route;
  std::shared_ptr<HttpRequest> http;
  std::shared_ptr<HttpExchange> exchange;
  uint64_t seed;
  std::string answer_id;
  std::shared_ptr<AnsweredRequest> answered = std::make_shared<AnsweredRequest>();
  std::unique_ptr<ServerPlaces> place = nullptr;  // of one for the engine
};

struct ServerState {
  ServerState(ServedModel model, const ServerOptions& given, std::shared_ptr<const void> owner);
  // The jobs of `work` use all members, and what ends with these may post to it.
  ~ServerState() { work.Stop(); }

  // On the server's thread.
  std::optional<HttpAnswer> Judge(const HttpHead& head);
  std::optional<HttpAnswer> Answer(const HttpHead& head, const Route& route) const;
  void Accept(const std::shared_ptr<HttpRequest>& request,
              const std::shared_ptr<HttpExchange>& exchange);
  std::string NewId();
  // Reads the model again, for a client, if there is one.
  void Reload(const std::shared_ptr<PendingRequest>& pending);
  // On a thread of `work`.
  void Read(const std::shared_ptr<PendingRequest>& request);
  void TellReload(PendingRequest& pending, const ReloadOutcome& outcome);
  void Finish(PendingRequest& pending, const Json& answer);
  void Refuse(PendingRequest& pending, const ApiError& error);
  void Submit(PendingRequest& pending, JobReader read);
  void Start(PendingRequest& pending);  // a program
  std::function<void(const ReplyOutcome& outcome)> AtEndOf(const PendingRequest& pending);

  const ServerOptions options;
  // For seeds and ids; nothing that must be secret.
  std::mt19937_64 random{std::random_device{}()};
  ServerRecords records;
  WorkQueue work;
  HttpServer http;
  CurrentModel current;  // destroyed before http, which its final answers still use
  ServerInfo info;
};

}  // namespace retort
