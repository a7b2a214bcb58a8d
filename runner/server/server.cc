// SPDX-License-Identifier: Apache-2.0
#include "runner/server/server.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "runner/api/error.h"
#include "runner/api/openai/answer.h"
#include "runner/program/program_run.h"
#include "runner/server/adapter_endpoints.h"
#include "runner/server/dialects.h"
#include "runner/server/info.h"
#include "runner/server/page.h"
#include "runner/server/records.h"
#include "runner/server/reload_endpoint.h"
#include "runner/server/token_endpoints.h"
#include "runner/server/work_queue.h"
#include "runner/service/current_model.h"

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

// A complete request, on its way to its answer.
struct PendingRequest {
  Route route;
  Dialect dialect;
  std::shared_ptr<HttpRequest> http;
  ExchangePtr exchange;
  uint64_t seed;
  std::string answer_id;
  std::shared_ptr<AnsweredRequest> answered = std::make_shared<AnsweredRequest>();
  std::unique_ptr<ServerPlaces> place = nullptr;  // of one for the engine
};

}  // namespace

struct Server::State {
  State(ServedModel m, const ServerOptions& o)
      : options(Watched(o)),
        records(o, m.name, [this](std::function<void()> job) { work.Post(true, std::move(job)); }),
        http(HttpOf(o, [this] { Reload(nullptr); }),
             {[this](const HttpHead& head) { return Judge(head); },
              [this](const auto& request, const auto& exchange) { Accept(request, exchange); },
              [](int status, const std::string& message, std::string_view path) {
                return ErrorBodyOf(DialectOf(path), ApiError(status, message));
              }}),
        current(std::move(m), options),
        info(current, options) {}
  // Its jobs use all of the above, and what ends with that may post to it.
  ~State() { work.Stop(); }

  // On the server's thread.
  std::optional<HttpAnswer> Judge(const HttpHead& head);
  std::optional<HttpAnswer> Answer(const HttpHead& head, const Route& route);
  void Accept(const std::shared_ptr<HttpRequest>& request, const ExchangePtr& exchange);
  std::string NewId();
  // Reads the model again, for a client, if there is one.
  void Reload(const std::shared_ptr<PendingRequest>& pending);
  // On a thread of `work`.
  void Read(const std::shared_ptr<PendingRequest>& request);
  void TellReload(PendingRequest& pending, const ReloadOutcome& outcome);
  void Finish(PendingRequest& pending, const Json& answer);
  void Refuse(PendingRequest& pending, const ApiError& error);
  void Submit(PendingRequest& pending);
  void Start(PendingRequest& pending);  // a program
  std::function<void(const ReplyOutcome& outcome)> AtEndOf(const PendingRequest& pending);
  Json AnswerFromBody(const PendingRequest& pending);
  Json ChangeAdapters(const PendingRequest& pending);
  HttpAnswer Ready() const;

  const ServerOptions options;
  // For seeds and ids; nothing that must be secret.
  std::mt19937_64 random{std::random_device{}()};
  ServerRecords records;
  WorkQueue work;
  HttpServer http;
  CurrentModel current;  // destroyed before http, which its final answers still use
  ServerInfo info;
};

std::optional<HttpAnswer> Server::State::Judge(const HttpHead& head) {
  std::string_view name = "none";
  std::optional<HttpAnswer> answer;
  try {
    const Route route = FindRoute(head);
    name = route.name;
    if (head.method == "OPTIONS") return HttpAnswer{204, "", "", {{"Allow", route.allowed}}};
    if (!route.open) records.keys.Find(KeyOf(head));
    answer = Answer(head, route);
  } catch (const ApiError& e) {
    answer = ErrorAnswer(e, ErrorBodyOf(DialectOf(head.path), e));
  }
  if (answer) records.metrics.Count(std::string(name), answer->status);
  return answer;
}

