// SPDX-License-Identifier: Apache-2.0
#include "bench/load/answer_times.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"

namespace retort {
namespace {

double SecondsBetween(AnswerTimes::Clock::time_point from, AnswerTimes::Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

bool HasText(const Json& object, const char* member) {
  const auto found = object.find(member);
  return found != object.end() && found->is_string() &&
         !found->get_ref<const std::string&>().empty();
}

// Whether an event brings text, or a part of a call.
bool BringsText(const Json& event) {
  const auto choices = event.find("choices");
  if (choices == event.end() || !choices->is_array() || choices->empty()) return false;
  const Json& choice = choices->front();
  if (HasText(choice, "text")) return true;
  const auto delta = choice.find("delta");
  if (delta == choice.end() || !delta->is_object()) return false;
  return HasText(*delta, "content") || HasText(*delta, "reasoning_content") ||
         delta->contains("tool_calls");
}

int64_t CountIn(const Json& usage, const char* member) {
  const auto found = usage.find(member);
  return found != usage.end() && found->is_number_integer() ? found->get<int64_t>() : 0;
}

}  // namespace

void AnswerTimes::Take(std::string_view piece) {
  rest_ += piece;
  size_t begin = 0;
  for (size_t end = rest_.find('\n'); end != std::string::npos; end = rest_.find('\n', begin)) {
    const std::string_view line = std::string_view(rest_).substr(begin, end - begin);
    if (StartsWith(line, "data:")) TakeEvent(Strip(line.substr(5)));
    begin = end + 1;
  }
  rest_.erase(0, begin);
}

void AnswerTimes::TakeEvent(std::string_view data) {
  if (data == "[DONE]") {
    done_ = true;
    return;
  }
  const Json event = ParseJson(data, "an event of the stream");
  if (!event.is_object()) throw Failure("an event of the stream is no object");
  if (event.contains("error")) throw Failure("the stream ended with ", DumpJson(event["error"]));
  const auto usage = event.find("usage");
  if (usage != event.end() && usage->is_object()) {
    tokens_ = CountIn(*usage, "completion_tokens");
    prompt_tokens_ = CountIn(*usage, "prompt_tokens");
  }
  if (!BringsText(event)) return;
  const auto now = Clock::now();
  if (texts_++ == 0)
    first_ = SecondsBetween(since_, now);
  else
    between_.push_back(SecondsBetween(last_, now));
  last_ = now;
}

void AnswerTimes::End() {
  if (!done_) throw Failure("the stream was cut off");
  if (texts_ == 0) throw Failure("the answer has no text");
  whole_ = SecondsBetween(since_, last_);
  if (tokens_ == 0) tokens_ = texts_;
}

}  // namespace retort
