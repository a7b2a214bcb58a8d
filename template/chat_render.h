// SPDX-License-Identifier: Apache-2.0
// How each named template lays a conversation out. Only template/chat_template.cc comes here; see
// template/chat_template.h for the contract.
#pragma once

#include <string_view>

#include "template/chat_template.h"

namespace retort {

// Throws Error{kInput} on an empty conversation or an unknown role; with `alternating`, also unless
// it is an optional system prompt, then user and assistant in turn.
void CheckRoles(const std::vector<Message>& messages, bool alternating, const std::string& where);

// `preamble`: the system prompt of a conversation that has none.
std::vector<ChatPiece> RenderChatMl(const std::vector<Message>& messages, bool generation_prompt,
                                    const std::string& preamble);
// `preamble`: text before the system prompt, which is then always there.
std::vector<ChatPiece> RenderLlama3(const std::vector<Message>& messages, bool generation_prompt,
                                    const std::string& preamble);
// Neither writes anything for a generation prompt: "[/INST]" is one.
std::vector<ChatPiece> RenderLlama2(const std::vector<Message>& messages,
                                    const TokenizerSpec& spec);
std::vector<ChatPiece> RenderMistral(const std::vector<Message>& messages,
                                     const TokenizerSpec& spec);

// Text without the white space at its ends, as Python's and Jinja's strip: Unicode's, not only
// ASCII's.
std::string_view StripUnicode(std::string_view text);

}  // namespace retort
