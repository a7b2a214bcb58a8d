// SPDX-License-Identifier: Apache-2.0
// From what the engine makes to what the client gets, for one request.
#pragma once

#include <atomic>
#include <exception>
#include <memory>
#include <string>

#include "runner/engine.h"
#include "runner/http_exchange.h"
#include "runner/openai_answer.h"

namespace retort {

HttpAnswer ErrorAnswer(const ApiError& error);

// One of the places for requests that run or wait. Free again when it is destroyed, on any thread.
class ServerPlace {
 public:
  // Null if `most` are taken.
  static std::unique_ptr<ServerPlace> Take(std::atomic<int64_t>& taken, int64_t most);
  ~ServerPlace() { --taken_; }
  ServerPlace(const ServerPlace&) = delete;
  ServerPlace& operator=(const ServerPlace&) = delete;

 private:
  explicit ServerPlace(std::atomic<int64_t>& taken) : taken_(taken) {}
  std::atomic<int64_t>& taken_;
};

// Sends the result of a request to its client. Begin() comes first; then it is used on the engine's
// thread.
class ServerReply {
 public:
  ServerReply(std::shared_ptr<HttpExchange> exchange, std::unique_ptr<ServerPlace> place,
              ApiAnswer answer, bool stream, int64_t prompt_tokens);

  // Sends a stream's header, so that its client knows that the request was accepted.
  void Begin();
  void OnEvent(const GenerationEvent& event);
  void Fail(const ApiError& error);
  void Fail(const std::exception& reason);

 private:
  void Stream(const GenerationEvent& event);

  std::shared_ptr<HttpExchange> exchange_;
  std::unique_ptr<ServerPlace> place_;
  ApiAnswer answer_;
  bool stream_;
  ApiUsage usage_;
  std::string text_;
};

}  // namespace retort
