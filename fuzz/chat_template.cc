// SPDX-License-Identifier: Apache-2.0
// A model's Jinja text and, after a NUL, a conversation: turns ended by NUL, the first letter of
// each its role.
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
    out.push_back({role == 'u'   ? "user"
                   : role == 'a' ? "assistant"
                   : role == 's' ? "system"
                                 : std::string(1, role),
                   std::string(turn.substr(turn.empty() ? 0 : 1))});
    text = rest;
  }
  return out;
}

void Use(const ChatTemplate& chat, const std::vector<Message>& messages) {
  for (const bool prompt : {false, true}) {
    chat.Render(messages, prompt, SmallTokenizer().spec(), "m");
    EncodeChat(SmallTokenizer(), chat, messages, prompt, "m");
  }
}

}  // namespace
}  // namespace retort

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace retort;
  const auto [jinja, conversation] = Cut(TextOf(data, size), std::string_view("\0", 1));
  const std::vector<Message> messages = MessagesOf(conversation);
  if (Accepted([&, text = jinja] { Use(ChatTemplate::Match(text, "m"), messages); })) return 0;
  // One of the named templates, so that an execution costs no more than a few renderings.
  static const std::vector<std::string> names = ChatTemplate::Names();
  Accepted(
      [&, at = jinja.size() % names.size()] { Use(ChatTemplate::Named(names[at]), messages); });
  return 0;
}
