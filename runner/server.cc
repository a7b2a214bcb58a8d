// SPDX-License-Identifier: Apache-2.0
#include "runner/server.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <random>

#include "base/error.h"
#include "base/json.h"
#include "runner/engine_thread.h"
#include "runner/openai_answer.h"
#include "runner/openai_request.h"

namespace retort {
namespace {

using ExchangePtr = std::shared_ptr<HttpExchange>;

HttpAnswer ErrorAnswer(const ApiError& error) {
  HttpAnswer answer;
  answer.status = error.status;
  answer.body = ApiErrorBody(error);
  if (error.status == 503) answer.headers = {{"Retry-After", "1"}};
  if (error.status == 401) answer.headers = {{"WWW-Authenticate", "Bearer"}};
  return answer;
}

HttpAnswer JsonAnswer(const Json& value) {
  HttpAnswer answer;
  answer.body = DumpJson(value);
  return answer;
}

// Takes a time that depends on the length of `given`, but not on the content of `secret`.
bool SameText(std::string_view given, std::string_view secret) {
  unsigned difference = given.size() == secret.size() ? 0 : 1;
  for (size_t i = 0; i < given.size(); ++i) {
    difference |= static_cast<unsigned char>(given[i] ^ secret[i % secret.size()]);
  }
  return difference == 0;
}

EngineOptions Paced(EngineOptions options) {
  options.paced = true;
  return options;
}

// Sends the result of a request to its client. Used on the engine's thread.
class Reply {
 public:
  Reply(ExchangePtr exchange, ApiAnswer answer, bool stream, int64_t prompt_tokens)
      : exchange_(std::move(exchange)),
        answer_(std::move(answer)),
        stream_(stream),
        usage_{prompt_tokens, 0} {}

  void OnEvent(const GenerationEvent& event) {
    usage_.completion_tokens += static_cast<int64_t>(event.ids.size());
    if (stream_) return Stream(event);
    text_ += event.text;
    if (event.finish == FinishReason::kNone) return;
    HttpAnswer whole;
    whole.body = answer_.Whole(text_, event.finish, usage_);
    exchange_->Answer(std::move(whole));
  }

  void Fail(const std::exception& reason) {
    const auto* error = dynamic_cast<const Error*>(&reason);
    const ApiError told(error && error->kind() == Error::Kind::kInput ? 400 : 500, reason.what());
    if (!begun_) return exchange_->Answer(ErrorAnswer(told));
    exchange_->Send(ServerSentEvent(ApiErrorBody(told)));
    exchange_->End();
  }

 private:
  void Stream(const GenerationEvent& event) {
    std::string out;
    if (!begun_) {
      begun_ = true;
      exchange_->Begin("text/event-stream; charset=utf-8");
      if (answer_.kind == ApiKind::kChat) out += ServerSentEvent(answer_.RoleChunk());
    }
    if (!event.text.empty()) out += ServerSentEvent(answer_.TextChunk(event.text));
    const bool ends = event.finish != FinishReason::kNone;
    if (ends) {
      out += ServerSentEvent(answer_.FinishChunk(event.finish));
      if (answer_.include_usage) out += ServerSentEvent(answer_.UsageChunk(usage_));
      out += ServerSentEvent("[DONE]");
    }
    if (!out.empty()) exchange_->Send(std::move(out));
    if (ends) exchange_->End();
  }

  ExchangePtr exchange_;
  ApiAnswer answer_;
  bool stream_, begun_ = false;
  ApiUsage usage_;
  std::string text_;
};

}  // namespace

struct Server::State {
  State(ServedModel m, const ServerOptions& o)
      : model(std::move(m)),
        options(o),
        engine(model.model, model.adapter, model.tokenizer, Paced(o.engine)),
        http(
            o.http, [this](const HttpRequest& r, const ExchangePtr& e) { Handle(r, e); },
            [](int status, const std::string& message) {
              return ApiErrorBody(ApiError(status, message));
            }),
        thread(engine, o.engine.parallel + o.queue) {
    if (model.chat) end_of_turn = model.chat->CheckMarks(model.tokenizer, model.name);
  }

  // Answers immediately, or passes the request to the engine.
  void Handle(const HttpRequest& request, const ExchangePtr& exchange) {
    try {
      Route(request, exchange);
    } catch (const ApiError& e) {
      exchange->Answer(ErrorAnswer(e));
    }
  }
  void Route(const HttpRequest& request, const ExchangePtr& exchange);
  void CheckKey(const HttpRequest& request) const;
  void Complete(ApiKind kind, const HttpRequest& request, const ExchangePtr& exchange);
  std::vector<int32_t> PromptOf(const ApiRequest& request) const;
  std::vector<int32_t> Encoded(const ApiRequest& request) const;
  ApiAnswer AnswerTo(const ApiRequest& request);
  Json Health() const;
  Json ModelJson() const;

  const ServedModel model;
  const ServerOptions options;
  const int64_t started = Now();
  int32_t end_of_turn = -1;
  // For seeds and ids; nothing that must be secret.
  std::mt19937_64 random{std::random_device{}()};
  Engine engine;
  HttpServer http;
  EngineThread thread;  // last, so destroyed first: its final answers still use http

