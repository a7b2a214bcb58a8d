// SPDX-License-Identifier: Apache-2.0
#include "cli/answer_printer.h"

#include <unistd.h>

#include <iostream>

#include "cli/flags.h"

namespace retort {

AnswerPrinter::AnswerPrinter(std::unique_ptr<AnswerParser> parser, bool print, Thoughts thoughts)
    : parser_(std::move(parser)),
      print_(print),
      thoughts_(print && thoughts == Thoughts::kShown),
      terminal_(::isatty(STDERR_FILENO) != 0) {}

void AnswerPrinter::Push(std::string_view text) {
  std::vector<AnswerPart> parts;
  parser_->Push(text, parts);
  Show(parts);
}

void AnswerPrinter::Finish() {
  std::vector<AnswerPart> parts;
  parser_->Finish(parts);
  Show(parts);
  CloseThought();
}

void AnswerPrinter::Show(const std::vector<AnswerPart>& parts) {
  for (const AnswerPart& part : parts) {
    if (part.kind == AnswerPart::Kind::kThought) {
      thought_ += part.text;
      if (!thoughts_) continue;
      OpenThought();
      std::cerr << part.text << std::flush;
      continue;
    }
    content_ += part.text;
    CloseThought();
    if (!print_) continue;
    std::cout << part.text << std::flush;
    CheckOutput();
  }
}

void AnswerPrinter::OpenThought() {
  if (in_thought_) return;
  in_thought_ = true;
  std::cerr << (terminal_ ? "\x1b[2m" : "[thought]\n");
}

void AnswerPrinter::CloseThought() {
  if (!in_thought_) return;
  in_thought_ = false;
  std::cerr << (terminal_ ? "\x1b[0m\n\n" : "\n[end of thought]\n") << std::flush;
}

}  // namespace retort
