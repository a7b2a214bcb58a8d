// SPDX-License-Identifier: Apache-2.0
#include "eval/exact.h"

#include <algorithm>

#include "runner/engine/engine.h"

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

struct Comparison {
  std::string wanted, said;
  bool over = false;
};

}  // namespace

ExactResult EvaluateExact(const Model& model, const Adapter* adapter, const Tokenizer& tokenizer,
                          const ChatTemplate* chat, const std::vector<Answer>& answers,
                          const ExactOptions& options,
                          const std::function<void(int64_t)>& on_progress) {
  ExactResult result;
  EngineOptions engine_options = AnswerEngine(model.config, options.max_tokens, options.cache_type);
  engine_options.parallel = options.parallel;
  Engine engine(model, adapter, tokenizer, engine_options);
  SamplingOptions sampling = GreedyAnswers(chat, tokenizer);
  const AnswerConstraints constraints(options.grammar, chat, tokenizer);

  std::vector<std::unique_ptr<Comparison>> comparisons;
  int64_t done = 0;
  std::exception_ptr error;
  for (size_t i = 0; i < answers.size(); ++i) {
    const Answer& answer = answers[i];
    const auto tokens =
        static_cast<int64_t>(EncodeAnswer(answer, answer.text, tokenizer, chat, true).size());
    if (!AnswerFits(answer, tokens, engine.context(), options.over_length)) {
      ++result.dropped;
      continue;
    }
    result.kept.push_back(i);
    Comparison& c = *comparisons.emplace_back(std::make_unique<Comparison>());
    c.wanted = std::string(Strip(answer.text));
    sampling.max_tokens = static_cast<int64_t>(c.wanted.size()) + kSpareTokens;
    engine.Submit({answer.prompt,
                   sampling,
                   [&c, &done, &error](const GenerationEvent& event) {
                     if (event.error) error = event.error;
                     c.said += event.text;
                     c.over = event.finish != FinishReason::kNone || !MayMatch(c.said, c.wanted);
                     done += c.over;
                     return !c.over;
                   },
                   {},
                   {},
                   constraints.For(answer.prompt)});
  }
  while (engine.Step()) {
    if (error) std::rethrow_exception(error);
    if (on_progress) on_progress(result.dropped + done);
  }
  for (const auto& c : comparisons) {
    result.matched.push_back(Strip(c->said) == c->wanted);
    result.matches += result.matched.back();
  }
  result.rows = static_cast<int64_t>(comparisons.size());
  result.tokens = engine.counts().generated_tokens;
  return result;
}

}  // namespace retort
