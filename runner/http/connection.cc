// SPDX-License-Identifier: Apache-2.0
// A connection's life: how long it is waited for, and how it ends.
#include "runner/http/connection.h"

#include <unistd.h>

#include <algorithm>

namespace retort {
namespace {

constexpr std::chrono::milliseconds kDrainTime{2000};
constexpr std::chrono::milliseconds kYoung{250};

}  // namespace

void HttpConnection::Start(boost::asio::io_context& io, int socket, HttpShared& shared,
                           const TlsContext* tls) {
  std::shared_ptr<HttpConnection> connection;
  try {
    connection = std::make_shared<HttpConnection>(shared);
    shared.connections.insert(connection);
  } catch (...) {
    ::close(socket);
    throw;
  }
  try {
    connection->socket_.emplace(io, socket, shared.scratch, connection, tls);
    connection->BeginRequest();
  } catch (...) {
    connection->Close();
    throw;
  }
}

HttpConnection::HttpConnection(HttpShared& shared)
    : shared_(shared),
      options_(shared.options),
      parser_(options_.header_limit, options_.body_limit),
      since_(Clock::now()),
      deadline_(Clock::time_point::max()) {}

std::optional<HttpConnection::Clock::time_point> HttpConnection::waiting_since() const {
  if (state_ == State::kAnswering || state_ == State::kClosed) return std::nullopt;
  return since_;
}

void HttpConnection::Await(State state, std::chrono::milliseconds time) {
  state_ = state;
  since_ = Clock::now();
  deadline_ = since_ + time;
}

std::chrono::milliseconds HttpConnection::TimeFor(int64_t bytes) const {
  return std::chrono::milliseconds(bytes * 1000 / std::max<int64_t>(options_.least_rate, 1));
}

void HttpConnection::Drain() {
  exchange_.reset();
  drain_left_ = 2 * options_.body_limit;
  Await(State::kDraining, kDrainTime);
  socket_->EndSending();
  socket_->Read(HttpSocket::Reading::kInput);
}

void HttpConnection::OnLate() {
  if (state_ == State::kHead) return Refuse({408, "the request's header did not arrive in time"});
  if (state_ == State::kBody) return Refuse({408, "the request's body did not arrive in time"});
  Close();
}

void HttpConnection::Tick(Clock::time_point now) {
  if (now >= deadline_) return OnLate();
  if (state_ != State::kAnswering || ping_.empty() || now - last_write_ < options_.ping) return;
  Write(parser_.head().version >= 11 ? ChunkBytes(ping_) : ping_, Then::kNextPart);
}

void HttpConnection::Evict() {
  if (state_ == State::kHead || state_ == State::kBody) {
    // Fits into the empty socket buffer.
    socket_->WriteAtOnce(AnswerBytes(
        Fault(408, "the request did not arrive in time, and others are waiting"), 11, false, true));
  }
  Close();
}

void HttpConnection::Stop(bool last_call) {
  switch (state_) {
    case State::kIdle:
      return Close();
    case State::kHead:
    case State::kBody:
      if (last_call) Refuse({503, "the server is stopping"});
      return;
    case State::kAnswering:
    case State::kWriting:
      if (last_call && exchange_) exchange_->Interrupt(Fault(503, "the server is stopping"));
      if (state_ == State::kAnswering) NextPart();
      return;
    case State::kDraining:
      if (last_call) Close();
      return;
    case State::kClosed:
      return;
  }
}

void HttpConnection::Close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  deadline_ = Clock::time_point::max();
  if (socket_) socket_->Close();
  if (share_) share_->Clear();
  parser_.DropBody();
  if (const auto exchange = std::exchange(exchange_, nullptr)) exchange->Close();
  if (shared_.connections.erase(shared_from_this()) > 0) shared_.on_closed();
}

std::shared_ptr<HttpConnection> LongestAwaited(const HttpShared& shared, bool bodies,
                                               const HttpConnection* except) {
  std::shared_ptr<HttpConnection> longest;
  HttpConnection::Clock::time_point first = HttpConnection::Clock::now() - kYoung;
  for (const auto& connection : shared.connections) {
    const auto since = connection->waiting_since();
    if (connection.get() == except || !since || *since > first) continue;
    if (bodies && !connection->reads_body()) continue;
    longest = connection;
    first = *since;
  }
  return longest;
}

}  // namespace retort
