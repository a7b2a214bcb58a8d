// SPDX-License-Identifier: Apache-2.0
#include "eval/sample.h"

#include <algorithm>

#include "runner/engine/engine.h"

namespace retort {

std::vector<std::string> AnswerPrompts(const Model& model, const Adapter* adapter,
                                       const Tokenizer& tokenizer, const ChatTemplate* chat,
                                       const std::vector<Answer>& prompts,
                                       const SampleOptions& options,
                                       const std::function<void(int64_t)>& on_progress) {
  Engine engine(model, adapter, tokenizer,
                AnswerEngine(model.config, options.max_tokens, options.cache_type));
  SamplingOptions sampling = GreedyAnswers(chat, tokenizer);
  const AnswerConstraints constraints(options.grammar, chat, tokenizer);
  std::vector<std::string> said(prompts.size());
  std::exception_ptr error;
  int64_t done = 0;
  for (size_t i = 0; i < prompts.size(); ++i) {
    const int64_t room = engine.context() - std::ssize(prompts[i].prompt);
    if (room < 1) {
      ++done;
      continue;
    }
    sampling.max_tokens = std::min(room, options.max_new_tokens);
    engine.Submit({prompts[i].prompt,
                   sampling,
                   [&said, &error, &done, i](const GenerationEvent& event) {
                     if (event.error) error = event.error;
                     said[i] += event.text;
                     done += event.finish != FinishReason::kNone;
                     return true;
                   },
                   {},
                   {},
                   constraints.For(prompts[i].prompt)});
  }
  while (engine.Step()) {
    if (error) std::rethrow_exception(error);
    if (on_progress) on_progress(done);
  }
  return said;
}

}  // namespace retort