// Nullopt: the request's body is needed first.
std::optional<HttpAnswer> Server::State::Answer(const HttpHead& head, const Route& route) {
  switch (route.endpoint) {
    case Endpoint::kPage:
      if (!options.page) throw NoSuchPath(head.path);
      return PageAnswer();
    case Endpoint::kHealth:
      return JsonAnswer(info.Health());
    case Endpoint::kLive:
      return JsonAnswer({{"status", "ok"}});
    case Endpoint::kReady:
      return Ready();
    case Endpoint::kMetrics:
      return HttpAnswer{200,
                        records.metrics.Text(current.counts()) + records.drift.Text(),
                        "text/plain; version=0.0.4; charset=utf-8",
                        {}};
    case Endpoint::kModels:
      return JsonAnswer(info.Models());
    case Endpoint::kModel:
      return JsonAnswer(info.Model(route.model));
    case Endpoint::kProps:
      return JsonAnswer(info.Props());
    case Endpoint::kSlots:
      return JsonAnswer(info.Slots(!QueryValue(head, "fail_on_no_slot").empty()));
    case Endpoint::kVersion:
      return JsonAnswer(info.Version());
    case Endpoint::kOllamaTags:
      return JsonAnswer(info.Tags());
    default:
      CheckMediaType(head);
      if (IsForEngine(route.endpoint) && current.Get()->full()) throw QueueFull();
  }
  return std::nullopt;
}

// Not ready: another request would be refused.
HttpAnswer Server::State::Ready() const {
  const bool full = current.Get()->full();
  HttpAnswer answer = JsonAnswer({{"status", full ? "full" : "ok"}});
  if (full) answer.status = 503;
  return answer;
}

void Server::State::Accept(const std::shared_ptr<HttpRequest>& request,
                           const ExchangePtr& exchange) {
  const auto pending = std::make_shared<PendingRequest>(
      PendingRequest{FindRoute(request->head), DialectOf(request->head.path), request, exchange,
                     random(), NewId()});
  AnsweredRequest& answered = *pending->answered;
  try {
    answered.key = records.keys.Find(KeyOf(request->head));
    answered.logged.id = request->id;
    answered.logged.draw = random();
    answered.logged.key = records.keys.NameOf(answered.key);
    answered.logged.endpoint = pending->route.name;
    if (IsForEngine(pending->route.endpoint)) {
      pending->place = current.Get()->TakePlace();
      if (!pending->place) throw QueueFull();
      answered.admission = records.keys.Admit(answered.key, answered.begun);
    }
  } catch (const ApiError& e) {
    return Refuse(*pending, e);
  }
  const bool is_long = request->body.size() > kLongBody || ReadsFiles(pending->route.endpoint);
  work.Post(is_long, [this, pending] { Read(pending); });
}

void Server::State::Refuse(PendingRequest& pending, const ApiError& error) {
  pending.place.reset();
  records.Ended(*pending.answered, {error.status, error.what(), {}, 0});
  pending.exchange->Answer(ErrorAnswer(error, ErrorBodyOf(pending.dialect, error)));
}

void Server::State::Finish(PendingRequest& pending, const Json& answer) {
  records.Ended(*pending.answered, {200, "", {}, 0});
  pending.exchange->Answer(JsonAnswer(answer));
}

void Server::State::Read(const std::shared_ptr<PendingRequest>& request) {
  PendingRequest& pending = *request;
  if (pending.exchange->gone()) {
    pending.place.reset();
    return records.Ended(*pending.answered, {kClientClosed, "the client has gone", {}, 0});
  }
  try {
    if (pending.route.endpoint == Endpoint::kPrograms) return Start(pending);
    if (IsForEngine(pending.route.endpoint)) return Submit(pending);
    if (pending.route.endpoint == Endpoint::kReload) {
      CheckReload(options.reload, pending.http->body);
      return Reload(request);
    }
    Finish(pending, AnswerFromBody(pending));
  } catch (const ApiError& e) {
    Refuse(pending, e);
  } catch (const std::exception& e) {
    Refuse(pending, ApiError(500, e.what()));
  }
}

void Server::State::Reload(const std::shared_ptr<PendingRequest>& pending) {
  current.Reload([this, pending](const ReloadOutcome& outcome) {
    work.Post(false, [this, pending, outcome] {
      if (pending) TellReload(*pending, outcome);
      options.reload.on_reload(NoteOf(outcome, current.Get()->model().name));
    });
  });
}

