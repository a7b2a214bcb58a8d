// SPDX-License-Identifier: Apache-2.0
// Which chat template a command uses.
#pragma once

#include <string>

#include "cli/flags.h"
#include "template/chat_template.h"

namespace retort {

// What a server without a template answers to a chat.
inline constexpr const char* kNoChat =
    "the model has no chat template; start the server with --template NAME, or use /v1/completions";

// `name` is the value of --template. "auto" means the template that the adapter was trained with,
// otherwise the model's own. Throws Error{kInput} if there is none, or if
// the tokenizer lacks the template's special tokens.
ChatTemplate ChatFor(const std::string& name, const OpenedModel& model);
// The same with another adapter's folder; "": none.
ChatTemplate ChatFor(const std::string& name, const OpenedModel& model, const Path& chat_adapter);

}  // namespace retort
