// SPDX-License-Identifier: Apache-2.0
// Finds out how a model writes thoughts and calls of tools, from its chat template alone.
#pragma once

#include <string>

#include "template/calls/call_format.h"
#include "template/chat_template.h"

namespace retort {

// Renders conversations with calls whose names and arguments are known and looks at what stands
// around them. A template that writes no calls may still tell the model how to (call_table.h).
AnswerFormat FindAnswerFormat(const ChatTemplate& chat, const TokenizerSpec& spec);

}  // namespace retort
