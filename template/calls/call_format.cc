// SPDX-License-Identifier: Apache-2.0
#include "template/calls/call_format.h"

#include <algorithm>

#include "base/ascii.h"
#include "base/strings.h"

namespace retort {

bool IsAsciiSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

bool IsIdCharacter(char c) { return IsLetterOrDigit(c) || c == '_' || c == '-' || c == '.'; }

Marks SplitMarks(std::string_view text) {
  Marks marks;
  bool open = false;  // whether the last mark may grow
  for (const char c : text) {
    if (IsAsciiSpace(c)) {
      open = false;
      continue;
    }
    if (!open || c == '<' || c == '[') marks.emplace_back();
    marks.back() += c;
    open = c != '>' && c != ']';
  }
  return marks;
}

bool AnswerFormat::HasMark(std::string_view token) const {
  if (token.empty()) return false;
  const auto in = [&](const Marks& marks) {
    return std::ranges::any_of(
        marks, [&](const std::string& m) { return m.find(token) != std::string::npos; });
  };
  return in({think_open, think_close}) || std::ranges::any_of(calls, [&](const CallFormat& f) {
           return in(f.section_open) || in(f.call_open) || in(f.call_close) ||
                  in(f.section_close) || in(f.after_name) || in(f.argument_open) ||
                  in(f.argument_value) || in(f.argument_close);
         });
}

std::string WithThought(const AnswerFormat& format, const std::string& thought,
                        const std::string& content) {
  return Cat(format.think_open, "\n", thought, "\n", format.think_close, "\n\n", content);
}

MarkMatcher::State MarkMatcher::Push(char c) {
  if (marks_[mark_].empty()) {
    if (IsIdCharacter(c)) return State::kGoing;
    ++mark_;  // what follows is a mark that begins with no such character
    if (mark_ == marks_.size()) return State::kFailed;
  }
  const std::string& mark = marks_[mark_];
  if (byte_ == 0 && IsAsciiSpace(c)) return State::kGoing;
  if (mark[byte_] != c) return State::kFailed;
  if (++byte_ < mark.size()) return State::kGoing;
  byte_ = 0;
  return ++mark_ == marks_.size() ? State::kMatched : State::kGoing;
}

}  // namespace retort
