// SPDX-License-Identifier: Apache-2.0
#include "bench/load/load.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <iterator>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/error.h"
#include "base/json.h"
#include "base/random.h"
#include "base/text.h"
#include "bench/load/answer_times.h"
#include "bench/load/clients.h"
#include "bench/load/stream_client.h"

namespace retort {
namespace {

using Clock = std::chrono::steady_clock;
using OnDone = std::function<void(int64_t, int64_t)>;

constexpr int64_t kMostAtOnce = 4096;                   // requests of an open loop
constexpr std::chrono::milliseconds kAfterFailure{50};  // a refused client does not spin
constexpr size_t kLongestFault = 300;
constexpr double kMostFailures = 0.01;  // of the requests of a level that may be the knee

constexpr const char* kWords[] = {"water", "house",  "green",  "time",  "river",  "paper",
                                  "light", "stone",  "music",  "night", "garden", "window",
                                  "train", "letter", "winter", "bread"};

// No two requests of a seed begin alike, so that nothing of a prompt is in the server's cache.
std::string PromptOf(const LoadPlan& plan, int64_t request, int64_t words) {
  RandomStream random(
      MakeKey(plan.seed, RandomUse::kData, static_cast<uint64_t>(request), plan.part));
  std::string prompt = Cat(random.Next(), "-", random.Next(), ":");
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
  Load(const ServerAddress& server, const LoadPlan& plan, LoadLevel level, const OnDone& on_done)
      : server_(server),
        plan_(plan),
        level_(level),
        on_done_(on_done),
        count_(RequestsOf(plan, level)) {}

  LoadResult Run() {
    const int64_t allowed = AllowedConnections();
    if (allowed < level_.clients) {
      throw Failure(level_.clients, " clients: the process may open ", allowed,
                    " connections; raise its limit (ulimit -n)");
    }
    begun_ = Clock::now();
    if (level_.clients > 0)
      RunClosed();
    else
      RunOpen(std::min(kMostAtOnce, allowed));
    return Result();
  }

 private:
  void RunClosed() {
    bool all = true;
    {
      Crew crew;
      while (all && crew.size() < level_.clients) all = crew.Add([this] { AskOnAndOn(); });
      if (!all) Release();
    }
    if (!all) throw Failure("the system has no threads for ", level_.clients, " clients");
  }
  // The clients end when they have the answers that they wait for.
  void Release() {
    const std::lock_guard lock(mutex_);
    next_ = count_;
  }
  void AskOnAndOn() {
    StreamClient client(server_, plan_.key, plan_.seconds);
    for (int64_t request = Next(); request < count_; request = Next()) {
      if (!Ask(client, request, Clock::now())) std::this_thread::sleep_for(kAfterFailure);
    }
  }
  int64_t Next() {
    const std::lock_guard lock(mutex_);
    return next_ < count_ ? next_++ : count_;
  }

  // A request that is due goes to an idle thread, or to a new one if there is none. If there are
  // `most` already, it waits, and this time counts.
  void RunOpen(int64_t most) {
    RandomStream random(MakeKey(plan_.seed, RandomUse::kSample));
    times_.reserve(static_cast<size_t>(count_));
    Crew crew;
    double seconds = 0;
    for (int64_t request = 0; request < count_; ++request) {
      seconds += -std::log1p(-random.Uniform()) / level_.rate;
      const auto when = begun_ + std::chrono::duration_cast<Clock::duration>(
                                     std::chrono::duration<double>(seconds));
      std::this_thread::sleep_until(when);
      bool alone = false;
      {
        const std::lock_guard lock(mutex_);
        times_.push_back(when);
        ++due_;
        alone = idle_ < due_ - next_;
      }
      more_.notify_one();
      if (alone && crew.size() < most && !crew.Add([this] { AskWhatIsDue(); })) most = crew.size();
      if (most == 0) throw Failure("the system has no thread for a client");
    }
  }
  void AskWhatIsDue() {
    StreamClient client(server_, plan_.key, plan_.seconds);
    for (;;) {
      std::unique_lock lock(mutex_);
      ++idle_;
      more_.wait(lock, [&] { return next_ < due_ || next_ >= count_; });
      --idle_;
      if (next_ >= count_) break;
      const int64_t request = next_++;
      const Clock::time_point when = times_[static_cast<size_t>(request)];
      if (next_ == count_) more_.notify_all();
      lock.unlock();
      Ask(client, request, when);
    }
  }

  // Whether it was answered.
  bool Ask(StreamClient& client, int64_t request, Clock::time_point since) {
    AnswerTimes times(since);
    std::string fault;
    try {
      client.Post(plan_.chat ? "/chat/completions" : "/completions", BodyOf(plan_, request),
                  [&](std::string_view piece, Clock::time_point when) { times.Take(piece, when); });
      times.End();
    } catch (const std::exception& e) {
      fault = OneLine(e.what(), kLongestFault);
    }
    const std::lock_guard lock(mutex_);
    Add(times, fault);
    on_done_(result_.answered + result_.failed, count_);
    return fault.empty();
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
    if (times.each()) each_.push_back(*times.each());
    result_.prompt_tokens += static_cast<double>(times.prompt_tokens());
    result_.answer_tokens += static_cast<double>(times.tokens());
  }
  LoadResult Result() {
    const double seconds = std::chrono::duration<double>(last_ - begun_).count();
    const auto answered = static_cast<double>(result_.answered);
    result_.level = level_;
    result_.first = PercentilesOf(std::move(first_));
    result_.between = PercentilesOf(std::move(between_));
    result_.each = PercentilesOf(std::move(each_));
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
  const OnDone& on_done_;
  const int64_t count_;
  Clock::time_point begun_;
  std::mutex mutex_;  // of what follows
  std::condition_variable more_;
  int64_t next_ = 0;                      // the first request that no thread has taken
  int64_t due_ = 0, idle_ = 0;            // open loop: requests that are due, threads that wait
  std::vector<Clock::time_point> times_;  // open loop: when they were due
  LoadResult result_;
  std::vector<double> first_, between_, each_, whole_;
  Clock::time_point last_;
};

}  // namespace

int64_t RequestsOf(const LoadPlan& plan, const LoadLevel& level) {
  constexpr double kSeconds = 30;
  if (plan.requests > 0) return plan.requests;
  if (level.clients > 0) return std::max<int64_t>(40, 4 * level.clients);
  return std::max<int64_t>(100, static_cast<int64_t>(std::ceil(level.rate * kSeconds)));
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
                   const OnDone& on_done) {
  return Load(server, plan, level, on_done).Run();
}

size_t KneeOf(const std::vector<LoadResult>& results) {
  const auto fails = [](const LoadResult& r) {
    return static_cast<double>(r.failed) >
           kMostFailures * static_cast<double>(r.answered + r.failed);
  };
  const bool all_fail = std::ranges::all_of(results, fails);
  const auto power = [&](const LoadResult& r) {
    const double time = r.whole.p50.value_or(0);
    return time > 0 && (all_fail || !fails(r)) ? r.tokens_per_second / time : 0;
  };
  return static_cast<size_t>(std::ranges::max_element(results, {}, power) - results.begin());
}

}  // namespace retort
