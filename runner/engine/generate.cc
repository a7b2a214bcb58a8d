// SPDX-License-Identifier: Apache-2.0
#include <chrono>

#include "runner/engine/request_group.h"

namespace retort {

Generation Generate(Engine& engine, std::vector<int32_t> prompt, const SamplingOptions& sampling,
                    const std::function<bool(const GenerationEvent&)>& on_event,
                    std::vector<int32_t> shown_ids, AnswerConstraint constraint) {
  using Clock = std::chrono::steady_clock;
  const auto seconds = [](Clock::duration d) { return std::chrono::duration<double>(d).count(); };

  Generation out;
  out.prompt_tokens = static_cast<int64_t>(prompt.size());
  const auto begin = Clock::now();
  auto first = begin;
  bool any = false;
  RequestGroup request(engine);
  request.Submit({std::move(prompt),
                  sampling,
                  [&](const GenerationEvent& event) {
                    if (!any) first = Clock::now();
                    any = true;
                    out.text += event.text;
                    out.ids.insert(out.ids.end(), event.ids.begin(), event.ids.end());
                    out.finish = event.finish;
                    out.drafted_tokens = event.drafted_tokens;
                    out.accepted_tokens = event.accepted_tokens;
                    const bool go_on = !on_event || on_event(event);
                    if (!go_on && out.finish == FinishReason::kNone)
                      out.finish = FinishReason::kCancelled;
                    return go_on;
                  },
                  std::move(shown_ids),
                  {},
                  std::move(constraint)});
  while (request.ended() == 0 && request.Step()) {
  }
  out.prefill_seconds = seconds(first - begin);
  out.decode_seconds = seconds(Clock::now() - first);
  return out;
}

}  // namespace retort
