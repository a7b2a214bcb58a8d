// SPDX-License-Identifier: Apache-2.0
#include "bench/load/load.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <iterator>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/error.h"
#include "base/json.h"
#include "base/random.h"
#include "bench/load/answer_times.h"

namespace retort {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kWords[] = {"water", "house",  "green",  "time",  "river",  "paper",
                                  "light", "stone",  "music",  "night", "garden", "window",
                                  "train", "letter", "winter", "bread"};

// No two requests of a seed begin alike, so that nothing of a prompt is in the server's cache.
std::string PromptOf(const LoadPlan& plan, int64_t request, int64_t words) {
  RandomStream random(MakeKey(plan.seed, RandomUse::kData, static_cast<uint64_t>(request)));
  std::string prompt = Cat(random.Next(), ":");
  for (int64_t i = 1; i < words; ++i) prompt += Cat(" ", kWords[random.Below(std::size(kWords))]);
  return prompt;
}

std::string BodyOf(const LoadPlan& plan, int64_t request) {
  const LoadLength& length = plan.lengths[static_cast<size_t>(request) % plan.lengths.size()];
  const std::string prompt = PromptOf(plan, request, length.prompt);
  Json body = {{"model", plan.model},
               {"max_tokens", length.answer},
               {"temperature", 0},
               {"stream", true},
               {"stream_options", {{"include_usage", true}}}};
  if (plan.chat)
    body["messages"] = Json::array({{{"role", "user"}, {"content", prompt}}});
  else
    body["prompt"] = prompt;
  if (plan.ignore_eos) body["ignore_eos"] = true;
  return DumpJson(body);
}

// The requests of a level, and what became of them.
class Load {
 public:
  Load(const ServerAddress& server, const LoadPlan& plan, LoadLevel level,
       const std::function<void(int64_t, int64_t)>& on_done)
      : server_(server), plan_(plan), level_(level), on_done_(on_done) {
    count_ = plan.requests > 0 ? plan.requests : std::max<int64_t>(16, 4 * level.clients);
  }

  LoadResult Run() {
    const std::vector<double> due = DueTimes();
    begun_ = Clock::now();
    std::vector<std::thread> threads;
    const int64_t clients = level_.clients > 0 ? level_.clients : count_;
    threads.reserve(static_cast<size_t>(clients));
    for (int64_t i = 0; i < clients; ++i) {
      threads.emplace_back([this, &due, i] {
        if (level_.clients > 0)
          AskOnAndOn();
        else
          AskAt(i, due[static_cast<size_t>(i)]);
      });
    }
    for (std::thread& thread : threads) thread.join();
    return Result();
  }

 private:
  std::vector<double> DueTimes() const {
    std::vector<double> due(level_.clients > 0 ? 0 : static_cast<size_t>(count_));
    RandomStream random(MakeKey(plan_.seed, RandomUse::kSample));
    double time = 0;
    for (double& one : due) one = time += -std::log1p(-random.Uniform()) / level_.rate;
    return due;
  }
  void AskOnAndOn() {
    StreamClient client(server_, plan_.key, plan_.seconds);
    for (int64_t request = next_++; request < count_; request = next_++)
      Ask(client, request, Clock::now());
  }
  void AskAt(int64_t request, double due) {
    StreamClient client(server_, plan_.key, plan_.seconds);
    const auto when =
        begun_ + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(due));
    std::this_thread::sleep_until(when);
    Ask(client, request, when);
  }
  void Ask(StreamClient& client, int64_t request, Clock::time_point since) {
    AnswerTimes times(since);
    std::string fault;
    try {
      client.Post(plan_.chat ? "/chat/completions" : "/completions", BodyOf(plan_, request),
                  [&](std::string_view piece) { times.Take(piece); });
      times.End();
    } catch (const std::exception& e) {
      fault = e.what();
    }
    const std::lock_guard lock(mutex_);
    Add(times, fault);
    on_done_(result_.answered + result_.failed, count_);
  }
  void Add(const AnswerTimes& times, const std::string& fault) {
    last_ = Clock::now();
    if (!fault.empty()) {
      if (result_.failed++ == 0) result_.fault = fault;
      return;
    }
    ++result_.answered;
    first_.push_back(times.first());
    whole_.push_back(times.whole());
    between_.insert(between_.end(), times.between().begin(), times.between().end());
    result_.prompt_tokens += static_cast<double>(times.prompt_tokens());
    result_.answer_tokens += static_cast<double>(times.tokens());
  }
  LoadResult Result() {
    const double seconds = std::chrono::duration<double>(last_ - begun_).count();
    const auto answered = static_cast<double>(result_.answered);
    result_.level = level_;
    result_.first = PercentilesOf(std::move(first_));
    result_.between = PercentilesOf(std::move(between_));
    result_.whole = PercentilesOf(std::move(whole_));
    result_.tokens_per_second = result_.answer_tokens / seconds;
    result_.requests_per_second = answered / seconds;
    result_.prompt_tokens /= std::max(answered, 1.0);
    result_.answer_tokens /= std::max(answered, 1.0);
    return result_;
  }

  const ServerAddress& server_;
  const LoadPlan& plan_;
  const LoadLevel level_;
  const std::function<void(int64_t, int64_t)>& on_done_;
  int64_t count_ = 0;
  std::atomic<int64_t> next_{0};
  Clock::time_point begun_;
  std::mutex mutex_;  // of what follows
  LoadResult result_;
  std::vector<double> first_, between_, whole_;
  Clock::time_point last_;
};

}  // namespace

Percentiles PercentilesOf(std::vector<double> values) {
  if (values.empty()) return {};
  std::ranges::sort(values);
  const auto at = [&](double share) {
    const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(values.size())));
    return values[std::max<size_t>(rank, 1) - 1];
  };
  return {at(0.50), at(0.95), at(0.99)};
}

std::string FirstModelOf(const ServerAddress& server, const std::string& key) {
  constexpr int kSeconds = 30;
  const Json models = ParseJson(StreamClient(server, key, kSeconds).Get("/models"), server.url);
  const Json::json_pointer name("/data/0/id");
  if (!models.contains(name) || !models[name].is_string())
    throw Failure(server.url, ": its list of models names none; give --model");
  return models[name];
}

LoadResult RunLoad(const ServerAddress& server, const LoadPlan& plan, LoadLevel level,
                   const std::function<void(int64_t, int64_t)>& on_done) {
  return Load(server, plan, level, on_done).Run();
}

size_t KneeOf(const std::vector<LoadResult>& results) {
  const auto power = [](const LoadResult& r) {
    return r.whole.p50 > 0 ? r.tokens_per_second / r.whole.p50 : 0;
  };
  return static_cast<size_t>(std::ranges::max_element(results, {}, power) - results.begin());
}

}  // namespace retort
