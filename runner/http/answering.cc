// SPDX-License-Identifier: Apache-2.0
// The half of a connection that writes answers.
#include "runner/http/connection.h"

namespace retort {

void HttpConnection::Handle() {
  exchange_ = std::make_shared<HttpOutbox>(socket_->Waker(), options_.unread_limit);
  state_ = State::kAnswering;
  deadline_ = Clock::time_point::max();
  ping_.clear();
  const auto request = std::make_shared<HttpRequest>();
  *request = {parser_.head(), parser_.TakeBody(), std::move(share_), request_id_};
  try {
    shared_.handlers.handle(request, exchange_);
  } catch (const std::exception& e) {
    exchange_->Answer(Fault(500, e.what()));
  }
  socket_->Read(HttpSocket::Reading::kEnd);
}

void HttpConnection::Respond(HttpAnswer answer, bool keep_alive) {
  const HttpHead& head = parser_.head();
  if (!request_id_.empty()) answer.headers.emplace_back("X-Request-Id", request_id_);
  Write(AnswerBytes(answer, head.version, keep_alive, head.method != "HEAD"),
        keep_alive ? Then::kNextRequest : Then::kDrain);
}

void HttpConnection::NextPart() {
  using Kind = HttpOutbox::Part::Kind;
  const int version = parser_.head().version;
  const bool chunked = version >= 11;
  while (auto part = exchange_->Pop()) {
    switch (part->kind) {
      case Kind::kWhole:
        return Respond(part->answer, KeepsAlive());
      case Kind::kBegin:
        ping_ = part->stream.ping;
        part->stream.headers.emplace_back("X-Request-Id", request_id_);
        return Write(StreamHeadBytes(part->stream, version, KeepsAlive()), Then::kNextPart);
      case Kind::kBytes:
        if (part->bytes.empty()) continue;  // an empty chunk would end the stream
        return Write(chunked ? ChunkBytes(part->bytes) : part->bytes, Then::kNextPart);
      case Kind::kEnd:
        // Without chunks, the connection's end is the stream's.
        if (!chunked) return Drain();
        return Write(std::string(kLastChunk), KeepsAlive() ? Then::kNextRequest : Then::kDrain);
    }
  }
}

void HttpConnection::Write(std::string bytes, Then then) {
  then_ = then;
  Await(State::kWriting, options_.write_timeout + TimeFor(static_cast<int64_t>(bytes.size())));
  if (!exchange_) socket_->Read(HttpSocket::Reading::kNothing);
  socket_->Write(std::move(bytes));
}

void HttpConnection::OnWritten(bool all) {
  if (!all) return Close();
  last_write_ = Clock::now();
  switch (then_) {
    case Then::kNextRequest:
      return BeginRequest();
    case Then::kDrain:
      return Drain();
    case Then::kBody:
      state_ = State::kBody;
      socket_->Read(HttpSocket::Reading::kInput);
      return AdvanceBody();
    case Then::kNextPart:
      state_ = State::kAnswering;
      deadline_ = Clock::time_point::max();
      return NextPart();
  }
}

void HttpConnection::OnWake() {
  if (!exchange_) return;
  // A client that leaves so much unread is taken for gone.
  if (exchange_->overfull()) return Close();
  if (state_ == State::kAnswering) NextPart();
}

HttpAnswer HttpConnection::Fault(int status, const std::string& message) const {
  HttpAnswer answer;
  answer.status = status;
  // A request that is known by an id has a header.
  const std::string_view path = request_id_.empty() ? "" : std::string_view(parser_.head().path);
  answer.body = shared_.handlers.fault_body(status, message, path);
  if (status == 503) answer.headers = {{"Retry-After", "1"}};
  return answer;
}

}  // namespace retort
