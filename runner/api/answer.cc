// SPDX-License-Identifier: Apache-2.0
#include "runner/api/answer.h"

#include <set>

#include "base/strings.h"

namespace retort {

ApiUsage ApiAnswer::Usage() const {
  ApiUsage sum;
  sum.completion_tokens = untold_tokens;
  std::set<size_t> counted;
  for (const ApiChoice& choice : choices) {
    sum.completion_tokens += choice.usage.completion_tokens;
    if (!counted.insert(choice.prompt).second) continue;
    sum.prompt_tokens += choice.usage.prompt_tokens;
    sum.reused_tokens += choice.usage.reused_tokens;
  }
  return sum;
}

std::string ServerSentEvent(const std::string& text) { return Cat("data: ", text, "\n\n"); }

std::string ServerSentEvent(const std::string& name, const std::string& text) {
  return Cat("event: ", name, "\n", ServerSentEvent(text));
}

}  // namespace retort
