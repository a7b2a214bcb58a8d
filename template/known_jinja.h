// SPDX-License-Identifier: Apache-2.0
// The Jinja texts of the named templates, and the texts of other people's models that render alike.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "template/chat_template.h"

namespace retort {

// The text of a named template. With a preamble (chat_template.h), the text writes it too.
std::string JinjaTextOf(ChatTemplate::Style style, const std::string& preamble);

struct RecognisedJinja {
  ChatTemplate::Style style;
  std::string preamble;
  // Whether every conversation is rendered as by the text. False for Mistral v0.3's.
  bool exact = true;
};

// Which template renders what this text renders, by its normal form (jinja_form.h): the forms of
// the texts above, and those of a table of known models. nullopt if the form is not known, however
// similar the text looks.
std::optional<RecognisedJinja> RecogniseJinja(std::string_view jinja);

}  // namespace retort
