// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "runner/answer/call_reader.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

constexpr size_t kMostTagBytes = 256;  // of a name

// A value as JSON. What is no JSON is a text, and so is what the schema says to be one.
std::string ValueJson(const std::string& text, const std::vector<std::string>& types) {
  if (OnlyText(types)) return DumpJson(text);
  const std::string_view stripped = Strip(text);
  // Templates that write values as Python does.
  if (stripped == "True") return "true";
  if (stripped == "False") return "false";
  if (stripped == "None") return "null";
  try {
    ParseJson(stripped, "", false, RepeatedKeys::kLast);
    return std::string(stripped);
  } catch (const Error&) {
    return DumpJson(text);
  }
}

// NAME, then each argument's name and value between marks.
class TaggedReader : public CallReader {
 public:
  TaggedReader(const CallFormat& format, const std::vector<Tool>& tools)
      : format_(format), tools_(tools), after_name_(format.after_name), marks_({}) {}

  State Push(char c) override;

 private:
  enum class At { kName, kAfterName, kBetween, kOpening, kKey, kToValue, kValue, kClosing };

  State InName(char c);
  State EndName();
  State Between(char c);
  State InMarks(char c, At next);
  State InKey(char c);
  State InValue(char c);
  State BeginValue();
  State EndValue();
  void SendText(size_t keep);
  // Continues behind the first of these marks.
  State Behind(const Marks& marks, At within, At next);

  const CallFormat& format_;
  const std::vector<Tool>& tools_;
  MarkMatcher after_name_, marks_;
  At at_ = At::kName;
  std::string held_, key_, value_;
  std::vector<std::string> types_;  // of the argument
  size_t sent_ = 0;                 // bytes of the value that arguments_ has
  std::set<std::string> keys_;      // of the arguments so far
};

CallReader::State TaggedReader::Push(char c) {
  switch (at_) {
    case At::kName:
      return InName(c);
    case At::kAfterName: {
      const MarkMatcher::State state = after_name_.Push(c);
      if (state == MarkMatcher::State::kMatched) return EndName();
      return state == MarkMatcher::State::kFailed ? State::kBroken : State::kGoing;
    }
    case At::kBetween:
      return Between(c);
    case At::kOpening:
      return InMarks(c, At::kKey);
    case At::kKey:
      return InKey(c);
    case At::kToValue:
      return InMarks(c, At::kValue);
    case At::kValue:
      return InValue(c);
    case At::kClosing:
      return InMarks(c, At::kBetween);
  }
  return State::kBroken;
}

CallReader::State TaggedReader::InName(char c) {
  if (IsIdCharacter(c)) {
    name_ += c;
    return name_.size() > kMostTagBytes ? State::kBroken : State::kGoing;
  }
  if (name_.empty()) return IsAsciiSpace(c) ? State::kGoing : State::kBroken;
  if (after_name_.empty()) {
    EndName();
    return Between(c);
  }
  at_ = At::kAfterName;
  return Push(c);
}

CallReader::State TaggedReader::EndName() {
  at_ = At::kBetween;
  arguments_begun_ = true;
  arguments_ = "{";
  return State::kGoing;
}

CallReader::State TaggedReader::Between(char c) {
  if (held_.empty() && IsAsciiSpace(c)) return State::kGoing;
  held_ += c;
  const std::string& open = format_.argument_open.front();
  const std::string& close = format_.call_close.front();
  if (held_ == close) {
    arguments_ += "}";
    return State::kDone;
  }
  if (held_ == open) {
    held_.clear();
    key_.clear();
    return Behind(format_.argument_open, At::kOpening, At::kKey);
  }
  return StartsWith(open, held_) || StartsWith(close, held_) ? State::kGoing : State::kBroken;
}

CallReader::State TaggedReader::Behind(const Marks& marks, At within, At next) {
  marks_ = MarkMatcher({marks.begin() + 1, marks.end()});
  at_ = marks_.empty() ? next : within;
  return State::kGoing;
}

CallReader::State TaggedReader::InMarks(char c, At next) {
  const MarkMatcher::State state = marks_.Push(c);
  if (state == MarkMatcher::State::kMatched) {
    at_ = next;
    if (next == At::kValue) return BeginValue();
  }
  return state == MarkMatcher::State::kFailed ? State::kBroken : State::kGoing;
}

CallReader::State TaggedReader::InKey(char c) {
  if (c == format_.argument_value.front().front() && !key_.empty()) {
    marks_ = MarkMatcher(format_.argument_value);
    at_ = At::kToValue;
    return InMarks(c, At::kValue);
  }
  key_ += c;
  const bool odd = c == '<' || c == '\n' || c == '"' || key_.size() > kMostTagBytes;
  return odd ? State::kBroken : State::kGoing;
}

CallReader::State TaggedReader::BeginValue() {
  value_.clear();
  types_.clear();
  sent_ = 0;
  if (!keys_.insert(key_).second) return State::kBroken;
  for (const Tool& tool : tools_) {
    const auto found = tool.types.find(key_);
    if (tool.name == name_ && found != tool.types.end()) types_ = found->second;
  }
  arguments_ +=
      Cat(keys_.size() > 1 ? ", " : "", DumpJson(key_), ": ", OnlyText(types_) ? "\"" : "");
  return State::kGoing;
}

CallReader::State TaggedReader::InValue(char c) {
  value_ += c;
  const std::string& close = format_.argument_close.front();
  if (!EndsWith(value_, close)) {
    if (OnlyText(types_)) SendText(close.size() + 1);
    return State::kGoing;
  }
  value_.resize(value_.size() - close.size());
  return EndValue();
}

CallReader::State TaggedReader::EndValue() {
  const bool line = format_.value_lines;
  if (line && EndsWith(value_, "\n")) value_.pop_back();
  if (OnlyText(types_)) {
    SendText(0);
    arguments_ += '"';
  } else {
    arguments_ += ValueJson(line && StartsWith(value_, "\n") ? value_.substr(1) : value_, types_);
  }
  return Behind(format_.argument_close, At::kClosing, At::kBetween);
}

// All of the value but its last bytes, which may be a mark's or half a character.
void TaggedReader::SendText(size_t keep) {
  if (sent_ == 0 && format_.value_lines && StartsWith(value_, "\n")) sent_ = 1;
  const size_t end = Utf8Begin(value_, value_.size() - std::min(keep, value_.size()));
  if (end <= sent_) return;
  const std::string quoted = DumpJson(value_.substr(sent_, end - sent_));
  arguments_ += quoted.substr(1, quoted.size() - 2);
  sent_ = end;
}

}  // namespace

bool OnlyText(const std::vector<std::string>& types) {
  return types.size() == 1 && types[0] == "string";
}

std::unique_ptr<CallReader> MakeTaggedReader(const CallFormat& format,
                                             const std::vector<Tool>& tools) {
  return std::make_unique<TaggedReader>(format, tools);
}

}  // namespace retort
