// SPDX-License-Identifier: Apache-2.0
#include "eval/sample.h"

#include <algorithm>

#include "eval/questions.h"

namespace retort {

std::vector<std::string> AnswerPrompts(const Model& model, const Adapter* adapter,
                                       const Tokenizer& tokenizer, const ChatTemplate* chat,
                                       const std::vector<Answer>& prompts,
                                       const SampleOptions& options,
                                       const std::function<void(int64_t)>& on_progress) {
  std::vector<std::string> said(prompts.size());
  Questions questions(model, adapter, tokenizer, chat,
                      {.max_tokens = options.max_tokens,
                       .cache_type = options.cache_type,
                       .parallel = EngineOptions().parallel,
                       .grammar = options.grammar});
  for (size_t i = 0; i < prompts.size(); ++i) {
    const int64_t room = questions.RoomBehind(prompts[i]);
    if (room < 1) {
      questions.LeaveOut();
      continue;
    }
    questions.Ask(prompts[i], std::min(room, options.max_new_tokens),
                  [&text = said[i]](const GenerationEvent& event) {
                    text += event.text;
                    return true;
                  });
  }
  questions.Run(on_progress);
  return said;
}

}  // namespace retort
