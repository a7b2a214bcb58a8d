// SPDX-License-Identifier: Apache-2.0
#include "runner/api/openai/answer.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "runner/api/anthropic/anthropic.h"
#include "runner/api/error.h"

namespace retort {
namespace {

// Cached tokens are no input tokens here. Anthropic's description has all of these members, and its
// typed clients read them.
Json AnthropicUsage(const ApiUsage& usage) {
  return {{"input_tokens", usage.prompt_tokens - usage.reused_tokens},
          {"cache_creation_input_tokens", 0},
          {"cache_read_input_tokens", usage.reused_tokens},
          {"output_tokens", usage.completion_tokens},
          {"output_tokens_details", nullptr},
          {"cache_creation", nullptr},
          {"inference_geo", nullptr},
          {"server_tool_use", nullptr},
          {"service_tier", nullptr}};
}

Json StopReason(const ApiChoice& choice) {
  if (choice.finish == FinishReason::kNone) return nullptr;
  if (choice.finish == FinishReason::kLength) return "max_tokens";
  if (!choice.said.calls.empty()) return "tool_use";
  return choice.stop_text.empty() ? "end_turn" : "stop_sequence";
}

Json StopSequence(const ApiChoice& choice) {
  return choice.stop_text.empty() ? Json() : Json(choice.stop_text);
}

// The arguments are an object here, and the model may have written none.
Json InputOf(const ApiCall& call) {
  try {
    Json input = ParseJson(call.arguments, "arguments", false, RepeatedKeys::kLast);
    if (input.is_object()) return input;
  } catch (const Error&) {  // NOLINT(bugprone-empty-catch)
  }
  return Json::object();
}

Json TextBlock(const std::string& text) {
  return {{"type", "text"}, {"text", text}, {"citations", nullptr}};
}

Json ThoughtBlock(const std::string& text) {
  return {{"type", "thinking"}, {"thinking", text}, {"signature", ""}};
}

Json CallBlock(const ApiCall& call, Json input) {
  return {{"type", "tool_use"},
          {"id", call.id},
          {"name", call.name},
          {"input", std::move(input)},
          {"caller", {{"type", "direct"}}}};
}

class Messenger : public AnswerWriter {
 public:
  explicit Messenger(ApiAnswerHead head) : head_(std::move(head)) {}

  std::string Whole(const ApiAnswer& answer) override {
    const ApiChoice& choice = answer.choices.front();
    Json content = Json::array();
    if (!choice.said.thought.empty()) content.push_back(ThoughtBlock(choice.said.thought));
    if (!choice.said.content.empty()) content.push_back(TextBlock(choice.said.content));
    for (const ApiCall& call : choice.said.calls) content.push_back(CallBlock(call, InputOf(call)));
    return DumpJson(Message(choice, std::move(content)));
  }
  std::string ErrorBody(const ApiError& error) const override { return AnthropicErrorBody(error); }

  std::string Ping() const override { return Event({{"type", "ping"}}); }
  std::string Begin(const ApiAnswer& answer) override {
    return Event(
        {{"type", "message_start"}, {"message", Message(answer.choices.front(), Json::array())}});
  }
  std::string Said(const ApiChoice& choice, const AnswerPart& part,
                   std::span<const TokenLogprobs> /*tokens*/) override {
    std::string out;
    // Every call is a block of its own; its arguments are the same block's.
    const bool begins = part.kind == AnswerPart::Kind::kCall ||
                        (part.kind != AnswerPart::Kind::kArguments && part.kind != open_);
    if (begins) {
      out = EndBlock();
      out += BeginBlock(choice, part.kind);
    }
    if (part.kind == AnswerPart::Kind::kCall) return out;
    // Told whole at the block's end: clients must get an object, and it may turn out to be none.
    if (part.kind == AnswerPart::Kind::kArguments) {
      input_.arguments += part.text;
      return out;
    }
    return out + DeltaEvent(part.kind == AnswerPart::Kind::kThought
                                ? Json{{"type", "thinking_delta"}, {"thinking", part.text}}
                                : Json{{"type", "text_delta"}, {"text", part.text}});
  }
  std::string EndOfChoice(const ApiChoice& choice,
                          std::span<const TokenLogprobs> /*tokens*/) override {
    return EndBlock() + Event({{"type", "message_delta"},
                               {"delta",
                                {{"stop_reason", StopReason(choice)},
                                 {"stop_sequence", StopSequence(choice)},
                                 {"stop_details", nullptr},
                                 {"container", nullptr}}},
                               {"usage", AnthropicUsage(choice.usage)}});
  }
  std::string End(const ApiAnswer& /*answer*/) override {
    return Event({{"type", "message_stop"}});
  }
  std::string Failed(const ApiError& error) const override {
    return ServerSentEvent("error", AnthropicErrorBody(error));
  }

 private:
  static std::string Event(const Json& event) {
    return ServerSentEvent(event["type"].get<std::string>(), DumpJson(event));
  }
  Json Message(const ApiChoice& choice, Json content) const {
    return {{"id", "msg_" + head_.id},
            {"type", "message"},
            {"role", "assistant"},
            {"model", head_.model},
            {"content", std::move(content)},
            {"stop_reason", StopReason(choice)},
            {"stop_sequence", StopSequence(choice)},
            {"stop_details", nullptr},
            {"container", nullptr},
            {"usage", AnthropicUsage(choice.usage)}};
  }
  std::string BeginBlock(const ApiChoice& choice, AnswerPart::Kind kind) {
    open_ = kind;
    ++block_;
    const Json block = kind == AnswerPart::Kind::kContent ? TextBlock("")
                       : kind == AnswerPart::Kind::kThought
                           ? ThoughtBlock("")
                           : CallBlock(choice.said.calls.back(), Json::object());
    return Event({{"type", "content_block_start"}, {"index", block_}, {"content_block", block}});
  }
  std::string EndBlock() {
    if (!open_) return "";
    std::string out;
    if (open_ == AnswerPart::Kind::kCall) {
      const std::string input = DumpJson(InputOf(std::exchange(input_, {})));
      out = DeltaEvent({{"type", "input_json_delta"}, {"partial_json", input}});
    }
    open_.reset();
    return out + Event({{"type", "content_block_stop"}, {"index", block_}});
  }
  std::string DeltaEvent(Json delta) const {
    return Event({{"type", "content_block_delta"}, {"index", block_}, {"delta", std::move(delta)}});
  }

  const ApiAnswerHead head_;
  int64_t block_ = -1;
  std::optional<AnswerPart::Kind> open_;  // the block that has begun
  ApiCall input_;                         // the arguments of the call that is open
};

}  // namespace

std::unique_ptr<AnswerWriter> AnthropicWriter(const ApiAnswerHead& head) {
  return std::make_unique<Messenger>(head);
}

std::string AnthropicErrorBody(const ApiError& error) {
  const bool overloaded = error.status == 503;
  const std::string type = overloaded            ? "overloaded_error"
                           : error.status >= 500 ? "api_error"
                                                 : ApiErrorType(error.status);
  return DumpJson(
      {{"type", "error"}, {"error", {{"type", type}, {"message", Shortened(error.what(), 1000)}}}});
}

}  // namespace retort
