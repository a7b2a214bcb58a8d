// SPDX-License-Identifier: Apache-2.0
#include "runner/server.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <random>

#include "base/error.h"
#include "base/json.h"
#include "base/random.h"
#include "runner/model_service.h"
#include "runner/openai_answer.h"
#include "runner/server_routes.h"
#include "runner/work_queue.h"

namespace retort {
namespace {

using ExchangePtr = std::shared_ptr<HttpExchange>;

constexpr size_t kLongBody = 32 << 10;      // bytes; reading and tokenising more takes milliseconds
constexpr int64_t kSpareConnections = 512;  // beside those whose requests run or wait

HttpAnswer JsonAnswer(const Json& value) {
  HttpAnswer answer;
  answer.body = DumpJson(value);
  return answer;
}

// Enough connections for all requests that may run or wait.
HttpOptions WithConnections(const ServerOptions& options) {
  HttpOptions http = options.http;
  const int64_t needed = options.engine.parallel + options.queue + kSpareConnections;
  if (http.connections == HttpOptions().connections)
    http.connections = static_cast<int>(std::clamp<int64_t>(needed, http.connections, 65536));
  return http;
}

int64_t SecondsSince1970() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// The same for every server of the same model by the same program.
std::string FingerprintOf(const ServedModel& model, const std::string& version) {
  const Architecture& config = model.model.config;
  const std::string of = Cat(version, " ", model.name, " ", config.vocab, " ", config.width, " ",
                             NameOf(model.model.compute()), " ", model.adapter != nullptr);
  char digits[24];
  std::snprintf(digits, sizeof digits, "fp_%016llx", static_cast<unsigned long long>(NameKey(of)));
  return digits;
}

// A complete request, on its way to the engine.
struct PendingRequest {
  Endpoint endpoint;
  std::shared_ptr<HttpRequest> http;
  ExchangePtr exchange;
  std::unique_ptr<ServerPlaces> place;
  uint64_t seed;
  std::string id;
};

}  // namespace

struct Server::State {
  State(ServedModel m, const ServerOptions& o)
      : options(o),
        fingerprint(FingerprintOf(m, o.version)),
        http(WithConnections(o),
             {[this](const HttpHead& head) { return Judge(head); },
              [this](const auto& request, const auto& exchange) { Accept(request, exchange); },
              [](int status, const std::string& message) {
                return ApiErrorBody(ApiError(status, message));
              }}),
        service(std::move(m), options) {}

  // On the server's thread.
  std::optional<HttpAnswer> Judge(const HttpHead& head);
  std::optional<HttpAnswer> Answer(const HttpHead& head, const Route& route);
  void Accept(const std::shared_ptr<HttpRequest>& request, const ExchangePtr& exchange);
  std::string NewId();
  // On a thread of `work`.
  void Read(PendingRequest& pending);
  void Submit(PendingRequest& pending);

  Json Health() const;
  Json ModelJson() const;

  const ServerOptions options;
  const std::string fingerprint;
  const int64_t started = SecondsSince1970();
  // For seeds and ids; nothing that must be secret.
  std::mt19937_64 random{std::random_device{}()};
  HttpServer http;
  ModelService service;  // destroyed before http, which its final answers still use
  WorkQueue work;        // destroyed first: its jobs use all of the above
};

std::optional<HttpAnswer> Server::State::Judge(const HttpHead& head) {
  try {
    const Route route = FindRoute(head);
    if (head.method == "OPTIONS") return HttpAnswer{204, "", "", {{"Allow", route.allowed}}};
    if (route.endpoint != Endpoint::kHealth) CheckKey(head, options.api_key);
    return Answer(head, route);
  } catch (const ApiError& e) {
    return ErrorAnswer(e, ApiErrorBody(e));
  }
}

// Nullopt: the request's body is needed first.
std::optional<HttpAnswer> Server::State::Answer(const HttpHead& head, const Route& route) {
  switch (route.endpoint) {
    case Endpoint::kHealth:
      return JsonAnswer(Health());
    case Endpoint::kModels:
      return JsonAnswer({{"object", "list"}, {"data", Json::array({ModelJson()})}});
    case Endpoint::kModel:
      service.CheckModel(route.model);
      return JsonAnswer(ModelJson());
    case Endpoint::kChat:
    case Endpoint::kCompletion:
      CheckMediaType(head);
      if (service.full()) throw QueueFull();
  }
  return std::nullopt;
}

void Server::State::Accept(const std::shared_ptr<HttpRequest>& request,
                           const ExchangePtr& exchange) {
  auto place = service.TakePlace();
  if (!place) {
    const ApiError full = QueueFull();
    return exchange->Answer(ErrorAnswer(full, ApiErrorBody(full)));
  }
  const auto pending = std::make_shared<PendingRequest>(PendingRequest{
      FindRoute(request->head).endpoint, request, exchange, std::move(place), random(), NewId()});
  work.Post(request->body.size() > kLongBody, [this, pending] { Read(*pending); });
}

void Server::State::Read(PendingRequest& pending) {
  if (pending.exchange->gone()) return;
  const auto refuse = [&](const ApiError& error) {
    pending.place.reset();
    pending.exchange->Answer(ErrorAnswer(error, ApiErrorBody(error)));
  };
  try {
    Submit(pending);
  } catch (const ApiError& e) {
    refuse(e);
  } catch (const std::exception& e) {
    refuse(ApiError(500, e.what()));
  }
}

void Server::State::Submit(PendingRequest& pending) {
  const ApiKind kind = pending.endpoint == Endpoint::kChat ? ApiKind::kChat : ApiKind::kCompletion;
  ServiceJob job;
  job.request = ReadApiRequest(kind, pending.http->body, pending.seed);
  pending.http.reset();  // its body's memory
  job.writer = OpenAiWriter({pending.id, SecondsSince1970(), service.model().name, fingerprint},
                            job.request, service.model().tokenizer);
  job.exchange = pending.exchange;
  job.places = std::move(pending.place);
  job.seed = pending.seed;
  service.Submit(std::move(job));
}

std::string Server::State::NewId() {
  static constexpr char kDigits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
  std::string id;
  for (int i = 0; i < 24; ++i) id += kDigits[random() % 36];
  return id;
}

Json Server::State::Health() const {
  const EngineCounts counts = service.counts();
  return {{"status", "ok"},
          {"running", counts.live},
          {"queued", counts.queued},
          {"cached_tokens", counts.cached_tokens},
          {"cache_capacity", counts.cache_capacity}};
}

Json Server::State::ModelJson() const {
  return {{"id", service.model().name},
          {"object", "model"},
          {"created", started},
          {"owned_by", "retort"}};
}

Server::Server(ServedModel model, const ServerOptions& options)
    : state_(std::make_unique<State>(std::move(model), options)) {}
Server::~Server() = default;

int Server::port() const { return state_->http.port(); }
std::string Server::url() const { return state_->http.url(); }
bool Server::loopback() const { return state_->http.loopback(); }
int64_t Server::context() const { return state_->service.context(); }
EngineCounts Server::counts() const { return state_->service.counts(); }
bool Server::Run() { return state_->http.Run(); }
void Server::Stop() { state_->http.Stop(); }

}  // namespace retort
