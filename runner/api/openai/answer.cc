// SPDX-License-Identifier: Apache-2.0
#include "runner/api/openai/answer.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/text.h"
#include "runner/api/openai/logprobs.h"

namespace retort {
namespace {

constexpr size_t kMostMessageBytes = 1000;  // messages quote requests, which may be large

// called: the answer calls tools.
Json FinishJson(const ApiChoice& choice) {
  if (!choice.said.calls.empty() && choice.finish == FinishReason::kStop) return "tool_calls";
  return std::string(NameOf(choice.finish));
}

Json CallJson(const ApiCall& call) {
  return {{"id", call.id},
          {"type", "function"},
          {"function", {{"name", call.name}, {"arguments", call.arguments}}}};
}

Json MessageJson(const ApiMessage& said) {
  // As OpenAI's API has it: an answer of calls alone has no content.
  const bool none = said.content.empty() && !said.calls.empty();
  Json message = {
      {"role", "assistant"}, {"content", none ? Json() : Json(said.content)}, {"refusal", nullptr}};
  if (!said.thought.empty()) message["reasoning_content"] = said.thought;
  for (const ApiCall& call : said.calls) message["tool_calls"].push_back(CallJson(call));
  return message;
}

class Writer : public AnswerWriter {
 public:
  Writer(ApiAnswerHead head, const ApiRequest& request, const Tokenizer& tokenizer)
      : head_(std::move(head)),
        chat_(request.kind == ApiKind::kChat),
        usage_(request.include_usage),
        timings_(request.timings_per_token),
        fields_(request.field_probabilities),
        verbose_(request.verbose),
        logprobs_(request.logprobs),
        tokenizer_(tokenizer) {}

  std::string Whole(const ApiAnswer& answer) override {
    Json whole = Object(chat_ ? "chat.completion" : "text_completion");
    whole["choices"] = Json::array();
    for (const ApiChoice& choice : answer.choices) {
      Json one = {{"index", choice.index}};
      one[chat_ ? "message" : "text"] =
          chat_ ? MessageJson(choice.said) : Json(choice.said.content);
      one["logprobs"] = Logprobs(choice, choice.tokens);
      one["finish_reason"] = FinishJson(choice);
      whole["choices"].push_back(std::move(one));
    }
    whole["usage"] = UsageJson(answer.Usage());
    AddTimings(answer.choices.back(), whole);
    if (verbose_) whole["__verbose"] = {{"prompt", answer.choices.front().prompt_text}};
    return DumpJson(whole);
  }
  std::string ErrorBody(const ApiError& error) const override { return ApiErrorBody(error); }

  std::string Begin(const ApiAnswer& answer) override {
    std::string out;
    for (const ApiChoice& choice : answer.choices) {
      if (chat_) out += Chunk(choice, {{"role", "assistant"}, {"content", nullptr}});
    }
    return out;
  }
  std::string Reading(const ApiChoice& choice, int64_t tokens) override {
    Json chunk = ChunkOf(choice, Empty());
    chunk["prompt_progress"] = ProgressJson(choice, tokens);
    if (timings_) chunk["timings"] = TimingsJson(choice);
    return ServerSentEvent(DumpJson(chunk));
  }
  std::string Said(const ApiChoice& choice, const AnswerPart& part,
                   std::span<const TokenLogprobs> tokens) override {
    Json chunk = ChunkOf(choice, Delta(choice, part), Logprobs(choice, tokens));
    if (timings_) chunk["timings"] = TimingsJson(choice);
    return ServerSentEvent(DumpJson(chunk));
  }
  std::string EndOfChoice(const ApiChoice& choice, std::span<const TokenLogprobs> tokens) override {
    std::string out;
    if (logprobs_ && !tokens.empty())  // of what was not told as text
      out += Chunk(choice, Empty(), Logprobs(choice, tokens));
    Json chunk = ChunkOf(choice, Empty(), nullptr, FinishJson(choice));
    AddTimings(choice, chunk);
    return out + ServerSentEvent(DumpJson(chunk));
  }
  std::string End(const ApiAnswer& answer) override {
    std::string out;
    if (usage_) {
      Json chunk = ChunkObject(Json::array());
      chunk["usage"] = UsageJson(answer.Usage());
      chunk["timings"] = TimingsJson(answer.choices.back());
      out = ServerSentEvent(DumpJson(chunk));
    }
    return out + ServerSentEvent("[DONE]");
  }
  std::string Failed(const ApiError& error) const override {
    return ServerSentEvent(ApiErrorBody(error));
  }

