// SPDX-License-Identifier: Apache-2.0
// The keys of a server's clients, and what each may use.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "runner/api/error.h"

namespace retort {

struct ApiKey {
  std::string secret, name;  // the name stands in logs
  // 0: not limited.
  int64_t requests_per_minute = 0, tokens_per_minute = 0, parallel = 0;
};

// A JSON list of {"key", "name", "requests_per_minute", "tokens_per_minute", "parallel"}, of which
// the first two are needed. Throws Error{kInput} naming the file and the place; so it does where
// others than the file's owner may read it.
std::vector<ApiKey> ReadApiKeys(const Path& file);

// Thread-safe.
class KeyRing {
 public:
  using Clock = std::chrono::steady_clock;

  explicit KeyRing(std::vector<ApiKey> keys);
  // Whether every request is let in, under no name.
  bool open() const { return keys_.empty(); }

  // The place of the key that was given; -1 if the ring is open. Throws ApiError 401. Takes the
  // same time for all keys of a length.
  int Find(std::string_view given) const;
  const std::string& NameOf(int key) const;

  // One request that is being answered; over when it is destroyed.
  class Admission {
   public:
    Admission(KeyRing& ring, int key) : ring_(ring), key_(key) {}
    ~Admission() { ring_.Leave(key_); }
    Admission(const Admission&) = delete;
    Admission& operator=(const Admission&) = delete;

   private:
    KeyRing& ring_;
    int key_;
  };
  // Throws ApiError 429 with Retry-After if the key has used up what it may: within any sixty
  // seconds, requests and tokens of answered ones. Limits are checked before a request; its own
  // tokens count when it has ended.
  std::unique_ptr<Admission> Admit(int key, Clock::time_point now);
  void Spend(int key, int64_t tokens, Clock::time_point now);

 private:
  struct Use {
    int64_t parallel = 0, spent = 0;  // spent: the sum of `tokens`
    std::deque<Clock::time_point> requests;
    std::deque<std::pair<Clock::time_point, int64_t>> tokens;

    void Forget(Clock::time_point now);  // what is a minute ago
    // What was spent up to this time is to be forgotten before less than `limit` is left.
    Clock::time_point BelowFrom(int64_t limit) const;
  };
  void Leave(int key);

  const std::vector<ApiKey> keys_;
  std::mutex mutex_;
  std::vector<Use> uses_;
};

}  // namespace retort
