// SPDX-License-Identifier: Apache-2.0
// The metrics under llama.cpp's names, for what is set up to read those.
#include <algorithm>

#include "base/prometheus.h"
#include "runner/server/metrics.h"

namespace retort {

void ServerMetrics::WriteLlamaCpp(const EngineCounts& counts, std::string& out) const {
  const auto write = [&out](const char* name, const char* type, const char* help, auto value) {
    WriteMetric(Cat("llamacpp:", name), type, help, value, out);
  };
  const auto counter = [&](const char* name, const char* help, auto value) {
    write(name, "counter", help, value);
  };
  const auto gauge = [&](const char* name, const char* help, auto value) {
    write(name, "gauge", help, value);
  };
  const auto rate = [](int64_t count, double seconds) {
    return seconds > 0 ? static_cast<double>(count) / seconds : 0;
  };
  const int64_t read = prompt_tokens_ - cached_tokens_;
  counter("prompt_tokens_total", "Tokens of answered prompts that were read.", read);
  counter("prompt_tokens_cached_total", "Tokens of answered prompts that were not read again.",
          cached_tokens_);
  counter("prompt_seconds_total", "Time in which prompts were read.", reading_seconds_);
  counter("tokens_predicted_total", "Tokens of answers.", generated_tokens_);
  counter("tokens_predicted_seconds_total", "Time of answers behind their first token.",
          saying_seconds_);
  counter("n_decode_total", "Passes of the model.", counts.steps);
  counter("n_tokens_max", "Tokens of the longest prompt with its answer.", longest_);
  counter("spec_decode_num_draft_tokens_total", "Tokens that were guessed.", counts.drafted_tokens);
  counter("spec_decode_num_accepted_tokens_total", "Of those, tokens that came true.",
          counts.accepted_tokens);
  counter("spec_decode_num_drafts_total", "Times that guesses were read.", counts.drafts);
  gauge("prompt_tokens_seconds", "Prompt tokens in a second of reading.",
        rate(read, reading_seconds_));
  gauge("predicted_tokens_seconds", "Answer tokens in a second behind the first.",
        rate(later_tokens_, saying_seconds_));
  gauge("requests_processing", "Answers that are being generated or read.", counts.live);
  gauge("requests_deferred", "Answers that wait.", counts.queued);
  gauge("n_busy_slots_per_decode", "Answers in a pass of the model, on average.",
        rate(counts.stream_steps, static_cast<double>(counts.steps)));
}

}  // namespace retort
