// SPDX-License-Identifier: Apache-2.0
// Writes earlier calls of tools as the model itself wrote them, for templates that tell a model how
// to call but write no calls.
#pragma once

#include <functional>
#include <string>

#include "runner/answer/call_format.h"
#include "template/conversation.h"

namespace retort {

// Moves the message's tool_calls into its content, in this format; the marks around them count as
// the model's own (Message::marks). `is_token`: whether a mark is a token of the model, since one
// that closes calls is left out if those that open them are tokens and it is none. Returns false,
// and changes nothing, if the format is one that cannot be written.
bool WriteCallsInContent(const CallFormat& format,
                         const std::function<bool(const std::string&)>& is_token, Message& message);

}  // namespace retort
