// SPDX-License-Identifier: Apache-2.0
// One client's connection: reads its requests within limits, has them judged and handled, and
// writes the answers. Used on the server's thread only.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "runner/http/parser.h"
#include "runner/http/rules.h"
#include "runner/http/server.h"
#include "runner/http/socket.h"

namespace retort {

class HttpConnection;

// What the connections of a server share.
struct HttpShared {
  HttpOptions options;
  HttpHandlers handlers;
  HostRule hosts;
  std::set<std::shared_ptr<HttpConnection>> connections;
  std::shared_ptr<std::atomic<int64_t>> body_bytes = std::make_shared<std::atomic<int64_t>>(0);
  std::vector<char> scratch = std::vector<char>(size_t{64} << 10);
  bool stopping = false;
  std::function<void()> on_closed;  // a connection has left `connections`
};

class HttpConnection : public HttpSocketEvents,
                       public std::enable_shared_from_this<HttpConnection> {
 public:
  using Clock = std::chrono::steady_clock;

  // Takes over a connected socket and serves it until either side closes. tls: null without.
  static void Start(boost::asio::io_context& io, int socket, HttpShared& shared,
                    const TlsContext* tls = nullptr);
  explicit HttpConnection(HttpShared& shared);

  // Since when the server waits for the client. Nullopt: the client waits for the server.
  std::optional<Clock::time_point> waiting_since() const;
  bool reads_body() const { return state_ == State::kBody; }
  // Ends what takes too long, and sends pings. Called several times a second.
  void Tick(Clock::time_point now);
  // Closes at once, and frees its memory. A client in the middle of a request is told.
  void Evict();
  // Closes it if it is idle. last_call: also ends its request or answer with a word.
  void Stop(bool last_call);

 private:
  // kAnswering: the answer is being made. In all other states the client is waited for.
  enum class State { kIdle, kHead, kBody, kAnswering, kWriting, kDraining, kClosed };
  enum class Then { kNextRequest, kBody, kNextPart, kDrain };  // after a write

  // Reading: http_reading.cc.
  void OnInput(std::string_view bytes) override;
  void BeginRequest();
  // Reads on with what has arrived, as far as the request's end.
  void Advance();
  bool PassHead();
  void AdvanceBody();
  bool ChargeBody();
  void Refuse(const HttpFault& fault);

  // Answering: http_answering.cc.
  void Handle();
  // Sends an answer that needs no exchange.
  void Respond(HttpAnswer answer, bool keep_alive);
  void NextPart();
  void Write(std::string bytes, Then then);
  void OnWritten(bool all) override;
  void OnWake() override;
  HttpAnswer Fault(int status, const std::string& message) const;
  bool KeepsAlive() const { return parser_.head().keep_alive && !shared_.stopping; }

  // Life: connection.cc.
  void OnEnd() override { Close(); }
  void OnFailure() override { Close(); }
  // From now on the client is waited for, `time` at most.
  void Await(State state, std::chrono::milliseconds time);
  std::chrono::milliseconds TimeFor(int64_t bytes) const;
  // Reads until the client closes too. Closing a socket with unread input would reset the
  // connection, and the client could lose the answer.
  void Drain();
  void OnLate();
  void Close();

  HttpShared& shared_;
  std::string request_id_;  // of the request that is read or answered; "": there is none yet
  const HttpOptions& options_;
  std::optional<HttpSocket> socket_;
  HttpParser parser_;
  State state_ = State::kIdle;
  Then then_ = Then::kNextRequest;
  Clock::time_point since_, deadline_;
  Clock::time_point body_since_;
  std::shared_ptr<BodyShare> share_;  // of the body that is being read
  bool go_on_due_ = false;            // the client waits for 100 Continue
  int64_t drain_left_ = 0;
  std::shared_ptr<HttpOutbox> exchange_;  // of the request being answered
  std::string ping_;                      // of the stream being sent
  Clock::time_point last_write_;
};

// The connection that has been waited for longest, of all or of those that send a body. Null if
// there is none but `except`, or none for a quarter of a second: a client that has just connected
// gets that long to send its request.
std::shared_ptr<HttpConnection> LongestAwaited(const HttpShared& shared, bool bodies,
                                               const HttpConnection* except = nullptr);

}  // namespace retort
