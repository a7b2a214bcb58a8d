// SPDX-License-Identifier: Apache-2.0
// Texts with variables in them: "Ticket: {ticket}\n". "{{" and "}}" stand for braces.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace retort {

class TextTemplate {
 public:
  TextTemplate() = default;
  // Throws Error{kInput}, "'{' at byte 7 is not closed", on what is no template.
  explicit TextTemplate(std::string_view text);

  // Its names, each once.
  std::set<std::string> Names() const;
  // How often it names one.
  int64_t references() const;
  // The text's own parts may have special tokens. Values are content, in which nothing is one.
  // Throws Error{kInput} if that comes to more than 4 MiB.
  std::vector<Segment> Render(
      const std::function<const std::string&(const std::string& name)>& value_of) const;

 private:
  struct Piece {
    std::string text;  // or the name
    bool is_name = false;
  };
  std::vector<Piece> pieces_;
};

// A letter or "_", then letters, digits and "_": at most 64 in all.
bool IsVariableName(std::string_view name);

}  // namespace retort
