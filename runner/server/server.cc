// SPDX-License-Identifier: Apache-2.0
#include "runner/server/server.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/random_text.h"
#include "runner/api/error.h"
#include "runner/api/openai/answer.h"
#include "runner/server/state.h"

namespace retort {
namespace {

constexpr int64_t kSpareConnections = 512;  // beside those whose requests run or wait

// With enough connections for all requests that may run or wait.
HttpOptions HttpOf(const ServerOptions& options, std::function<void()> reload) {
  HttpOptions http = options.http;
  if (options.reload.open) http.on_hangup = std::move(reload);
  const int64_t needed = options.engine.parallel + options.queue + kSpareConnections;
  if (http.connections == HttpOptions().connections)
    http.connections = static_cast<int>(std::clamp<int64_t>(needed, http.connections, 65536));
  return http;
}

ServerOptions Watched(ServerOptions options) {
  options.watched = options.drift.on();
  return options;
}

}  // namespace

HttpAnswer JsonAnswer(const Json& value) {
  HttpAnswer answer;
  answer.body = DumpJson(value);
  return answer;
}

ServerState::ServerState(ServedModel model, const ServerOptions& given,
                         std::shared_ptr<const void> owner)
    : options(Watched(given)),
      records(given, model.name,
              [this](std::function<void()> job) { work.Post(true, std::move(job)); }),
      http(HttpOf(given, [this] { Reload(nullptr); }),
           {[this](const HttpHead& head) { return Judge(head); },
            [this](const auto& request, const auto& exchange) { Accept(request, exchange); },
            [](int status, const std::string& message, std::string_view path) {
              return ErrorBodyOf(DialectOf(path), ApiError(status, message));
            }}),
      current(std::move(model), options, std::move(owner)),
      info(current, options) {}

std::optional<HttpAnswer> ServerState::Judge(const HttpHead& head) {
  std::string_view name = "none";
  std::optional<HttpAnswer> answer;
  try {
    const Route route = FindRoute(head);
    name = route.endpoint->name;
    if (head.method == "OPTIONS") return HttpAnswer{204, "", "", {{"Allow", route.allowed}}};
    if (route.endpoint->access == Access::kWithKey) records.keys.Find(KeyOf(head));
    answer = Answer(head, route);
  } catch (const ApiError& e) {
    answer = ErrorAnswer(e, ErrorBodyOf(DialectOf(head.path), e));
  }
  if (answer) records.metrics.Count(std::string(name), answer->status);
  return answer;
}

// Nullopt: the request's body is needed first.
std::optional<HttpAnswer> ServerState::Answer(const HttpHead& head, const Route& route) const {
  const Endpoint& endpoint = *route.endpoint;
  if (const auto* const handle = std::get_if<HeadHandler>(&endpoint.handler))
    return (*handle)(*this, head, route.rest);
  CheckMediaType(head);
  if (endpoint.work == Work::kEngine && current.Get()->full()) throw QueueFull();
  return std::nullopt;
}

void ServerState::Accept(const std::shared_ptr<HttpRequest>& request,
                         const std::shared_ptr<HttpExchange>& exchange) {
  const auto pending = std::make_shared<PendingRequest>(
      PendingRequest{FindRoute(request->head), request, exchange, random(), NewId()});
  const Endpoint& endpoint = *pending->route.endpoint;
  AnsweredRequest& answered = *pending->answered;
  try {
    answered.key = records.keys.Find(KeyOf(request->head));
    answered.logged.id = request->id;
    answered.logged.draw = random();
    answered.logged.key = records.keys.NameOf(answered.key);
    answered.logged.endpoint = endpoint.name;
    if (endpoint.work == Work::kEngine) {
      pending->place = current.Get()->TakePlace();
      if (!pending->place) throw QueueFull();
      answered.admission = records.keys.Admit(answered.key, answered.begun);
    }
  } catch (const ApiError& e) {
    return Refuse(*pending, e);
  }
  const bool is_long = request->body.size() > kLongBody || endpoint.work == Work::kFiles;
  work.Post(is_long, [this, pending] { Read(pending); });
}

std::string ServerState::NewId() { return RandomText(random, kLettersAndDigits, 24); }

Server::Server(ServedModel model, const ServerOptions& options, std::shared_ptr<const void> owner)
    : state_(std::make_unique<ServerState>(std::move(model), options, std::move(owner))) {}
Server::~Server() = default;

int Server::port() const { return state_->http.port(); }
std::vector<std::string> Server::urls() const { return state_->http.urls(); }
bool Server::loopback() const { return state_->http.loopback(); }
int64_t Server::context() const { return state_->current.Get()->context(); }
EngineCounts Server::counts() const { return state_->current.counts(); }
bool Server::Run() {
  const bool in_order = state_->http.Run();
  state_->records.drift.Finish();
  return in_order;
}
void Server::Stop() { state_->http.Stop(); }

}  // namespace retort
