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
                         ApiAnswer answer, bool stream, int64_t prompt_tokens)
    : exchange_(std::move(exchange)),
      place_(std::move(place)),
      answer_(std::move(answer)),
      stream_(stream),
      usage_{prompt_tokens, 0} {}

void ServerReply::Begin() {
  if (!stream_) return;
  HttpStream stream;
  stream.content_type = "text/event-stream; charset=utf-8";
  stream.ping = ": waiting\n\n";  // a comment, which clients skip
  stream.last_words = ServerSentEvent(ApiErrorBody(ApiError(503, "the server is stopping")));
  exchange_->Begin(std::move(stream));
  if (answer_.kind == ApiKind::kChat) exchange_->Send(ServerSentEvent(answer_.RoleChunk()));
}

void ServerReply::OnEvent(const GenerationEvent& event) {
  const FinishReason finish = event.finish;
  if (finish != FinishReason::kNone && finish != FinishReason::kStop &&
      finish != FinishReason::kLength) {
    return Fail(Failure("the answer was not finished: ", NameOf(finish)));
  }
  usage_.completion_tokens += static_cast<int64_t>(event.ids.size());
  if (stream_) return Stream(event);
  text_ += event.text;
  if (finish == FinishReason::kNone) return;
  HttpAnswer whole;
  whole.body = answer_.Whole(text_, finish, usage_);
  place_.reset();  // whoever reads the answer can ask again
  exchange_->Answer(std::move(whole));
}

void ServerReply::Stream(const GenerationEvent& event) {
  std::string out;
  if (!event.text.empty()) out += ServerSentEvent(answer_.TextChunk(event.text));
  const bool ends = event.finish != FinishReason::kNone;
  if (ends) {
    out += ServerSentEvent(answer_.FinishChunk(event.finish));
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
