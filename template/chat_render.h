// SPDX-License-Identifier: Apache-2.0
// Renders conversations with each named template. Used only by template/chat_template.cc; see
// template/chat_template.h for the contract.
#pragma once

#include <string_view>

#include "template/chat_template.h"

namespace retort {

// Throws Error{kInput} on an empty conversation or an unknown role. With `alternating`, the roles
// must be an optional system prompt, then user and assistant in turn.
void CheckRoles(const std::vector<Message>& messages, bool alternating, const std::string& where);

// `preamble`: the system prompt for a conversation without one.
std::vector<ChatPiece> RenderChatMl(const std::vector<Message>& messages, bool generation_prompt,
                                    const std::string& preamble);
// `preamble`: text before the system prompt. If not empty, a system turn is always written.
std::vector<ChatPiece> RenderLlama3(const std::vector<Message>& messages, bool generation_prompt,
                                    const std::string& preamble);
// These two need no generation prompt: "[/INST]" already is one.
std::vector<ChatPiece> RenderLlama2(const std::vector<Message>& messages,
                                    const TokenizerSpec& spec);
std::vector<ChatPiece> RenderMistral(const std::vector<Message>& messages,
                                     const TokenizerSpec& spec);

// Text without leading and trailing Unicode white space, as Python's and Jinja's strip.
std::string_view StripUnicode(std::string_view text);

}  // namespace retort
