// SPDX-License-Identifier: Apache-2.0
// The answer to one request, on its way from the threads that make it to the one that writes it.
#pragma once

#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "runner/http/message.h"

namespace retort {

// Sends the answer to one request: either Answer() once, or Begin(), any number of Send(), End().
// All may be called on any thread. What is sent after the end, or to a client that has gone, is
// dropped.
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;
  virtual void Answer(HttpAnswer answer) = 0;
  virtual void Begin(HttpStream stream) = 0;
  virtual void Send(std::string bytes) = 0;
  virtual void End() = 0;
  // Whether nothing that is sent can reach the client any more.
  virtual bool gone() const = 0;
  // `on_gone` is called once if this happens before the answer's end: on the server's thread, or at
  // once if it has happened already.
  virtual void OnGone(std::function<void()> on_gone) = 0;
};

// The exchange of a connection: a queue of pieces.
class HttpOutbox : public HttpExchange {
 public:
  struct Part {
    enum class Kind { kWhole, kBegin, kBytes, kEnd } kind;
    HttpAnswer answer;  // of kWhole
    HttpStream stream;  // of kBegin
    std::string bytes;  // of kBytes
  };

  // `wake` is called after each piece, on the thread that sent it. A client that leaves more than
  // `most_unread` bytes of a stream unread is taken for gone.
  HttpOutbox(std::function<void()> wake, int64_t most_unread)
      : wake_(std::move(wake)), most_unread_(most_unread) {}

  void Answer(HttpAnswer answer) override { Push({Part::Kind::kWhole, std::move(answer), {}, {}}); }
  void Begin(HttpStream stream) override;
  void Send(std::string bytes) override { Push({Part::Kind::kBytes, {}, {}, std::move(bytes)}); }
  void End() override { Push({Part::Kind::kEnd, {}, {}, {}}); }
  bool gone() const override;
  void OnGone(std::function<void()> on_gone) override;

  // For the connection.
  std::optional<Part> Pop();
  bool overfull() const;
  // The client has gone, or the connection has ended.
  void Close();
  // Ends the answer now, with the stream's last words or with `whole` if none has begun, unless its
  // end has been sent already. Those who make it are told that the client has gone.
  void Interrupt(HttpAnswer whole);

 private:
  void Push(Part part);
  void Leave(std::unique_lock<std::mutex> lock);

  const std::function<void()> wake_;
  const int64_t most_unread_;
  mutable std::mutex mutex_;
  std::deque<Part> parts_;
  std::string last_words_;
  int64_t unread_ = 0;
  bool begun_ = false, ended_ = false, gone_ = false;
  std::function<void()> on_gone_;
};

}  // namespace retort
