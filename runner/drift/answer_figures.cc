// SPDX-License-Identifier: Apache-2.0
#include "runner/drift/answer_figures.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/strings.h"
#include "runner/http/message.h"

namespace retort {
namespace {

constexpr float kSaysNothing = std::numeric_limits<float>::quiet_NaN();
constexpr size_t kBeginning = 200;       // bytes in which a refusal is looked for
constexpr size_t kMostJson = 256 << 10;  // bytes; a longer text is not parsed

bool IsJson(std::string_view text) {
  text = Strip(text);
  if (text.empty() || text.size() > kMostJson) return false;
  return (text.front() == '{' || text.front() == '[') && Json::accept(text);
}

}  // namespace

const std::vector<std::string>& UsualRefusals() {
  static const auto* phrases = new std::vector<std::string>{
      "i can't help",    "i cannot help",   "i can't assist",
      "i cannot assist", "i can't provide", "i cannot provide",
      "i'm unable to",   "i am unable to",  "i'm sorry, but",
      "i am sorry, but", "i'm not able to", "i am not able to",
      "i won't be able", "as an ai",        "as a large language model"};
  return *phrases;
}

std::string Folded(std::string_view text) {
  return LowerCase(ReplaceAll(std::string(text), "\u2019", "'"));
}

bool IsRefusal(std::string_view text, std::span<const std::string> phrases) {
  const std::string begin = Folded(text.substr(0, kBeginning));
  return std::ranges::any_of(
      phrases, [&](const std::string& phrase) { return begin.find(phrase) != std::string::npos; });
}

std::optional<AnswerFigures> FiguresOf(const ApiChoice& choice,
                                       std::span<const std::string> refusals) {
  const bool cut = choice.finish == FinishReason::kLength;
  const int64_t tokens = choice.usage.completion_tokens;
  if (!choice.embedding.empty() || choice.scored || (cut && tokens == 0)) return std::nullopt;
  const auto share = [](bool holds) { return holds ? 1.0F : 0.0F; };
  const bool scored = choice.watched.tokens > 0;
  const double logprob = choice.watched.logprob / static_cast<double>(choice.watched.tokens);
  // A stop text ends an answer wherever its grammar stands.
  const bool whole = !cut && choice.stop_text.empty();
  return AnswerFigures{static_cast<float>(tokens),
                       share(cut),
                       share(IsRefusal(choice.said.content, refusals)),
                       scored ? static_cast<float>(logprob) : kSaysNothing,
                       choice.held ? share(whole) : kSaysNothing,
                       share(IsJson(choice.said.content))};
}

}  // namespace retort
