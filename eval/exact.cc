// SPDX-License-Identifier: Apache-2.0
#include "eval/exact.h"

#include "base/strings.h"

namespace retort {
namespace {

// Allowed in addition to one token per byte of the answer: for surrounding white space and the end
// token.
constexpr int64_t kSpareTokens = 16;

// Whether the text generated so far may still become `wanted` with surrounding white space.
bool MayMatch(std::string_view said, std::string_view wanted) {
  while (!said.empty() && Strip(said.substr(0, 1)).empty()) said.remove_prefix(1);
  if (said.size() <= wanted.size()) return StartsWith(wanted, said);
  return StartsWith(said, wanted) && Strip(said.substr(wanted.size())).empty();
}

}  // namespace

ExactResult EvaluateExact(const Model& model, const Adapter* adapter, const Tokenizer& tokenizer,
                          const ChatTemplate* chat, const std::vector<Answer>& answers,
                          const QuestionOptions& options,
                          const std::function<void(int64_t)>& on_progress) {
  ExactResult result;
  std::vector<std::string> said(answers.size());
  Questions questions(model, adapter, tokenizer, chat, options);
  for (size_t i = 0; i < answers.size(); ++i) {
    if (!questions.ExpectedTokens(answers[i])) continue;
    result.kept.push_back(i);
    const std::string_view wanted = Strip(answers[i].text);
    questions.Ask(answers[i], std::ssize(wanted) + kSpareTokens,
                  [wanted, &text = said[i]](const GenerationEvent& event) {
                    text += event.text;
                    return MayMatch(text, wanted);
                  });
  }
  questions.Run(on_progress);
  for (const size_t i : result.kept) {
    result.matched.push_back(Strip(said[i]) == Strip(answers[i].text));
    result.matches += result.matched.back();
  }
  result.rows = std::ssize(result.kept);
  result.dropped = questions.dropped();
  result.tokens = questions.tokens();
  return result;
}

}  // namespace retort