  static int64_t Now() {
    return std::chrono::duration_cast<std::chrono::seconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
};

void Server::State::Route(const HttpRequest& request, const ExchangePtr& exchange) {
  const bool models = request.path == "/v1/models" || request.path == "/v1/models/" + model.name;
  const bool chat = request.path == "/v1/chat/completions",
             completion = request.path == "/v1/completions";
  const bool reads = models || request.path == "/health";
  if (!reads && !chat && !completion) {
    throw ApiError(404, Cat("there is no ", request.path,
                            "; see /v1/chat/completions, /v1/completions, /v1/models, /health"));
  }
  const std::string allowed = reads ? "GET, HEAD, OPTIONS" : "POST, OPTIONS";
  if (request.method == "OPTIONS") return exchange->Answer({204, "", "", {{"Allow", allowed}}});
  if (reads ? request.method != "GET" && request.method != "HEAD" : request.method != "POST") {
    HttpAnswer answer =
        ErrorAnswer(ApiError(405, Cat(request.path, " takes ", allowed, ", not ", request.method)));
    answer.headers = {{"Allow", allowed}};
    return exchange->Answer(std::move(answer));
  }
  if (request.path == "/health") return exchange->Answer(JsonAnswer(Health()));
  CheckKey(request);
  if (chat || completion)
    return Complete(chat ? ApiKind::kChat : ApiKind::kCompletion, request, exchange);
  exchange->Answer(JsonAnswer(request.path == "/v1/models"
                                  ? Json{{"object", "list"}, {"data", Json::array({ModelJson()})}}
                                  : ModelJson()));
}

void Server::State::CheckKey(const HttpRequest& request) const {
  if (options.api_key.empty()) return;
  if (!SameText(request.authorization, "Bearer " + options.api_key)) {
    throw ApiError(401, "a valid API key is needed: Authorization: Bearer KEY", "",
                   "invalid_api_key");
  }
}

void Server::State::Complete(ApiKind kind, const HttpRequest& request,
                             const ExchangePtr& exchange) {
  // A web page can send other types to a local server without a CORS preflight request.
  if (!StartsWith(request.content_type, "application/json")) {
    throw ApiError(415, "the body must come with Content-Type: application/json");
  }
  const ApiRequest read = ReadApiRequest(kind, request.body, random());
  GenerationRequest generation;
  generation.prompt = PromptOf(read);
  generation.sampling = read.sampling;
  if (kind == ApiKind::kChat) generation.sampling.stop_ids.push_back(end_of_turn);

  const auto reply = std::make_shared<Reply>(exchange, AnswerTo(read), read.stream,
                                             static_cast<int64_t>(generation.prompt.size()));
  generation.on_event = [reply](const GenerationEvent& event) {
    reply->OnEvent(event);
    return true;
  };
  const auto ticket =
      thread.Submit(std::move(generation), [reply](const std::exception& e) { reply->Fail(e); });
  if (!ticket)
    throw ApiError(503, "too many requests are waiting; try again later", "", "queue_full");
  exchange->OnGone([this, ticket = *ticket] { thread.Cancel(ticket); });
}

std::vector<int32_t> Server::State::Encoded(const ApiRequest& request) const {
  if (!request.prompt_ids.empty()) return request.prompt_ids;
  if (request.kind == ApiKind::kCompletion) return model.tokenizer.EncodePrompt(request.prompt);
  if (!model.chat) throw ApiError(400, model.no_chat, "messages", "no_chat_template");
  try {
    return EncodeChat(model.tokenizer, *model.chat, request.messages, true, "messages");
  } catch (const Error& e) {
    if (e.kind() != Error::Kind::kInput) throw;
    throw ApiError(400, e.what(), "messages", "invalid_value");
  }
}

std::vector<int32_t> Server::State::PromptOf(const ApiRequest& request) const {
  std::vector<int32_t> ids = Encoded(request);
  const std::string param = request.kind == ApiKind::kChat ? "messages" : "prompt";
  if (ids.empty()) throw ApiError(400, "the prompt is empty", param, "invalid_value");
  for (const int32_t id : ids) {
    if (id >= model.model.config.vocab) {
      throw ApiError(400,
                     Cat("the prompt's token ", id, " is not within the vocabulary of ",
                         model.model.config.vocab),
                     param, "invalid_value");
    }
  }
  if (static_cast<int64_t>(ids.size()) >= engine.context()) {
    throw ApiError(400,
                   Cat("the prompt's ", ids.size(), " tokens leave no room in the context of ",
                       engine.context()),
                   param, "context_length_exceeded");
  }
  return ids;
}

ApiAnswer Server::State::AnswerTo(const ApiRequest& request) {
  static constexpr char kDigits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
  std::string id = request.kind == ApiKind::kChat ? "chatcmpl-" : "cmpl-";
  for (int i = 0; i < 24; ++i) id += kDigits[random() % 36];
  return {request.kind, id, Now(), model.name, request.include_usage};
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
void Server::Run() { state_->http.Run(); }
void Server::Stop() { state_->http.Stop(); }

}  // namespace retort
