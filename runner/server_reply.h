// SPDX-License-Identifier: Apache-2.0
// From what the engine makes to what the client gets, for one request.
#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runner/answer/answer_parser.h"
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
  // parser: of a chat; null: the text is the answer. call_ids draws the ids of calls.
  ServerReply(std::shared_ptr<HttpExchange> exchange, std::unique_ptr<ServerPlace> place,
              ApiAnswer answer, bool stream, int64_t prompt_tokens,
              std::unique_ptr<AnswerParser> parser, std::function<std::string()> call_ids);

  // Sends a stream's header, so that its client knows that the request was accepted.
  void Begin();
  // False: the answer has ended, and no more of it is wanted.
  bool OnEvent(const GenerationEvent& event);
  void Fail(const ApiError& error);
  void Fail(const std::exception& reason);

 private:
  std::vector<AnswerPart> PartsOf(const GenerationEvent& event, bool ends);
  void Gather(const std::vector<AnswerPart>& parts);
  void Stream(const std::vector<AnswerPart>& parts, FinishReason finish);

  std::shared_ptr<HttpExchange> exchange_;
  std::unique_ptr<ServerPlace> place_;
  ApiAnswer answer_;
  bool stream_;
  ApiUsage usage_;
  std::unique_ptr<AnswerParser> parser_;
  std::function<std::string()> call_ids_;
  ApiMessage said_;
};

}  // namespace retort
