// SPDX-License-Identifier: Apache-2.0
// A compiled Jinja template: the public face of this folder.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "template/jinja/text.h"
#include "template/jinja/value.h"

namespace retort::jinja {

struct Ast;

using Variables = std::vector<std::pair<std::string, Value>>;

class Program {
 public:
  // Throws Error{kInput}, beginning with `where` and with the line, for a text that is not Jinja,
  // too long (kLongestTemplate), or has a statement, filter or test that is not known.
  static Program Compile(std::string_view source, const std::string& where);

  // Renders with these variables; what else is named is undefined. Work and memory are bounded in
  // proportion to `input_bytes`, the size of the variables' texts. Throws Error{kInput}, beginning
  // with `where` and with the line. Thread-safe.
  Text Render(const Variables& variables, size_t input_bytes, const std::string& where) const;

  // Whether replies are marked (kReply) by `generation` blocks.
  bool has_generation() const;
  // Whether the text tests if a variable is defined.
  bool AsksFor(std::string_view variable) const;
  // Whether a variable of this name is written anywhere.
  bool Names(std::string_view variable) const;

 private:
  explicit Program(std::shared_ptr<const Ast> ast) : ast_(std::move(ast)) {}
  std::shared_ptr<const Ast> ast_;
};

}  // namespace retort::jinja
