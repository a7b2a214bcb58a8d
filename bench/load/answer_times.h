// SPDX-License-Identifier: Apache-2.0
// When the tokens of one streamed answer came.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace retort {

class AnswerTimes {
 public:
  using Clock = std::chrono::steady_clock;

  explicit AnswerTimes(Clock::time_point since) : since_(since) {}

  // A piece of the stream that came at `when`. Throws Error{kFailure} on the server's error event,
  // on a line above 1 MiB, and after a million events.
  void Take(std::string_view piece, Clock::time_point when);
  // The stream has ended. Throws Error{kFailure} if it was cut off or said nothing.
  void End();

  // In seconds: until the first text, between texts (most servers send one for each token), and
  // until the end.
  double first() const { return first_; }
  const std::vector<double>& between() const { return between_; }
  double whole() const { return whole_; }
  // The mean time of a token after the first, however many a text holds.
  std::optional<double> each() const;
  int64_t tokens() const { return tokens_; }                // as the server counts them, or texts
  int64_t prompt_tokens() const { return prompt_tokens_; }  // 0: the server does not tell

 private:
  void TakeEvent(std::string_view data, Clock::time_point when);

  const Clock::time_point since_;
  Clock::time_point last_;
  std::string rest_;  // of a line
  double first_ = 0, whole_ = 0;
  std::vector<double> between_;
  int64_t events_ = 0, texts_ = 0, tokens_ = 0, prompt_tokens_ = 0;
  bool done_ = false;
};

}  // namespace retort
