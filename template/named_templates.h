// SPDX-License-Identifier: Apache-2.0
// The Jinja texts of the templates that have a name.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "template/conversation.h"

namespace retort {

struct NamedTemplate {
  std::string_view name;
  std::string jinja;
  std::vector<std::string> marks;  // each must be one token; the end of a turn is not among them
  bool alternating;                // user and assistant must take turns
};

// chatml, llama2, llama3, mistral.
const std::vector<NamedTemplate>& NamedTemplates();

// The text with a system prompt for conversations without one (chatml), or a text before every
// system prompt (llama3), as adapters' records of older versions give it.
std::string WithDefaultSystem(const NamedTemplate& named, const std::string& preamble);

// Throws Error{kInput} on an unknown role. With `alternating`, the roles must be an optional system
// prompt, then user and assistant in turn.
void CheckRoles(const std::vector<Message>& messages, bool alternating, const std::string& where);

}  // namespace retort
