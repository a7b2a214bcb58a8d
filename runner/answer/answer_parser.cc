// SPDX-License-Identifier: Apache-2.0
#include "runner/answer/answer_parser.h"

#include <algorithm>
#include <utility>

#include "base/strings.h"

namespace retort {
namespace {

// Whether a format's call begins with this byte behind the marks.
bool Begins(const CallFormat& format, char c) {
  return format.shape == CallFormat::Shape::kObject ? c == '{' || c == '[' : IsIdCharacter(c);
}

}  // namespace

AnswerParser::AnswerParser(const AnswerFormat& format, std::vector<Tool> tools,
                           const Options& options)
    : format_(format), tools_(std::move(tools)), options_(options) {
  for (const CallFormat& f : format_.calls) {
    if (!f.section_open.empty()) {
      openings_.push_back({&f, f.section_open});
      Marks& marks = openings_.back().marks;
      marks.insert(marks.end(), f.call_open.begin(), f.call_open.end());
    }
    if (!f.call_open.empty()) openings_.push_back({&f, f.call_open});
    if (f.IsBare() && !bare_) bare_ = &f;
  }
}

void AnswerParser::Push(std::string_view text, std::vector<AnswerPart>& out) {
  out_ = &out;
  for (const char c : text) Step(c);
}

void AnswerParser::Step(char c) {
  switch (at_) {
    case At::kStart:
      return Start(c);
    case At::kThought:
      return Thought(c);
    case At::kContent:
      return Content(c);
    case At::kOpening:
      return Opening(c);
    case At::kCall:
      return Call(c);
    case At::kList:
      return List(c);
    case At::kSpoilt:
      return Spoilt(c);
    case At::kEnded:
      return;
  }
}

void AnswerParser::Put(AnswerPart::Kind kind, std::string_view text) {
  if (text.empty() && kind != AnswerPart::Kind::kCall) return;
  const bool joins = kind != AnswerPart::Kind::kCall && !out_->empty() && out_->back().kind == kind;
  if (joins)
    out_->back().text += text;
  else
    out_->push_back({kind, std::string(text)});
}

// A further byte of the content or of a thought.
void AnswerParser::Say(char c) {
  const bool thought = at_ == At::kThought;
  const auto kind = thought ? AnswerPart::Kind::kThought : AnswerPart::Kind::kContent;
  if (IsAsciiSpace(c) && (thought || options_.calls || trim_)) {
    space_ += c;
    return;
  }
  if (!said_ && trim_) space_.clear();
  Put(kind, std::exchange(space_, ""));
  Put(kind, std::string_view(&c, 1));
  said_ = true;
  after_call_ = false;
}

void AnswerParser::Start(char c) {
  held_ += c;
  const std::string_view mark(held_.data() + space_.size(), held_.size() - space_.size());
  if (mark.size() == 1 && IsAsciiSpace(c)) {
    space_ += c;  // held_ begins with it
    return;
  }
  const bool opens = mark == format_.think_open;
  if (!opens && !format_.think_open.empty() && StartsWith(format_.think_open, mark)) return;
  const std::string text = opens ? "" : held_;
  held_.clear();
  space_.clear();
  trim_ = opens || options_.in_thought;
  at_ = trim_ ? At::kThought : At::kContent;
  for (const char again : text) Step(again);
}

void AnswerParser::Thought(char c) {
  held_ += c;
  const std::string& close = format_.think_close;
  while (!held_.empty() && !StartsWith(close, held_)) {
    Say(held_[0]);
    held_.erase(0, 1);
  }
  if (held_ != close || close.empty()) return;
  held_.clear();
  space_.clear();
  said_ = false;
  at_ = At::kContent;
}

void AnswerParser::Content(char c) {
  if (!options_.calls) return Say(c);
  if (held_.empty()) {
    if (IsAsciiSpace(c)) return Say(c);
    if (bare_ && MayStandBare() && c == '{') return BeginCall(*bare_, c);
    if (after_call_ && call_format_->OpensSectionAlone() && c == '{')
      return BeginCall(*call_format_, c);
    if (bare_ && bare_->list && MayStandBare() && c == '[') return OpenList(*bare_);
    if (bare_ && after_call_ && (c == ';' || c == ',')) {
      space_ += c;
      return;
    }
  }
  held_ += c;
  while (!held_.empty()) {
    if (IsClosing(held_, true)) {
      held_.clear();
      space_.clear();
      return;
    }
    if (Open(held_) || BeginsMark(held_)) return;
    Say(held_[0]);
    held_.erase(0, 1);
  }
}

// Whether the text is a mark that closes a call, directly behind one.
bool AnswerParser::IsClosing(std::string_view text, bool whole) const {
  if (!after_call_ || !call_format_) return false;
  const auto fits = [&](const std::string& mark) {
    return whole ? mark == text : StartsWith(mark, text);
  };
  return std::ranges::any_of(call_format_->call_close, fits) ||
         std::ranges::any_of(call_format_->section_close, fits);
}

bool AnswerParser::BeginsMark(std::string_view text) const {
  if (IsClosing(text, false)) return true;
  return std::ranges::any_of(
      openings_, [&](const OpeningMarks& o) { return StartsWith(o.marks.front(), text); });
}

// If this is the first mark of a call, looks for the others.
bool AnswerParser::Open(const std::string& mark) {
  candidates_.clear();
  for (const auto& [format, marks] : openings_) {
    if (marks.front() == mark)
      candidates_.push_back(
          {format, MarkMatcher({marks.begin() + 1, marks.end()}), marks.size() == 1});
  }
  if (candidates_.empty()) return false;
  raw_ = std::exchange(held_, "");
  opened_ = raw_.size();
  list_ = false;
  at_ = At::kOpening;
  return true;
}

void AnswerParser::Opening(char c) {
  if (list_) {
    if (c == '{') return BeginCall(*call_format_, c);
    raw_ += c;
    if (!IsAsciiSpace(c)) GiveUp(opened_);
    return;
  }
  if (!IsAsciiSpace(c)) {
    for (const Candidate& candidate : candidates_) {
      if (!candidate.matched || !Begins(*candidate.format, c)) continue;
      return c == '[' ? OpenList(*candidate.format) : BeginCall(*candidate.format, c);
    }
  }
  raw_ += c;
  std::vector<Candidate> left;
  for (Candidate& candidate : candidates_) {
    if (candidate.matched) {
      if (IsAsciiSpace(c)) left.push_back(std::move(candidate));
      continue;
    }
    const MarkMatcher::State state = candidate.marks.Push(c);
    candidate.matched = state == MarkMatcher::State::kMatched;
    if (state != MarkMatcher::State::kFailed) left.push_back(std::move(candidate));
  }
  candidates_ = std::move(left);
  if (candidates_.empty()) GiveUp(opened_);
}

void AnswerParser::OpenList(const CallFormat& format) {
  if (at_ != At::kOpening) raw_.clear(), opened_ = 1;
  raw_ += '[';
  call_format_ = &format;
  list_ = true;
  at_ = At::kOpening;
}

void AnswerParser::BeginCall(const CallFormat& format, char c) {
  call_format_ = &format;
  if (at_ != At::kOpening) raw_.clear();
  reader_ = MakeCallReader(format, tools_);
  told_ = known_ = false;
  at_ = At::kCall;
  Call(c);
}

void AnswerParser::GiveUp(size_t again) {
  at_ = At::kContent;
  list_ = false;
  reader_.reset();
  const std::string text = std::exchange(raw_, "");
  again = std::min(again, text.size());
  for (const char c : text.substr(0, again)) Say(c);
  for (const char c : text.substr(again)) Step(c);
}

bool AnswerParser::Knows(const std::string& name) const {
  return std::ranges::find(tools_, name, &Tool::name) != tools_.end();
}

void AnswerParser::Call(char c) {
  const CallReader::State state = reader_->Push(c);
  bool stranger = false;
  if (!told_ && !known_ && call_format_ == bare_ && !reader_->name().empty()) {
    known_ = Knows(reader_->name());
    stranger = !known_;
  }
  if (told_ && state == CallReader::State::kBroken) {
    at_ = At::kSpoilt;
    return Spoilt(c);
  }
  if (!told_) raw_ += c;
  // A byte that cannot belong to a call may begin another one.
  if (state == CallReader::State::kBroken) return GiveUp(raw_.size() - 1);
  if (stranger) return GiveUp(raw_.size());
  const bool done = state == CallReader::State::kDone;
  if (!told_ && reader_->begun() && (done || !options_.whole_calls)) TellCall();
  if (told_) Put(AnswerPart::Kind::kArguments, reader_->TakeArguments());
  if (done) EndCall();
}

void AnswerParser::TellCall() {
  Put(AnswerPart::Kind::kCall, reader_->name());
  told_ = true;
  ++calls_;
  raw_.clear();
  space_.clear();
}

void AnswerParser::EndCall() {
  reader_.reset();
  after_call_ = true;
  trim_ = trim_ || !said_;
  at_ = options_.one_call ? At::kEnded : list_ ? At::kList : At::kContent;
}

void AnswerParser::List(char c) {
  if (IsAsciiSpace(c) || c == ',') return;
  if (c == '{') return BeginCall(*call_format_, c);
  list_ = false;
  at_ = At::kContent;
  if (c != ']') Content(c);
}

// The rest of arguments that are no JSON, up to the call's closing mark.
void AnswerParser::Spoilt(char c) {
  held_ += c;
  const std::string close = call_format_->call_close.empty() ? "" : call_format_->call_close[0];
  if (!close.empty() && held_ == close) {
    held_.clear();
    return EndCall();
  }
  while (!held_.empty() && !(StartsWith(close, held_) && !close.empty())) {
    Put(AnswerPart::Kind::kArguments, std::string_view(held_).substr(0, 1));
    held_.erase(0, 1);
  }
}

void AnswerParser::Finish(std::vector<AnswerPart>& out) {
  out_ = &out;
  if (at_ == At::kSpoilt) Put(AnswerPart::Kind::kArguments, std::exchange(held_, ""));
  if (at_ == At::kOpening || (at_ == At::kCall && !told_)) GiveUp(raw_.size());
  const bool thought = at_ == At::kThought || (at_ == At::kStart && options_.in_thought);
  if (at_ == At::kStart) {
    at_ = thought ? At::kThought : At::kContent;
    trim_ = thought;
    space_.clear();  // held_ has it
  }
  if (at_ == At::kThought || at_ == At::kContent) {
    for (const char c : std::exchange(held_, "")) Say(c);
    if (!thought && !after_call_ && !(trim_ && !said_))
      Put(AnswerPart::Kind::kContent, std::exchange(space_, ""));
  }
  at_ = At::kEnded;
}

}  // namespace retort
