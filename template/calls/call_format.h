// SPDX-License-Identifier: Apache-2.0
// How a model writes its thoughts and its calls of tools, as data. FindAnswerFormat
// (runner/answer/call_probe.h) derives it from a chat template; AnswerParser reads by it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace retort {

// What a template writes around a call, cut into pieces that must occur exactly ("<tool_call>",
// "Action:", "```json"). Between them there may be white space, or none: models vary it. "" stands
// for letters, digits, '_', '-' and '.' of any kind, such as a call's id.
using Marks = std::vector<std::string>;
Marks SplitMarks(std::string_view text);

struct CallFormat {
  enum class Shape {
    kObject,  // {"name": NAME, "arguments": {...}}, alone or in a list
    kNamed,   // NAME and marks, then {...}
    kTagged   // NAME, then each argument's name and its value between marks
  };
  Shape shape = Shape::kObject;

  // One call, or several between the section's marks; each has marks of its own. Any may be empty.
  // Without the first two, a call stands at the beginning of an answer, and only the tools'
  // names tell it from a text.
  Marks section_open, call_open, call_close, section_close;
  // A section's calls stand in it without marks or commas.
  bool OpensSectionAlone() const {
    return shape == Shape::kObject && !list && !section_open.empty() && call_open.empty();
  }
  bool IsBare() const { return section_open.empty() && call_open.empty(); }
  bool list = false;         // kObject: the template writes the calls as a list
  bool name_is_key = false;  // kObject: {NAME: {...}}
  Marks after_name;          // kNamed, kTagged
  Marks argument_open, argument_value,
      argument_close;        // kTagged: around an argument's name and value
  bool value_lines = false;  // kTagged: a line break belongs to the marks around a value

  // What the template writes from the beginning of the answer to the first call's name, and from
  // there to the arguments. For calls that are asked for. "": not known.
  std::string before_name, before_arguments;
};

struct AnswerFormat {
  // The likeliest first. Empty: not known how this model calls tools.
  std::vector<CallFormat> calls;
  std::string think_open = "<think>", think_close = "</think>";
  std::string behind_thought = "\n\n";  // what the template writes between a thought and a call
  // What becomes of the thoughts of earlier answers.
  enum class Earlier {
    kWritten,    // the template looks at reasoning_content
    kTakenOut,   // it takes them out of the content
    kInContent,  // it knows nothing of them; the content is where they stand
  };
  Earlier earlier = Earlier::kWritten;
  // The template takes only ids of nine letters and digits for calls.
  bool short_ids = false;

  // Whether these characters are part of a mark, so that a token that stands for them must be seen
  // in an answer's text.
  bool HasMark(std::string_view token) const;
};

// A content that begins with a thought, as models of this format write it.
std::string WithThought(const AnswerFormat& format, const std::string& thought,
                        const std::string& content);

// Compares text that arrives byte by byte with marks.
class MarkMatcher {
 public:
  enum class State { kGoing, kMatched, kFailed };
  explicit MarkMatcher(Marks marks) : marks_(std::move(marks)) {}
  State Push(char c);  // after kGoing
  bool empty() const { return marks_.empty(); }

 private:
  Marks marks_;
  size_t mark_ = 0, byte_ = 0;
};

bool IsAsciiSpace(char c);
bool IsIdCharacter(char c);

}  // namespace retort
