// SPDX-License-Identifier: Apache-2.0
// A model's Jinja text and, after a NUL, a conversation: turns ended by NUL, the first letter of
// each its role. A tool's turn is a call and its result.
#include "template/chat_template.h"

#include "fuzz/support.h"
#include "fuzz/tokenizers.h"

namespace retort {
namespace {

std::vector<Message> MessagesOf(std::string_view text) {
  std::vector<Message> out;
  while (!text.empty() && out.size() < 16) {
    const auto [turn, rest] = Cut(text, std::string_view("\0", 1));
    const char role = turn.empty() ? 'x' : turn.front();
    text = rest;
    if (role == 't') {
      out.push_back({"assistant", "", true,
                     R"({"content": null, "tool_calls": [{"id": "1", "type": "function",
                      "function": {"name": "f", "arguments": {"a": [1, 2.5, null]}}}]})"});
      out.push_back({"tool", std::string(turn.substr(1)), true, R"({"tool_call_id": "1"})"});
      continue;
    }
    out.push_back({role == 'u'   ? "user"
                   : role == 'a' ? "assistant"
                   : role == 's' ? "system"
                                 : std::string(1, role),
                   std::string(turn.substr(turn.empty() ? 0 : 1))});
  }
  return out;
}

void Use(const ChatTemplate& chat, Conversation messages) {
  for (const bool prompt : {false, true}) {
    Accepted([&] { EncodeChat(SmallTokenizer(), chat, messages, prompt, "m"); });
    messages.tools = R"([{"type": "function", "function": {"name": "f", "parameters": {}}}])";
  }
}

}  // namespace
}  // namespace retort

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace retort;
  const auto [jinja, conversation] = Cut(TextOf(data, size), std::string_view("\0", 1));
  const std::vector<Message> messages = MessagesOf(conversation);
  if (Accepted([&, text = jinja] { Use(ChatTemplate::Own(text, "m"), messages); })) return 0;
  // One of the named templates, so that an execution costs no more than a few renderings.
  static const std::vector<std::string> names = ChatTemplate::Names();
  Accepted(
      [&, at = jinja.size() % names.size()] { Use(ChatTemplate::Named(names[at]), messages); });
  return 0;
}
