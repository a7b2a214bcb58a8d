// SPDX-License-Identifier: Apache-2.0
// A conversation as a chat template gets it.
#pragma once

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

namespace retort {

struct Message {
  std::string role;  // "system", "user", "assistant", "tool"
  std::string content;
  // An assistant's turn that is to be learnt. False: it is only read.
  bool learn = true;
  // A JSON object of the message's other keys (tool_calls, reasoning_content, name); "": none.
  // {"content": null} stands for a message without a content.
  std::string more = {};
  // Bytes [begin, end) of the content that are the model's own marks: they may become special
  // tokens, as what a template writes.
  std::vector<std::pair<size_t, size_t>> marks = {};
};

struct Conversation {
  Conversation() = default;
  Conversation(std::vector<Message> turns) : messages(std::move(turns)) {}  // NOLINT
  Conversation(std::initializer_list<Message> turns) : messages(turns.begin(), turns.end()) {}

  std::vector<Message> messages;
  std::string tools = {};      // a JSON list; "": none
  std::string variables = {};  // a JSON object of what else the template is given; "": none
};

}  // namespace retort
