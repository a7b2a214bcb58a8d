// SPDX-License-Identifier: Apache-2.0
#include "runner/server.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <nlohmann/json.hpp>
#include <random>

#include "base/error.h"
#include "base/json.h"
#include "runner/chat_answer.h"
#include "runner/engine_thread.h"
#include "runner/grammar_cache.h"
#include "runner/openai_answer.h"
#include "runner/openai_request.h"
#include "runner/server_prompt.h"
#include "runner/server_reply.h"
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

// As OpenAI's API says it. The same for every name that is not served.
ApiError NoModel(const std::string& name, const std::string& served) {
  return ApiError(404,
                  Cat("there is no model '", Shortened(name), "'; this server has '", served, "'"),
                  "model", "model_not_found");
}

ApiError QueueFull() {
  return ApiError(429, "too many requests are waiting; try again later", "", "queue_full");
}

EngineOptions Paced(EngineOptions options) {
  options.paced = true;
  return options;
}

// Enough connections for all requests that may run or wait.
HttpOptions WithConnections(const ServerOptions& options) {
  HttpOptions http = options.http;
  const int64_t needed = options.engine.parallel + options.queue + kSpareConnections;
  if (http.connections == HttpOptions().connections)
    http.connections = static_cast<int>(std::clamp<int64_t>(needed, http.connections, 65536));
  return http;
}

// A complete request, on its way to the engine.
struct PendingRequest {
  ApiKind kind;
  std::shared_ptr<HttpRequest> http;
  ExchangePtr exchange;
  std::unique_ptr<ServerPlace> place;
  uint64_t seed;
  std::string id;
};

}  // namespace

struct Server::State {
  State(ServedModel m, const ServerOptions& o)
      : model(std::move(m)),
        options(o),
        engine(model.model, model.adapter, model.tokenizer, Paced(o.engine)),
        prompts(model, engine.context()),
        grammars(model.tokenizer),
        http(WithConnections(o),
             {[this](const HttpHead& head) { return Judge(head); },
              [this](const auto& request, const auto& exchange) { Accept(request, exchange); },
              [](int status, const std::string& message) {
                return ApiErrorBody(ApiError(status, message));
              }}),
        // A request gives its place back just before its last event ends in the engine.
        thread(engine, places() + o.engine.parallel) {
    if (options.grammar) grammars.Get(*options.grammar, options.grammar_where);
    if (!model.chat) return;
    end_of_turn = model.chat->CheckMarks(model.tokenizer, model.name);
    answers.emplace(*model.chat, model.tokenizer);
  }

  int64_t places() const { return options.engine.parallel + options.queue; }

  // On the server's thread.
  std::optional<HttpAnswer> Judge(const HttpHead& head);
  std::optional<HttpAnswer> Answer(const HttpHead& head, const Route& route);
  void Accept(const std::shared_ptr<HttpRequest>& request, const ExchangePtr& exchange);
  std::string NewId(ApiKind kind);
  // On a thread of `work`.
  void Read(PendingRequest& pending);
  void Submit(PendingRequest& pending);
  // What the request's answer is held to. Throws ApiError if it cannot be compiled.
  std::shared_ptr<const Grammar> GrammarOf(const ApiRequest& read, ApiKind kind);

  Json Health() const;
  Json ModelJson() const;

  const ServedModel model;
  const ServerOptions options;
  const int64_t started = Now();
  int32_t end_of_turn = -1;
  std::optional<ChatAnswers> answers;  // if there is a template
  // For seeds and ids; nothing that must be secret.
  std::mt19937_64 random{std::random_device{}()};
  std::atomic<int64_t> taken_places{0};
  Engine engine;
  PromptReader prompts;
  GrammarCache grammars;
  HttpServer http;
  EngineThread thread;  // destroyed before http, which its final answers still use
  WorkQueue work;       // destroyed first: its jobs use all of the above

