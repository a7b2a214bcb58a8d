// SPDX-License-Identifier: Apache-2.0
// What a server has done since its start, as Prometheus reads it. The counters are sums of what the
// clients were told: requests by the status of their answers, and the tokens of `usage`.
#pragma once

#include <array>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "base/clock.h"
#include "runner/engine/engine.h"
#include "runner/service/reply.h"

namespace retort {

// Thread-safe.
class ServerMetrics {
 public:
  // A request to `endpoint` ("chat") has been answered, or refused.
  void Count(const std::string& endpoint, int status);
  // The same, and what its answer says, of a model that the server has.
  void Count(const std::string& endpoint, const std::string& model, const ReplyOutcome& outcome,
             double seconds);
  // In the text format 0.0.4.
  std::string Text(const EngineCounts& counts) const;
  int64_t since() const { return since_; }  // seconds since 1970

 private:
  static constexpr std::array<double, 12> kBounds = {.01, .025, .05, .1, .25, .5,
                                                     1,   2.5,  5,   10, 30,  60};
  struct OfModel {
    int64_t requests = 0, prompt_tokens = 0, generated_tokens = 0;
  };
  struct Histogram {
    std::array<int64_t, kBounds.size() + 1> counts{};  // the last: above all bounds
    double sum = 0;

    void Add(double value);
    void Write(const std::string& name, const std::string& help, std::string& out) const;
  };

  // With the lock.
  void WriteLlamaCpp(const EngineCounts& counts, std::string& out) const;

  const int64_t since_ = SecondsSince1970();
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, int>, int64_t> requests_;
  int64_t prompt_tokens_ = 0, cached_tokens_ = 0, generated_tokens_ = 0;
  std::map<std::string, int64_t> finishes_;
  std::map<std::string, OfModel> models_;  // by name: the served one and the adapters on it
  Histogram first_token_, whole_;
  // Of all answers: up to and behind their first tokens, those behind, and the longest with its
  // prompt.
  double reading_seconds_ = 0, saying_seconds_ = 0;
  int64_t later_tokens_ = 0, longest_ = 0;
};

}  // namespace retort
