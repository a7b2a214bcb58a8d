// SPDX-License-Identifier: Apache-2.0
// retort_judge_chat JINJA < CONVERSATIONS: reads one {"messages": [...], "generation_prompt": bool} per line and prints
// the text of each as a JSON string, with <s> and </s>; or "unknown" alone if the Jinja file is not known.
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "template/chat_template.h"
#include "template/known_jinja.h"

namespace retort {
namespace {

std::string TextOf(const ChatTemplate& chat, const Json& conversation) {
  TokenizerSpec spec;
  spec.pieces = {{"<s>"}, {"</s>"}};
  spec.bos = 0, spec.eos = 1;
  std::vector<Message> messages;
  for (const Json& m : conversation["messages"]) messages.push_back({m["role"], m["content"]});
  std::string text = chat.writes_bos() ? "<s>" : "";
  for (const ChatPiece& piece :
       chat.Render(messages, conversation["generation_prompt"], spec, "conversation")) {
    for (const Segment& segment : piece.segments) text += segment.text;
  }
  return text;
}

int Main(int argc, char** argv) {
  if (argc != 2) throw InputError("usage: retort_judge_chat JINJA < CONVERSATIONS");
  const std::string jinja = ReadText(argv[1]);
  if (!RecogniseJinja(jinja)) {
    std::cout << "unknown\n";
    return 0;
  }
  const ChatTemplate chat = ChatTemplate::Match(jinja, argv[1]);
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << Json(TextOf(chat, ParseJson(line, "conversation"))).dump() << "\n";
  }
  return 0;
}

}  // namespace
}  // namespace retort

int main(int argc, char** argv) {
  try {
    return retort::Main(argc, argv);
  } catch (const std::exception& e) {
    std::cerr << e.what() << "\n";
    return 1;
  }
}
