// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "runner/api/error.h"
#include "runner/api/openai/answer.h"
#include "runner/api/openai/responses.h"

namespace retort {
namespace {

// How many tokens a thought has is known where there is none.
Json ResponsesUsage(const ApiChoice& choice) {
  const ApiUsage& usage = choice.usage;
  Json out = {{"input_tokens", usage.prompt_tokens},
              {"input_tokens_details", {{"cached_tokens", usage.reused_tokens}}},
              {"output_tokens", usage.completion_tokens}};
  if (choice.said.thought.empty()) out["output_tokens_details"] = {{"reasoning_tokens", 0}};
  out["total_tokens"] = usage.prompt_tokens + usage.completion_tokens;
  return out;
}

Json TextPart(const std::string& text) {
  return {{"type", "output_text"},
          {"text", text},
          {"annotations", Json::array()},
          {"logprobs", Json::array()}};
}

class ResponseStream : public AnswerWriter {
 public:
  ResponseStream(ApiAnswerHead head, const ResponsesRequest& read)
      : head_(std::move(head)),
        echoed_(ParseJson(read.echoed, "the request")),
        timings_(read.request.timings_per_token) {}

  std::string Whole(const ApiAnswer& answer) override {
    return DumpJson(Response(answer.choices.front()));
  }
  std::string ErrorBody(const ApiError& error) const override { return ApiErrorBody(error); }

  std::string Begin(const ApiAnswer& answer) override {
    const Json response = Response(answer.choices.front());
    std::string out = Event("response.created", {{"response", response}});
    out += Event("response.in_progress", {{"response", response}});
    return out;
  }
  std::string Reading(const ApiChoice& choice, int64_t tokens) override {
    return Event("response.in_progress",
                 Timed(choice, {{"response", Response(choice)},
                                {"prompt_progress", ProgressJson(choice, tokens)}}));
  }
  // Thoughts are an item of their own, which is told whole at the end.
  std::string Said(const ApiChoice& choice, const AnswerPart& part,
                   std::span<const TokenLogprobs> /*tokens*/) override {
    if (part.kind != AnswerPart::Kind::kContent) return "";
    const std::string begin = open_ ? "" : BeginItem(choice);
    Json delta = Place();
    delta.update({{"delta", part.text}, {"logprobs", Json::array()}});
    return begin + Event("response.output_text.delta", Timed(choice, std::move(delta)));
  }
  std::string EndOfChoice(const ApiChoice& choice,
                          std::span<const TokenLogprobs> /*tokens*/) override {
    std::string out = open_ ? "" : BeginItem(choice);  // an answer of nothing has an item too
    const std::string& text = choice.said.content;
    Json done = Place(), part = Place();
    done.update({{"text", text}, {"logprobs", Json::array()}});
    part["part"] = TextPart(text);
    out += Event("response.output_text.done", done);
    out += Event("response.content_part.done", part);
    out += Event("response.output_item.done",
                 {{"output_index", index_}, {"item", MessageItem(choice)}});
    return out + Event(choice.finish == FinishReason::kLength ? "response.incomplete"
                                                              : "response.completed",
                       Timed(choice, {{"response", Response(choice)}}));
  }
  std::string End(const ApiAnswer& /*answer*/) override { return ""; }
  std::string Failed(const ApiError& error) const override {
    const Json event = {{"type", "error"},
                        {"code", error.code.empty() ? ApiErrorType(error.status) : error.code},
                        {"message", error.what()},
                        {"param", error.param.empty() ? Json() : Json(error.param)},
                        {"sequence_number", sequence_}};
    return ServerSentEvent("error", DumpJson(event));
  }

 private:
  std::string Event(const std::string& type, const Json& members) {
    Json event = {{"type", type}, {"sequence_number", sequence_++}};
    event.update(members);
    return ServerSentEvent(type, DumpJson(event));
  }
  // The members with timings, if they are asked for.
  Json Timed(const ApiChoice& choice, Json members) const {
    if (timings_) members["timings"] = TimingsJson(choice);
    return members;
  }
  Json Place() const {
    return {{"item_id", "msg_" + head_.id}, {"output_index", index_}, {"content_index", 0}};
  }
  std::string BeginItem(const ApiChoice& choice) {
    open_ = true;
    std::string out;
    if (!choice.said.thought.empty()) {
      const Json item = ThoughtItem(choice);
      out += Event("response.output_item.added", {{"output_index", 0}, {"item", item}});
      out += Event("response.output_item.done", {{"output_index", 0}, {"item", item}});
      index_ = 1;
    }
    Json item = MessageItem(choice);
    item["status"] = "in_progress";
    item["content"] = Json::array();
    out += Event("response.output_item.added", {{"output_index", index_}, {"item", item}});
    Json part = Place();
    part["part"] = TextPart("");
    return out + Event("response.content_part.added", part);
  }
  Json ThoughtItem(const ApiChoice& choice) const {
    return {
        {"type", "reasoning"},
        {"id", "rs_" + head_.id},
        {"summary", Json::array()},
        {"content", Json::array({{{"type", "reasoning_text"}, {"text", choice.said.thought}}})}};
  }
  Json MessageItem(const ApiChoice& choice) const {
    return {{"type", "message"},
            {"id", "msg_" + head_.id},
            {"status", choice.finish == FinishReason::kLength ? "incomplete" : "completed"},
            {"role", "assistant"},
            {"content", Json::array({TextPart(choice.said.content)})}};
  }
  Json Response(const ApiChoice& choice) const {
    const bool running = choice.finish == FinishReason::kNone;
    const bool cut = choice.finish == FinishReason::kLength;
    Json output = Json::array();
    if (!running && !choice.said.thought.empty()) output.push_back(ThoughtItem(choice));
    if (!running) output.push_back(MessageItem(choice));
    Json response = {{"id", "resp_" + head_.id},
                     {"object", "response"},
                     {"created_at", head_.created},
                     {"status", running ? "in_progress"
                                : cut   ? "incomplete"
                                        : "completed"},
                     {"error", nullptr},
                     {"incomplete_details", cut ? Json{{"reason", "max_output_tokens"}} : Json()},
                     {"model", head_.model},
                     {"output", std::move(output)},
                     {"usage", running ? Json() : ResponsesUsage(choice)}};
    response.update(echoed_);
    return response;
  }

  const ApiAnswerHead head_;
  const Json echoed_;
  const bool timings_;
  int64_t sequence_ = 0, index_ = 0;
  bool open_ = false;  // the message's item has begun
};

}  // namespace

std::unique_ptr<AnswerWriter> ResponsesWriter(const ApiAnswerHead& head,
                                              const ResponsesRequest& read) {
  return std::make_unique<ResponseStream>(head, read);
}

}  // namespace retort
