// SPDX-License-Identifier: Apache-2.0
#include "runner/server/records.h"

#include "base/strings.h"

namespace retort {

std::string PromptText(const ApiRequest& request) {
  std::string text;
  for (const Message& message : request.messages)
    text += Cat(message.role, ": ", message.content, "\n");
  for (const ApiPrompt& prompt : request.prompts) text += prompt.text + "\n";
  return text;
}

void ServerRecords::Ended(AnsweredRequest& request, const ReplyOutcome& outcome) {
  const KeyRing::Clock::time_point now = KeyRing::Clock::now();
  request.admission.reset();
  request.logged.seconds = std::chrono::duration<double>(now - request.begun).count();
  metrics.Count(request.logged.endpoint, request.logged.model, outcome, request.logged.seconds);
  if (outcome.status == 200) {
    for (const ApiChoice& choice : outcome.answer.choices) drift.Add(choice);
  }
  const ApiUsage usage = outcome.answer.Usage();
  keys.Spend(request.key, usage.prompt_tokens + usage.completion_tokens, now);
  log.Write(request.logged, outcome);
}

}  // namespace retort
