// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "runner/api/error.h"
#include "runner/api/ollama/ollama.h"

namespace retort {
namespace {

Json CallsJson(const std::vector<ApiCall>& calls) {
  Json out = Json::array();
  for (const ApiCall& call : calls) {
    Json arguments;
    try {
      arguments = ParseJson(call.arguments, "arguments", false, RepeatedKeys::kLast);
    } catch (const Error&) {
      arguments = Json::object();
    }
    out.push_back({{"function", {{"name", call.name}, {"arguments", std::move(arguments)}}}});
  }
  return out;
}

class LineWriter : public AnswerWriter {
 public:
  LineWriter(OllamaKind kind, ApiAnswerHead head)
      : chat_(kind == OllamaKind::kChat), head_(std::move(head)) {}

  std::string Whole(const ApiAnswer& answer) override {
    const ApiChoice& choice = answer.choices.front();
    return DumpJson(Last(choice, choice.said));
  }
  std::string ErrorBody(const ApiError& error) const override { return OllamaErrorBody(error); }

  const char* stream_type() const override { return "application/x-ndjson"; }
  std::string Ping() const override { return ""; }  // lines have no comments
  std::string Begin(const ApiAnswer& /*answer*/) override { return ""; }
  std::string Said(const ApiChoice& /*choice*/, const AnswerPart& part,
                   std::span<const TokenLogprobs> /*tokens*/) override {
    ApiMessage said;
    if (part.kind == AnswerPart::Kind::kContent) {
      said.content = part.text;
    } else if (part.kind == AnswerPart::Kind::kThought) {
      said.thought = part.text;
    } else {
      return "";  // calls are told whole, at the end
    }
    Json line = Line(said);
    line["done"] = false;
    return DumpJson(line) + "\n";
  }
  std::string EndOfChoice(const ApiChoice& choice,
                          std::span<const TokenLogprobs> /*tokens*/) override {
    std::string out;
    if (!choice.said.calls.empty()) {
      ApiMessage calls;
      calls.calls = choice.said.calls;
      Json line = Line(calls);
      line["done"] = false;
      out = DumpJson(line) + "\n";
    }
    return out + DumpJson(Last(choice, {})) + "\n";
  }
  std::string End(const ApiAnswer& /*answer*/) override { return ""; }
  std::string Failed(const ApiError& error) const override { return OllamaErrorBody(error) + "\n"; }

 private:
  Json Line(const ApiMessage& said) const {
    Json line = {{"model", head_.model}, {"created_at", Rfc3339(head_.created)}};
    if (!chat_) {
      line["response"] = said.content;
      if (!said.thought.empty()) line["thinking"] = said.thought;
      return line;
    }
    Json message = {{"role", "assistant"}, {"content", said.content}};
    if (!said.thought.empty()) message["thinking"] = said.thought;
    if (!said.calls.empty()) message["tool_calls"] = CallsJson(said.calls);
    line["message"] = std::move(message);
    return line;
  }
  // With the counts, and times in nanoseconds.
  Json Last(const ApiChoice& choice, const ApiMessage& said) const {
    const auto nanoseconds = [](double seconds) { return static_cast<int64_t>(seconds * 1e9); };
    const ApiTimings& times = choice.timings;
    Json line = Line(said);
    line["done"] = true;
    line["done_reason"] = std::string(NameOf(choice.finish));
    line["total_duration"] = nanoseconds(times.last_token);
    line["load_duration"] = 0;
    line["prompt_eval_count"] = choice.usage.prompt_tokens;
    line["prompt_eval_duration"] = nanoseconds(times.first_token);
    line["eval_count"] = choice.usage.completion_tokens;
    line["eval_duration"] = nanoseconds(times.last_token - times.first_token);
    return line;
  }

  const bool chat_;
  const ApiAnswerHead head_;
};

}  // namespace

std::unique_ptr<AnswerWriter> OllamaWriter(OllamaKind kind, const ApiAnswerHead& head) {
  return std::make_unique<LineWriter>(kind, head);
}

std::string OllamaErrorBody(const ApiError& error) {
  return DumpJson({{"error", Shortened(error.what(), 1000)}});
}

}  // namespace retort
