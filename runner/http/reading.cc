// SPDX-License-Identifier: Apache-2.0
// The half of a connection that reads requests.
#include "base/strings.h"
#include "runner/http/connection.h"

namespace retort {

void HttpConnection::BeginRequest() {
  exchange_.reset();
  request_id_.clear();
  if (shared_.stopping) return Drain();
  parser_.Next();
  go_on_due_ = false;
  Await(State::kIdle, options_.read_timeout);
  socket_->Read(HttpSocket::Reading::kInput);
  Advance();
}

void HttpConnection::OnInput(std::string_view bytes) {
  if (state_ == State::kDraining) {
    drain_left_ -= static_cast<int64_t>(bytes.size());
    if (drain_left_ < 0) Close();
    return;
  }
  parser_.Put(bytes);
  Advance();
}

void HttpConnection::Advance() {
  if (state_ == State::kIdle || state_ == State::kHead) {
    if (!parser_.ReadHead()) {
      if (parser_.fault()) return Refuse(*parser_.fault());
      if (state_ == State::kIdle && parser_.started()) Await(State::kHead, options_.read_timeout);
      return;
    }
    if (!PassHead()) return;
  }
  if (state_ == State::kBody) AdvanceBody();
}

// False if the request has been answered.
bool HttpConnection::PassHead() {
  const HttpHead& head = parser_.head();
  request_id_ = RequestIdOf(head);
  if (const auto fault = CheckHead(head, shared_.hosts)) {
    Refuse(*fault);
    return false;
  }
  std::optional<HttpAnswer> answer;
  try {
    answer = shared_.handlers.judge(head);
  } catch (const std::exception& e) {
    answer = Fault(500, e.what());
  }
  if (answer) {
    parser_.DropBody();
    Respond(*answer, parser_.ReadBody() && KeepsAlive());
    return false;
  }
  go_on_due_ = head.Count("expect") > 0;
  share_ = std::make_shared<BodyShare>(shared_.body_bytes);
  Await(State::kBody, options_.read_timeout);
  body_since_ = since_;
  return true;
}

void HttpConnection::AdvanceBody() {
  const bool whole = parser_.ReadBody();
  if (parser_.fault()) return Refuse(*parser_.fault());
  if (!ChargeBody()) return Refuse({503, "too many bodies are being read; try again later"});
  if (whole) return Handle();
  since_ = body_since_;
  deadline_ = body_since_ + options_.read_timeout + TimeFor(parser_.body_bytes());
  if (std::exchange(go_on_due_, false) && parser_.body_bytes() == 0)
    Write("HTTP/1.1 100 Continue\r\n\r\n", Then::kBody);
}

// Takes what has arrived into account. False if there is no room for it, even after closing those
// who send their bodies slowly.
bool HttpConnection::ChargeBody() {
  share_->Grow(parser_.body_bytes() - share_->bytes());
  while (*shared_.body_bytes > options_.bodies_limit) {
    const auto other = LongestAwaited(shared_, true, this);
    if (!other) return false;
    other->Evict();
  }
  return true;
}

void HttpConnection::Refuse(const HttpFault& fault) {
  const HttpAnswer answer = Fault(fault.status, fault.message);  // may hold the parser's own fault
  if (share_) share_->Clear();
  parser_.DropBody();
  Respond(answer, false);
}

}  // namespace retort
