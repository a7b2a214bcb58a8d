// SPDX-License-Identifier: Apache-2.0
// Where the replies stand in a rendered conversation.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "template/conversation.h"
#include "template/jinja/text.h"

namespace retort {

struct Reply {
  size_t begin, end;  // bytes of the text
  bool learn;
};

struct Replies {
  std::vector<Reply> found;
  int64_t rewritten = 0;  // turns of the assistant that are none
};

// The first `count` messages rendered, with a generation prompt or without.
using RenderFirst = std::function<jinja::Text(size_t count, bool generation_prompt)>;

// Replies that the text's runs mark (jinja::kReply).
Replies MarkedReplies(const std::vector<Message>& messages, const jinja::Text& whole,
                      const std::string& where);
// Replies found by rendering the conversation up to each turn. `end` is the text that ends a turn.
// `asks`: the text ends with a generation prompt. Throws as ChatTemplate::Render.
Replies FindReplies(const std::vector<Message>& messages, const jinja::Text& whole,
                    const std::string& end, const RenderFirst& render, bool asks,
                    const std::string& where);

}  // namespace retort
