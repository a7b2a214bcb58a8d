// SPDX-License-Identifier: Apache-2.0
// Writes earlier calls of tools as the model itself wrote them, for templates that tell a model how
// to call but write no calls.
#pragma once

#include <string>
#include <vector>

#include "template/calls/call_format.h"
#include "template/conversation.h"
#include "tokenizer/tokenizer.h"

namespace retort {

// Moves the tool_calls of the assistant's messages into their content, in this format; the marks
// around them count as the model's own (Message::marks). A mark that closes calls is left out if
// those that open them are tokens and it is none. Calls that this format has no place for, or that
// are none, stay where they are. Throws Error{kInput}, beginning with `where`, on arguments that
// are a text and no JSON.
void WriteCallsInContent(const CallFormat& format, const TokenizerSpec& spec,
                         std::vector<Message>& messages, const std::string& where);

}  // namespace retort
