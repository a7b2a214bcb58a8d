// SPDX-License-Identifier: Apache-2.0
// Parts a model's text, as it is generated, into thoughts, content and calls of tools.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runner/answer/call_reader.h"
#include "template/calls/call_format.h"

namespace retort {

// A further part of an answer.
struct AnswerPart {
  enum class Kind {
    kContent,
    kThought,
    kCall,      // a call begins; the text is the tool's name
    kArguments  // of the last call
  };
  Kind kind;
  std::string text;
  bool operator==(const AnswerPart&) const = default;
};

// Texts that are not calls are content, whatever marks they begin with: nothing is lost but the
// marks and the white space around calls and thoughts. What the parts are does not depend on how
// the text is cut into pieces. Takes time in proportion to the text.
class AnswerParser {
 public:
  struct Options {
    bool in_thought = false;  // the prompt has opened a thought
    bool calls = false;       // whether calls are looked for
    // A call is told when it is complete, so that what turns out to be none is content. Otherwise
    // it is told when its name is known and its arguments have begun; if they are then no JSON, all
    // that stands before the marks that close the call is their text.
    bool whole_calls = true;
    bool one_call = false;  // what follows the first call is not part of the answer
  };
  // tools: those that the model was told of. format must outlive the parser.
  AnswerParser(const AnswerFormat& format, std::vector<Tool> tools, const Options& options);

  void Push(std::string_view text, std::vector<AnswerPart>& out);
  void Finish(std::vector<AnswerPart>& out);        // the text ends here
  int64_t calls() const { return calls_; }          // that have begun
  bool ended() const { return at_ == At::kEnded; }  // Options::one_call: the call is complete

 private:
  enum class At { kStart, kThought, kContent, kOpening, kCall, kList, kSpoilt, kEnded };
  // The marks that open a call: those of the section and the call, or of the call alone.
  struct OpeningMarks {
    const CallFormat* format;
    Marks marks;
  };
  // A format whose opening marks may be those that stand here.
  struct Candidate {
    const CallFormat* format;
    MarkMatcher marks;
    bool matched;
  };

  void Step(char c);
  void Start(char c);
  void Thought(char c);
  void Content(char c);
  void Opening(char c);
  void Call(char c);
  void List(char c);
  void Spoilt(char c);

  void Say(char c);
  void Put(AnswerPart::Kind kind, std::string_view text);
  bool MayStandBare() const { return !said_ || after_call_; }
  bool IsClosing(std::string_view text, bool whole) const;
  bool BeginsMark(std::string_view text) const;
  bool Open(const std::string& mark);
  void OpenList(const CallFormat& format);
  void BeginCall(const CallFormat& format, char c);
  void TellCall();
  void EndCall();
  bool Knows(const std::string& name) const;
  // What was taken for a call is none. The text is content; it is looked through again from `again`
  // on.
  void GiveUp(size_t again);

  const AnswerFormat& format_;
  const std::vector<Tool> tools_;
  const Options options_;
  std::vector<OpeningMarks> openings_;
  const CallFormat* bare_ = nullptr;  // the format that has none
  std::vector<AnswerPart>* out_ = nullptr;

  At at_ = At::kStart;
  std::string held_;   // may begin a mark
  std::string space_;  // white space that is dropped before a call and at the end of a thought
  bool said_ = false;  // something of the content, or of the thought
  bool trim_ = false;  // white space is dropped until something is said
  bool after_call_ = false;  // only white space since a call

  std::string raw_;  // all of what may be a call, with its marks
  std::vector<Candidate> candidates_;
  size_t opened_ = 0;  // bytes of raw_ that are the first mark
  const CallFormat* call_format_ = nullptr;
  std::unique_ptr<CallReader> reader_;
  bool list_ = false;   // within the brackets of a list
  bool told_ = false;   // the call is part of the answer
  bool known_ = false;  // a call without marks is one of a known tool
  int64_t calls_ = 0;
};

}  // namespace retort
