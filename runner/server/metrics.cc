// SPDX-License-Identifier: Apache-2.0
#include "runner/server/metrics.h"

#include <algorithm>

#include "base/prometheus.h"
#include "base/strings.h"

namespace retort {
namespace {

void WriteCount(const std::string& name, const std::string& help, int64_t value, std::string& out) {
  WriteMetric(name, "counter", help, value, out);
}

// As a label's value is written.
std::string Label(const std::string& value) {
  std::string out;
  for (const char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

}  // namespace

void ServerMetrics::Histogram::Add(double value) {
  size_t at = 0;
  while (at < kBounds.size() && value > kBounds[at]) ++at;
  ++counts[at];
  sum += value;
}

void ServerMetrics::Histogram::Write(const std::string& name, const std::string& help,
                                     std::string& out) const {
  WriteMetricHead(name, "histogram", help, out);
  int64_t total = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    total += counts[i];
    const std::string bound = i < kBounds.size() ? Cat(kBounds[i]) : "+Inf";
    out += Cat(name, "_bucket{le=\"", bound, "\"} ", total, "\n");
  }
  out += Cat(name, "_sum ", sum, "\n", name, "_count ", total, "\n");
}

void ServerMetrics::Count(const std::string& endpoint, int status) {
  const std::lock_guard lock(mutex_);
  ++requests_[{endpoint, status}];
}

void ServerMetrics::Count(const std::string& endpoint, const std::string& model,
                          const ReplyOutcome& outcome, double seconds) {
  Count(endpoint, outcome.status);
  const std::lock_guard lock(mutex_);
  // A failed request tells no usage, and one without an answer of the model's has none.
  if (outcome.status != 200 || outcome.answer.choices.empty()) return;
  if (outcome.first_token_seconds > 0) first_token_.Add(outcome.first_token_seconds);
  whole_.Add(seconds);
  const ApiUsage usage = outcome.answer.Usage();
  prompt_tokens_ += usage.prompt_tokens;
  cached_tokens_ += usage.reused_tokens;
  generated_tokens_ += usage.completion_tokens;
  OfModel& own = models_[model];
  ++own.requests;
  own.prompt_tokens += usage.prompt_tokens;
  own.generated_tokens += usage.completion_tokens;
  for (const ApiChoice& choice : outcome.answer.choices) {
    ++finishes_[std::string(NameOf(choice.finish))];
    reading_seconds_ += choice.timings.first_token;
    saying_seconds_ += choice.timings.last_token - choice.timings.first_token;
    later_tokens_ += std::max<int64_t>(choice.usage.completion_tokens - 1, 0);
    longest_ = std::max(longest_, choice.usage.prompt_tokens + choice.usage.completion_tokens);
  }
}

std::string ServerMetrics::Text(const EngineCounts& counts) const {
  const std::lock_guard lock(mutex_);
  std::string out;
  WriteMetricHead("retort_requests_total", "counter", "Requests by endpoint and status.", out);
  for (const auto& [key, count] : requests_) {
    out += Cat("retort_requests_total{endpoint=\"", key.first, "\",status=\"", key.second, "\"} ",
               count, "\n");
  }
  WriteMetricHead("retort_answers_total", "counter", "Answers by the reason of their end.", out);
  for (const auto& [reason, count] : finishes_)
    out += Cat("retort_answers_total{finish_reason=\"", reason, "\"} ", count, "\n");
  WriteCount("retort_prompt_tokens_total", "Tokens of answered prompts.", prompt_tokens_, out);
  WriteCount("retort_cached_prompt_tokens_total", "Of those, tokens that were not read again.",
             cached_tokens_, out);
  WriteCount("retort_generation_tokens_total", "Tokens of answers.", generated_tokens_, out);
  const auto by_model = [&](const std::string& name, const std::string& help, auto member) {
    WriteMetricHead(name, "counter", help, out);
    for (const auto& [model, own] : models_)
      out += Cat(name, "{model=\"", Label(model), "\"} ", own.*member, "\n");
  };
  by_model("retort_model_requests_total", "Answered requests by model or adapter.",
           &OfModel::requests);
  by_model("retort_model_prompt_tokens_total", "Tokens of their prompts.", &OfModel::prompt_tokens);
  by_model("retort_model_generation_tokens_total", "Tokens of their answers.",
           &OfModel::generated_tokens);
  WriteCount("retort_engine_tokens_total",
             "Tokens that were generated, those of unfinished answers included.",
             counts.generated_tokens, out);
  WriteCount("retort_steps_total", "Passes of the model.", counts.steps, out);
  WriteCount("retort_preemptions_total", "Requests that lost their place in the cache.",
             counts.preempted, out);
  WriteCount("retort_drafted_tokens_total", "Tokens that were guessed.", counts.drafted_tokens,
             out);
  WriteCount("retort_accepted_draft_tokens_total", "Of those, tokens that came true.",
             counts.accepted_tokens, out);
  const auto gauge = [&](const std::string& name, const std::string& help, int64_t value) {
    WriteMetric(name, "gauge", help, value, out);
  };
  gauge("retort_requests_running", "Answers that are being generated or read.", counts.live);
  gauge("retort_requests_waiting", "Answers that wait.", counts.queued);
  gauge("retort_cache_tokens", "Tokens in the cache of running answers.", counts.cached_tokens);
  gauge("retort_cache_capacity_tokens", "Tokens that the cache holds.", counts.cache_capacity);
  first_token_.Write("retort_time_to_first_token_seconds",
                     "From a request's arrival to its first token.", out);
  whole_.Write("retort_request_seconds", "From a request's arrival to the end of its answer.", out);
  WriteLlamaCpp(counts, out);
  return out;
}

}  // namespace retort
