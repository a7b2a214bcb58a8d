// SPDX-License-Identifier: Apache-2.0
#include "runner/server_reply.h"

#include "base/error.h"

namespace retort {

HttpAnswer ErrorAnswer(const ApiError& error) {
  HttpAnswer answer;
  answer.status = error.status;
  answer.body = ApiErrorBody(error);
  answer.headers = error.headers;
  if (error.status == 429 || error.status == 503) answer.headers.emplace_back("Retry-After", "1");
  return answer;
}

std::unique_ptr<ServerPlace> ServerPlace::Take(std::atomic<int64_t>& taken, int64_t most) {
  std::unique_ptr<ServerPlace> place(
      new ServerPlace(taken));  // gives its place back, if it has none
  return ++taken <= most ? std::move(place) : nullptr;
}

ServerReply::ServerReply(std::shared_ptr<HttpExchange> exchange, std::unique_ptr<ServerPlace> place,
                         ApiAnswer answer, bool stream, int64_t prompt_tokens,
                         std::unique_ptr<AnswerParser> parser,
                         std::function<std::string()> call_ids)
    : exchange_(std::move(exchange)),
      place_(std::move(place)),
      answer_(std::move(answer)),
      stream_(stream),
      usage_{prompt_tokens, 0},
      parser_(std::move(parser)),
      call_ids_(std::move(call_ids)) {}

void ServerReply::Begin() {
  if (!stream_) return;
  HttpStream stream;
  stream.content_type = "text/event-stream; charset=utf-8";
  stream.ping = ": waiting\n\n";  // a comment, which clients skip
  stream.last_words = ServerSentEvent(ApiErrorBody(ApiError(503, "the server is stopping")));
  exchange_->Begin(std::move(stream));
  if (answer_.kind == ApiKind::kChat) exchange_->Send(ServerSentEvent(answer_.RoleChunk()));
}

bool ServerReply::OnEvent(const GenerationEvent& event) {
  FinishReason finish = event.finish;
  if (finish != FinishReason::kNone && finish != FinishReason::kStop &&
      finish != FinishReason::kLength) {
    Fail(Failure("the answer was not finished: ", NameOf(finish)));
    return false;
  }
  usage_.completion_tokens += static_cast<int64_t>(event.ids.size());
  usage_.reused_tokens = event.reused_tokens;
  const std::vector<AnswerPart> parts = PartsOf(event, finish != FinishReason::kNone);
  if (finish == FinishReason::kNone && parser_ && parser_->ended()) finish = FinishReason::kStop;
  const bool ends = finish != FinishReason::kNone;
  if (stream_) {
    Stream(parts, finish);
    return !ends;
  }
  Gather(parts);
  if (!ends) return true;
  HttpAnswer whole;
  whole.body = answer_.Whole(said_, finish, usage_);
  place_.reset();  // whoever reads the answer can ask again
  exchange_->Answer(std::move(whole));
  return false;
}

std::vector<AnswerPart> ServerReply::PartsOf(const GenerationEvent& event, bool ends) {
  std::vector<AnswerPart> parts;
  if (parser_) {
    parser_->Push(event.text, parts);
    if (ends) parser_->Finish(parts);
  } else if (!event.text.empty()) {
    parts.push_back({AnswerPart::Kind::kContent, event.text});
  }
  return parts;
}

void ServerReply::Gather(const std::vector<AnswerPart>& parts) {
  for (const AnswerPart& part : parts) {
    switch (part.kind) {
      case AnswerPart::Kind::kContent:
        said_.content += part.text;
        break;
      case AnswerPart::Kind::kThought:
        said_.thought += part.text;
        break;
      case AnswerPart::Kind::kCall:
        said_.calls.push_back({call_ids_(), part.text, ""});
        break;
      case AnswerPart::Kind::kArguments:
        said_.calls.back().arguments += part.text;
    }
  }
}

void ServerReply::Stream(const std::vector<AnswerPart>& parts, FinishReason finish) {
  std::string out;
  for (const AnswerPart& part : parts) {
    switch (part.kind) {
      case AnswerPart::Kind::kContent:
        out += ServerSentEvent(answer_.TextChunk(part.text));
        break;
      case AnswerPart::Kind::kThought:
        out += ServerSentEvent(answer_.ThoughtChunk(part.text));
        break;
      case AnswerPart::Kind::kCall:
        said_.calls.push_back({call_ids_(), part.text, ""});
        out += ServerSentEvent(answer_.CallChunk(said_.calls.size() - 1, said_.calls.back()));
        break;
      case AnswerPart::Kind::kArguments:
        out += ServerSentEvent(answer_.ArgumentsChunk(said_.calls.size() - 1, part.text));
    }
  }
  const bool ends = finish != FinishReason::kNone;
  if (ends) {
    out += ServerSentEvent(answer_.FinishChunk(finish, !said_.calls.empty()));
    if (answer_.include_usage) out += ServerSentEvent(answer_.UsageChunk(usage_));
    out += ServerSentEvent("[DONE]");
    place_.reset();
  }
  if (!out.empty()) exchange_->Send(std::move(out));
  if (ends) exchange_->End();
}

void ServerReply::Fail(const std::exception& reason) {
  const auto* error = dynamic_cast<const Error*>(&reason);
  Fail(ApiError(error && error->kind() == Error::Kind::kInput ? 400 : 500, reason.what()));
}

void ServerReply::Fail(const ApiError& error) {
  place_.reset();
  if (!stream_) return exchange_->Answer(ErrorAnswer(error));
  exchange_->Send(ServerSentEvent(ApiErrorBody(error)));
  exchange_->End();
}

}  // namespace retort