void Server::State::TellReload(PendingRequest& pending, const ReloadOutcome& outcome) {
  if (outcome.kind == ReloadOutcome::Kind::kFailed)
    return Refuse(pending, ApiError(500, "the model is kept as it was: " + outcome.fault));
  Json answer = info.Model(std::nullopt);
  answer["reloaded"] = outcome.kind == ReloadOutcome::Kind::kReplaced;
  Finish(pending, answer);
}

Json Server::State::AnswerFromBody(const PendingRequest& pending) {
  const std::string& body = pending.http->body;
  const CurrentModel::Lease lease = current.Get();
  ModelService& service = *lease;
  switch (pending.route.endpoint) {
    case Endpoint::kTokenize:
      return Tokenize(service, body);
    case Endpoint::kDetokenize:
      return Detokenize(service, body);
    case Endpoint::kApplyTemplate:
      return ApplyTemplate(service, body);
    case Endpoint::kCountTokens:
      return CountTokens(service, body);
    case Endpoint::kCountChatTokens:
      return CountChatTokens(service, body);
    case Endpoint::kOllamaShow:
      return info.Show(body);
    case Endpoint::kLoadAdapter:
    case Endpoint::kUnloadAdapter:
      return ChangeAdapters(pending);
    default:
      throw Failure("an endpoint that needs no body");
  }
}

Json Server::State::ChangeAdapters(const PendingRequest& pending) {
  const auto held = current.HoldAdapters();
  const CurrentModel::Lease service = current.Get();
  const std::string& body = pending.http->body;
  if (pending.route.endpoint == Endpoint::kUnloadAdapter)
    return UnloadAdapter(*service, options.adapters.root, body);
  return info.Model(LoadAdapter(*service, options.adapters.root, body)->name());
}

void Server::State::Submit(PendingRequest& pending) {
  ServiceJob job;
  job.service = current.Get();
  ModelService& service = *job.service;
  job.seed = pending.seed;
  job.since = pending.answered->begun;
  const ApiAnswerHead head{pending.answer_id, SecondsSince1970(), {}, {}};
  ReadJob(pending.route.endpoint, pending.http->body, head, service, job);
  pending.http.reset();  // its body's memory
  job.exchange = pending.exchange;
  job.places = std::move(pending.place);
  LoggedRequest& logged = pending.answered->logged;
  logged.model = job.request.model.value_or(service.model().name);
  logged.stream = job.request.stream;
  if (records.log.has_text()) logged.prompt = PromptText(job.request);
  job.on_end = AtEndOf(pending);
  service.Submit(std::move(job));
}

void Server::State::Start(PendingRequest& pending) {
  const bool is_long = pending.http->body.size() > kLongBody;
  ProgramJob job;
  job.service = current.Get();
  const ModelService& service = *job.service;
  job.program = ReadProgram(pending.http->body, pending.seed, service.context());
  job.variant = service.Find(job.program.model);
  job.head = {pending.answer_id, SecondsSince1970(), job.variant->name(),
              job.variant->fingerprint()};
  job.exchange = pending.exchange;
  job.places = std::move(pending.place);
  job.since = pending.answered->begun;
  job.on_end = AtEndOf(pending);
  job.post = [this, is_long](std::function<void()> next) { work.Post(is_long, std::move(next)); };
  LoggedRequest& logged = pending.answered->logged;
  logged.model = job.variant->name();
  if (records.log.has_text()) {
    logged.prompt = job.program.is_chat ? PromptText(job.program.chat) : BeginningText(job.program);
  }
  StartProgram(std::move(job));
}

std::function<void(const ReplyOutcome& outcome)> Server::State::AtEndOf(
    const PendingRequest& pending) {
  return [this, answered = pending.answered](const ReplyOutcome& outcome) {
    records.Ended(*answered, outcome);
  };
}

std::string Server::State::NewId() {
  static constexpr char kDigits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
  std::string id;
  for (int i = 0; i < 24; ++i) id += kDigits[random() % 36];
  return id;
}

Server::Server(ServedModel model, const ServerOptions& options)
    : state_(std::make_unique<State>(std::move(model), options)) {}
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
