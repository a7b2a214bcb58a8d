// SPDX-License-Identifier: Apache-2.0
#include "bench/load/answer_times.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"

namespace retort {
namespace {

constexpr size_t kMostLine = 1 << 20;
constexpr int64_t kMostEvents = 1'000'000;
constexpr int64_t kMostTokens = 1'000'000;  // more is no count of an answer's or prompt's tokens

double SecondsBetween(AnswerTimes::Clock::time_point from, AnswerTimes::Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

bool HasText(const Json& object, const char* member) {
  const auto found = object.find(member);
  return found != object.end() && found->is_string() &&
         !found->get_ref<const std::string&>().empty();
}

bool HasCalls(const Json& delta) {
  const auto calls = delta.find("tool_calls");
  return calls != delta.end() && calls->is_array() && !calls->empty();
}

// Whether an event brings text, or a part of a call.
bool BringsText(const Json& event) {
  const auto choices = event.find("choices");
  if (choices == event.end() || !choices->is_array() || choices->empty()) return false;
  const Json& choice = choices->front();
  if (!choice.is_object()) return false;
  if (HasText(choice, "text")) return true;
  const auto delta = choice.find("delta");
  if (delta == choice.end() || !delta->is_object()) return false;
  return HasText(*delta, "content") || HasText(*delta, "reasoning_content") ||
         HasText(*delta, "reasoning") || HasCalls(*delta);
}

// 0 if the member is absent or no such count.
int64_t CountIn(const Json& usage, const char* member) {
  const auto found = usage.find(member);
  if (found == usage.end() || !found->is_number_integer()) return 0;
  const auto count = found->get<int64_t>();
  return count >= 0 && count <= kMostTokens ? count : 0;
}

}  // namespace

void AnswerTimes::Take(std::string_view piece, Clock::time_point when) {
  const size_t searched = rest_.size();
  rest_ += piece;
  size_t begin = 0;
  for (size_t end = rest_.find('\n', searched); end != std::string::npos;
       end = rest_.find('\n', begin)) {
    const std::string_view line = std::string_view(rest_).substr(begin, end - begin);
    if (StartsWith(line, "data:")) TakeEvent(Strip(line.substr(5)), when);
    begin = end + 1;
  }
  rest_.erase(0, begin);
  if (rest_.size() > kMostLine)
    throw Failure("a line of the stream is above ", BytesText(kMostLine));
}

void AnswerTimes::TakeEvent(std::string_view data, Clock::time_point when) {
  if (++events_ > kMostEvents) throw Failure("the stream has over ", kMostEvents, " events");
  if (data == "[DONE]") {
    done_ = true;
    return;
  }
  const Json event = ParseJson(data, "an event of the stream");
  if (!event.is_object()) throw Failure("an event of the stream is no object");
  if (event.contains("error"))
    throw Failure("the stream ended with ", Quoted(DumpJson(event["error"])));
  const auto usage = event.find("usage");
  if (usage != event.end() && usage->is_object()) {
    tokens_ = CountIn(*usage, "completion_tokens");
    prompt_tokens_ = CountIn(*usage, "prompt_tokens");
  }
  if (!BringsText(event)) return;
  if (texts_++ == 0)
    first_ = SecondsBetween(since_, when);
  else
    between_.push_back(SecondsBetween(last_, when));
  last_ = when;
}

void AnswerTimes::End() {
  if (!done_) throw Failure("the stream was cut off");
  if (texts_ == 0) throw Failure("the answer has no text");
  whole_ = SecondsBetween(since_, last_);
  if (tokens_ == 0) tokens_ = texts_;
}

std::optional<double> AnswerTimes::each() const {
  if (tokens_ < 2) return std::nullopt;
  return (whole_ - first_) / static_cast<double>(tokens_ - 1);
}

}  // namespace retort