  static int64_t Now() {
    return std::chrono::duration_cast<std::chrono::seconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
};

std::optional<HttpAnswer> Server::State::Judge(const HttpHead& head) {
  try {
    const Route route = FindRoute(head);
    if (head.method == "OPTIONS") return HttpAnswer{204, "", "", {{"Allow", route.allowed}}};
    if (route.endpoint != Endpoint::kHealth) CheckKey(head, options.api_key);
    return Answer(head, route);
  } catch (const ApiError& e) {
    return ErrorAnswer(e);
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
      if (route.model != model.name) throw NoModel(route.model, model.name);
      return JsonAnswer(ModelJson());
    case Endpoint::kChat:
    case Endpoint::kCompletion:
      CheckMediaType(head);
      if (taken_places >= places()) throw QueueFull();
  }
  return std::nullopt;
}

void Server::State::Accept(const std::shared_ptr<HttpRequest>& request,
                           const ExchangePtr& exchange) {
  auto place = ServerPlace::Take(taken_places, places());
  if (!place) return exchange->Answer(ErrorAnswer(QueueFull()));
  const ApiKind kind =
      FindRoute(request->head).endpoint == Endpoint::kChat ? ApiKind::kChat : ApiKind::kCompletion;
  const auto pending = std::make_shared<PendingRequest>(
      PendingRequest{kind, request, exchange, std::move(place), random(), NewId(kind)});
  work.Post(request->body.size() > kLongBody, [this, pending] { Read(*pending); });
}

void Server::State::Read(PendingRequest& pending) {
  if (pending.exchange->gone()) return;
  try {
    Submit(pending);
  } catch (const ApiError& e) {
    pending.place.reset();
    pending.exchange->Answer(ErrorAnswer(e));
  } catch (const std::exception& e) {
    pending.place.reset();
    pending.exchange->Answer(ErrorAnswer(ApiError(500, e.what())));
  }
}

void Server::State::Submit(PendingRequest& pending) {
  ApiRequest read = ReadApiRequest(pending.kind, pending.http->body, pending.seed);
  pending.http.reset();  // its body's memory
  if (read.model && *read.model != model.name) throw NoModel(*read.model, model.name);
  GenerationRequest generation;
  if (answers) answers->PlaceEarlierThoughts(read.messages);
  generation.prompt = prompts.Read(read);
  generation.sampling = read.sampling;
  generation.constraint.grammar = GrammarOf(read, pending.kind);
  std::unique_ptr<AnswerParser> parser;
  if (pending.kind == ApiKind::kChat) {
    generation.sampling.stop_ids.push_back(end_of_turn);
    answers->CheckTools(read.tools);
    const bool in_thought = answers->OpensThought(generation.prompt);
    generation.shown_ids = answers->shown_ids();
    generation.forced = answers->Forced(read.tools, in_thought);
    answers->LetThink(generation.constraint, in_thought);
    parser = answers->Parser(read.tools, read.stream, in_thought);
  }

  const auto reply = std::make_shared<ServerReply>(
      pending.exchange, std::move(pending.place),
      ApiAnswer{pending.kind, pending.id, Now(), model.name, read.include_usage}, read.stream,
      static_cast<int64_t>(generation.prompt.size()), std::move(parser),
      [this, random = pending.seed]() mutable { return answers->CallId(++random); });
  generation.on_event = [reply](const GenerationEvent& event) { return reply->OnEvent(event); };
  reply->Begin();
  std::optional<EngineThread::Ticket> ticket;
  try {
    ticket =
        thread.Submit(std::move(generation), [reply](const std::exception& e) { reply->Fail(e); });
  } catch (const std::exception& e) {
    return reply->Fail(e);  // a stream has begun, so it must be told as one
  }
  if (!ticket) return reply->Fail(QueueFull());
  pending.exchange->OnGone([this, ticket = *ticket] { thread.Cancel(ticket); });
}

std::shared_ptr<const Grammar> Server::State::GrammarOf(const ApiRequest& read, ApiKind kind) {
  if (!read.grammar) {
    // One that asks for any text has a field and no grammar.
    const bool held = options.grammar && read.grammar_field.empty() && !read.tools.Shown();
    if (!held) return nullptr;
    GrammarSource own = *options.grammar;
    if (kind == ApiKind::kChat) own.before.clear();
    return grammars.Get(own, options.grammar_where);
  }
  GrammarSource source = *read.grammar;
  source.space = options.json_space;
  try {
    return grammars.Get(source, Cat("'", read.grammar_field, "'"));
  } catch (const Error& e) {
    if (e.kind() != Error::Kind::kInput) throw;
    throw ApiError(400, e.what(), read.grammar_field, "invalid_value");
  }
}

std::string Server::State::NewId(ApiKind kind) {
  static constexpr char kDigits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
  std::string id = kind == ApiKind::kChat ? "chatcmpl-" : "cmpl-";
  for (int i = 0; i < 24; ++i) id += kDigits[random() % 36];
  return id;
}

Json Server::State::Health() const {
  const EngineCounts counts = thread.counts();
  return {{"status", "ok"},
          {"running", counts.live},
          {"queued", counts.queued},
          {"cached_tokens", counts.cached_tokens},
          {"cache_capacity", counts.cache_capacity}};
}

Json Server::State::ModelJson() const {
  return {{"id", model.name}, {"object", "model"}, {"created", started}, {"owned_by", "retort"}};
}

Server::Server(ServedModel model, const ServerOptions& options)
    : state_(std::make_unique<State>(std::move(model), options)) {}
Server::~Server() = default;

int Server::port() const { return state_->http.port(); }
std::string Server::url() const { return state_->http.url(); }
bool Server::loopback() const { return state_->http.loopback(); }
int64_t Server::context() const { return state_->engine.context(); }
EngineCounts Server::counts() const { return state_->thread.counts(); }
bool Server::Run() { return state_->http.Run(); }
void Server::Stop() { state_->http.Stop(); }

}  // namespace retort
