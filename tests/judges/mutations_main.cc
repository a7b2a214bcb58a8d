// SPDX-License-Identifier: Apache-2.0
// retort_judge_mutations COUNT SEED TEMPLATE...: renders that many mutations of the templates and
// prints how many were rendered and how long the slowest took. Fails on any error that is not about
// the template.
#include <chrono>
#include <iostream>

#include "base/error.h"
#include "template/chat_template.h"
#include "tests/template/mutate.h"

namespace retort {
namespace {

int Main(const std::vector<std::string>& arguments) {
  if (arguments.size() < 3)
    throw InputError("usage: retort_judge_mutations COUNT SEED TEMPLATE...");
  std::vector<std::string> texts;
  for (size_t i = 2; i < arguments.size(); ++i) texts.push_back(ReadText(arguments[i]));
  TokenizerSpec spec;
  spec.pieces = {{"<s>"}, {"</s>"}};
  spec.bos = 0, spec.eos = 1;
  Conversation turns = {{"system", "s"},
                        {"user", "u"},
                        {"assistant", ""},
                        {"tool", "r"},
                        {"assistant", "a <|im_end|>"}};
  turns.messages[2].more =
      R"({"content": null, "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": {"x": [1, 2.5]}}}]})";
  turns.tools =
      R"([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}])";
  std::mt19937_64 random(std::stoull(arguments[1]));
  const long long count = std::stoll(arguments[0]);
  long long rendered = 0;
  double slowest = 0;
  std::string slowest_text;
  for (long long i = 0; i < count; ++i) {
    const std::string text = Mutated(texts, random);
    const auto begin = std::chrono::steady_clock::now();
    try {
      const ChatTemplate chat = ChatTemplate::Own(text, "m");
      chat.RenderText(turns, i % 2 == 0, spec, "t");
      ++rendered;
    } catch (const Error& e) {
      if (e.kind() != Error::Kind::kInput) throw;
    }
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
    if (taken.count() > slowest) {
      slowest = taken.count();
      slowest_text = text;
    }
  }
  std::cout << count << " templates, " << rendered << " rendered, the slowest in " << slowest
            << " s\n";
  if (slowest > 1) std::cout << slowest_text << "\n";
  return 0;
}

}  // namespace
}  // namespace retort

int main(int argc, char** argv) {
  try {
    return retort::Main({argv + 1, argv + argc});
  } catch (const std::exception& e) {
    std::cerr << e.what() << "\n";
    return 1;
  }
}
