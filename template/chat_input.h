// SPDX-License-Identifier: Apache-2.0
// A conversation as a template's values.
#pragma once

#include <string>
#include <vector>

#include "template/conversation.h"
#include "template/jinja/program.h"
#include "tokenizer/tokenizer.h"

namespace retort {

// How turns with tool calls are given to a template.
struct CallForm {
  // OpenAI has the calls' arguments as JSON text, which most templates take apart.
  bool arguments_as_text = false;
  // Beside calls, no content and an empty one mean the same, and templates refuse the one or the
  // other. True: the other than what was given.
  bool other_content = false;
};

// The conversation with its tools as JSON text in the system's message, under the key "tools".
Conversation WithToolsInSystem(Conversation conversation);

class ChatInput {
 public:
  // Throws Error{kInput}, beginning with `where`, on JSON that is none.
  ChatInput(const Conversation& conversation, const TokenizerSpec& spec, const CallForm& form,
            const std::string& where);

  // The variables for the first `count` messages.
  jinja::Variables Of(size_t count, bool generation_prompt) const;
  size_t bytes() const { return bytes_; }

  // Throws Error{kInput} if the template has not looked at something that the conversation says, so
  // that it is missing in the text.
  void CheckAllLookedAt(const jinja::Program& program, const std::string& where) const;

 private:
  std::vector<jinja::Value> messages_, tools_;
  jinja::Variables more_;  // bos_token and so on
  std::vector<std::string> given_;
  size_t bytes_ = 0;
};

}  // namespace retort
