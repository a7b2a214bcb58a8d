// SPDX-License-Identifier: Apache-2.0
#include "runner/answer/call_reader.h"
#include "runner/answer/json_follower.h"

namespace retort {
namespace {

constexpr size_t kMostCallNameBytes = 256;

// NAME and marks, then the arguments as a JSON object. Before the object the marks may be missing.
class NamedReader : public CallReader {
 public:
  explicit NamedReader(const Marks& after_name) : marks_(after_name) {}

  State Push(char c) override {
    switch (at_) {
      case At::kName:
        return InName(c);
      case At::kNameEnded:
        return IsAsciiSpace(c) ? State::kGoing : BehindName(c);
      case At::kMarks:
        return InMarks(c);
      case At::kArguments:
        break;
    }
    return InArguments(c);
  }

 private:
  enum class At { kName, kNameEnded, kMarks, kArguments };

  State InName(char c) {
    if (IsAsciiSpace(c)) {
      if (!name_.empty()) at_ = At::kNameEnded;
      return State::kGoing;
    }
    if (!IsIdCharacter(c)) return name_.empty() ? State::kBroken : BehindName(c);
    name_ += c;
    return name_.size() > kMostCallNameBytes ? State::kBroken : State::kGoing;
  }
  State BehindName(char c) {
    if (c == '{') return InArguments(c);
    if (marks_.empty()) return State::kBroken;
    at_ = At::kMarks;
    return InMarks(c);
  }
  State InMarks(char c) {
    const MarkMatcher::State state = marks_.Push(c);
    if (state == MarkMatcher::State::kMatched) at_ = At::kArguments;
    return state == MarkMatcher::State::kFailed ? State::kBroken : State::kGoing;
  }
  State InArguments(char c) {
    at_ = At::kArguments;
    if (!arguments_begun_ && IsAsciiSpace(c)) return State::kGoing;
    if (!arguments_begun_ && c != '{') return State::kBroken;
    const JsonFollower::Event event = follower_.Push(c);
    if (event == JsonFollower::Event::kBroken) return State::kBroken;
    arguments_begun_ = true;
    arguments_ += c;
    return event == JsonFollower::Event::kDone ? State::kDone : State::kGoing;
  }

  MarkMatcher marks_;
  JsonFollower follower_;
  At at_ = At::kName;
};

}  // namespace

std::unique_ptr<CallReader> MakeNamedReader(const CallFormat& format) {
  return std::make_unique<NamedReader>(format.after_name);
}

}  // namespace retort
