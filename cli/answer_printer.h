// SPDX-License-Identifier: Apache-2.0
// Shows an answer while it is generated: the content on standard output, thoughts on standard
// error, so that what is piped on is the answer alone.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "runner/answer/answer_parser.h"

namespace retort {

class AnswerPrinter {
 public:
  enum class Thoughts { kShown, kHidden };
  // print: false: only collects. Thoughts are dimmed on a terminal and marked elsewhere.
  AnswerPrinter(std::unique_ptr<AnswerParser> parser, bool print, Thoughts thoughts);

  void Push(std::string_view text);
  void Finish();  // the answer ends here

  const std::string& content() const { return content_; }
  const std::string& thought() const { return thought_; }

 private:
  void Show(const std::vector<AnswerPart>& parts);
  void OpenThought();
  void CloseThought();

  std::unique_ptr<AnswerParser> parser_;
  const bool print_, thoughts_, terminal_;
  bool in_thought_ = false;
  std::string content_, thought_;
};

}  // namespace retort
