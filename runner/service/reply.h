// SPDX-License-Identifier: Apache-2.0
// From what the engine makes to what the client gets, for one request.
#pragma once

#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "runner/answer/answer_parser.h"
#include "runner/api/answer.h"
#include "runner/api/error.h"
#include "runner/engine/request.h"
#include "runner/http/exchange.h"

namespace retort {

// `body`: what the API of the request makes of the error.
HttpAnswer ErrorAnswer(const ApiError& error, std::string body);

inline constexpr int kClientClosed = 499;  // a request's status, as logs of HTTP servers have it

// Some of the places for answers that run or wait. Free again when it is destroyed, on any thread.
class ServerPlaces {
 public:
  // Null if fewer than `count` of `most` are free.
  static std::unique_ptr<ServerPlaces> Take(std::atomic<int64_t>& taken, int64_t count,
                                            int64_t most);
  // False, and none is taken, if `count` more are not free.
  bool TakeMore(int64_t count);
  ~ServerPlaces() { taken_ -= count_; }
  ServerPlaces(const ServerPlaces&) = delete;
  ServerPlaces& operator=(const ServerPlaces&) = delete;

 private:
  ServerPlaces(std::atomic<int64_t>& taken, int64_t most) : taken_(taken), most_(most) {}
  std::atomic<int64_t>& taken_;
  int64_t most_, count_ = 0;
};

// One answer on its way: what is told of it, and how its text is read.
struct ReplyChoice {
  ApiChoice told;
  std::unique_ptr<AnswerParser> parser;  // of a chat; null: the text is the answer
  // With an echo, what the answer begins with: the prompt's text, and its first token, of which the
  // model says nothing.
  std::string echo;
  int32_t first_id = -1;                   // -1: the prompt's tokens are not scored for this one
  std::vector<TokenLogprobs> untold = {};  // tokens whose text is held back
};

// What became of a request.
struct ReplyOutcome {
  int status = 200;
  std::string error;               // "": none
  ApiAnswer answer;                // what is told of it, or as far as it came
  double first_token_seconds = 0;  // since the request's arrival; 0: there was none
  std::string text = {};           // of a program: what its steps have added
};

struct ReplyOptions {
  std::shared_ptr<const void> model;  // of the answer, and of all that is made for it
  bool stream = false;
  int64_t told = 1;  // answers to each prompt that are told: of more, the likeliest ones
  std::function<std::string()> call_ids;                    // draws the ids of calls
  std::function<void(const ReplyOutcome& outcome)> on_end;  // called once
  std::function<void()> cancel;  // stops what is generated: it is over, and was not finished
  std::chrono::steady_clock::time_point since;  // the request's arrival
};

// Sends the result of a request to its client. Thread-safe.
class ServerReply {
 public:
  ServerReply(std::shared_ptr<HttpExchange> exchange, std::unique_ptr<ServerPlaces> places,
              std::unique_ptr<AnswerWriter> writer, std::vector<ReplyChoice> choices,
              ReplyOptions options);
  // Tells of a client that has gone before the end.
  ~ServerReply();

  // Sends a stream's header, so that its client knows that the request was accepted.
  void Begin();
  // False: this choice has ended, and no more of it is wanted.
  bool OnEvent(size_t choice, const GenerationEvent& event);
  // Before the choice's last event.
  void TakeFields(size_t choice, std::vector<FieldChoice> fields);
  void Fail(const ApiError& error);
  void Fail(const std::exception& reason);

 private:
  void FailNow(const ApiError& error);
  void TellReading(const ApiChoice& choice, const GenerationEvent& event);
  void Tell(ReplyChoice& choice, const std::vector<AnswerPart>& parts);
  void KeepTokens(ReplyChoice& choice) const;
  void Gather(ApiChoice& choice, const AnswerPart& part);
  void End();
  ApiAnswer Answer() const;
  static void ShareScores(ApiAnswer& answer);
  void KeepLikeliest(ApiAnswer& answer) const;
  void Report(int status, const std::string& error, ApiAnswer answer);

  std::mutex mutex_;
  ReplyOptions options_;  // the model in it outlives the rest
  std::shared_ptr<HttpExchange> exchange_;
  std::unique_ptr<ServerPlaces> places_;
  std::unique_ptr<AnswerWriter> writer_;
  std::vector<ReplyChoice> choices_;
  std::string out_;  // of a stream, to be sent
  size_t left_;      // choices that have not ended
  bool over_ = false;
  double first_token_ = 0;
};

}  // namespace retort