 private:
  Json Object(const char* kind) const {
    return {{"id", (chat_ ? "chatcmpl-" : "cmpl-") + head_.id},
            {"object", kind},
            {"created", head_.created},
            {"model", head_.model},
            {"system_fingerprint", head_.fingerprint}};
  }
  Json ChunkObject(Json choices) const {
    Json chunk = Object(chat_ ? "chat.completion.chunk" : "text_completion");
    chunk["choices"] = std::move(choices);
    if (usage_) chunk["usage"] = nullptr;
    return chunk;
  }
  Json Empty() const { return chat_ ? Json::object() : Json(""); }
  Json Delta(const ApiChoice& choice, const AnswerPart& part) const {
    if (!chat_) return part.text;
    const std::vector<ApiCall>& calls = choice.said.calls;
    switch (part.kind) {
      case AnswerPart::Kind::kContent:
        return {{"content", part.text}};
      case AnswerPart::Kind::kThought:
        return {{"reasoning_content", part.text}};
      case AnswerPart::Kind::kCall: {
        Json begun = {{"index", calls.size() - 1}};
        begun.update(CallJson(calls.back()));
        return {{"tool_calls", Json::array({begun})}};
      }
      case AnswerPart::Kind::kArguments:
        break;
    }
    const Json more = {{"index", calls.size() - 1}, {"function", {{"arguments", part.text}}}};
    return {{"tool_calls", Json::array({more})}};
  }
  // said: the delta of a chat, or the text of a completion.
  Json ChunkOf(const ApiChoice& choice, Json said, Json logprobs = nullptr,
               Json finish = nullptr) const {
    const Json one = {{"index", choice.index},
                      {chat_ ? "delta" : "text", std::move(said)},
                      {"logprobs", std::move(logprobs)},
                      {"finish_reason", std::move(finish)}};
    return ChunkObject(Json::array({one}));
  }
  std::string Chunk(const ApiChoice& choice, Json said, Json logprobs = nullptr) const {
    return ServerSentEvent(DumpJson(ChunkOf(choice, std::move(said), std::move(logprobs))));
  }
  // And what is told beside them.
  void AddTimings(const ApiChoice& choice, Json& out) const {
    out["timings"] = TimingsJson(choice);
    if (fields_) out["field_probabilities"] = choice.fields ? FieldsJson(*choice.fields) : Json();
  }
  Json Logprobs(const ApiChoice& choice, std::span<const TokenLogprobs> tokens) {
    if (!logprobs_) return nullptr;
    if (chat_) return ChatLogprobs(tokens, tokenizer_);
    return CompletionLogprobs(tokens, *logprobs_, tokenizer_, offsets_[choice.index]);
  }

  const ApiAnswerHead head_;
  const bool chat_, usage_, timings_, fields_, verbose_;
  const std::optional<int64_t> logprobs_;
  const Tokenizer& tokenizer_;
  std::map<size_t, int64_t> offsets_;  // by choice: characters of the text so far
};

}  // namespace

Json UsageJson(const ApiUsage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.completion_tokens},
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens},
          {"prompt_tokens_details", {{"cached_tokens", usage.reused_tokens}}}};
}

Json TimingsJson(const ApiChoice& choice) {
  const ApiUsage& usage = choice.usage;
  const auto read = static_cast<double>(usage.prompt_tokens - usage.reused_tokens);
  const auto said = static_cast<double>(std::max<int64_t>(usage.completion_tokens - 1, 0));
  const double reading = choice.timings.first_token * 1000;
  const double saying = choice.timings.last_token * 1000 - reading;
  const auto over = [](double a, double b) { return b > 0 ? a / b : 0; };
  Json timings = {{"cache_n", usage.reused_tokens},
                  {"prompt_n", usage.prompt_tokens - usage.reused_tokens},
                  {"prompt_ms", reading},
                  {"prompt_per_token_ms", over(reading, read)},
                  {"prompt_per_second", over(read * 1000, reading)},
                  {"predicted_n", usage.completion_tokens},
                  {"predicted_ms", saying},
                  {"predicted_per_token_ms", over(saying, said)},
                  {"predicted_per_second", over(said * 1000, saying)}};
  if (choice.drafted_tokens > 0) {
    timings["draft_n"] = choice.drafted_tokens;
    timings["draft_n_accepted"] = choice.accepted_tokens;
  }
  return timings;
}

Json ProgressJson(const ApiChoice& choice, int64_t tokens) {
  return {{"total", tokens},
          {"cache", choice.usage.reused_tokens},
          {"processed", choice.usage.prompt_tokens},
          {"time_ms", std::llround(choice.timings.first_token * 1000)}};
}

std::unique_ptr<AnswerWriter> OpenAiWriter(const ApiAnswerHead& head, const ApiRequest& request,
                                           const Tokenizer& tokenizer) {
  return std::make_unique<Writer>(head, request, tokenizer);
}

std::string ApiErrorType(int status) {
  if (status == 401) return "authentication_error";
  if (status == 403) return "permission_error";
  if (status == 404) return "not_found_error";
  if (status == 429) return "rate_limit_error";
  return status < 500 ? "invalid_request_error" : "server_error";
}

std::string ApiErrorBody(const ApiError& error) {
  const auto or_null = [](const std::string& text) { return text.empty() ? Json() : Json(text); };
  return DumpJson({{"error",
                    {{"message", Shortened(error.what(), kMostMessageBytes)},
                     {"type", ApiErrorType(error.status)},
                     {"param", or_null(Shortened(error.param, kMostMessageBytes))},
                     {"code", or_null(error.code)}}}});
}

}  // namespace retort
