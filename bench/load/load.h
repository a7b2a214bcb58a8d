// SPDX-License-Identifier: Apache-2.0
// Load on an OpenAI-compatible server, and what its clients see of it.
//
// Closed loop: so many clients, each of which asks again as soon as it has its answer. Open loop:
// requests come at random times (a Poisson process) of a given rate, however long the answers take,
// and a request's times count from when it was due.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "bench/load/percentiles.h"
#include "bench/load/server_address.h"

namespace retort {

struct LoadLength {
  int64_t prompt = 128, answer = 64;  // words of a prompt; most tokens of its answer
};

struct LoadPlan {
  std::string model;  // the name in requests
  std::string key;
  std::vector<LoadLength> lengths = {{}};  // the requests have them in turn
  bool chat = true;                        // or a text to complete
  bool ignore_eos = false;  // answers of full length, where the server knows this parameter
  int64_t requests = 0;     // of each level; 0: as RequestsOf says
  int seconds = 600;        // how long a whole answer may take
  uint64_t seed = 1;        // of prompts and arrivals
  uint64_t part = 0;        // of the seed's prompts: those of two parts differ
};

struct LoadLevel {
  int64_t clients = 0;  // closed loop; 0: open
  double rate = 0;      // open loop: requests in a second
};

// How many requests a level has. In a closed loop four for each client, 40 at least; in an open one
// those of half a minute, 100 at least.
int64_t RequestsOf(const LoadPlan& plan, const LoadLevel& level);

struct LoadResult {
  LoadLevel level;
  Percentiles first, between, whole;  // seconds to the first token, between texts, to the end
  Percentiles each;  // seconds of a token, the mean of each answer: (whole - first) / (tokens - 1)
  double tokens_per_second = 0, requests_per_second = 0;  // from the first request to the last end
  double prompt_tokens = 0, answer_tokens = 0;            // means
  int64_t answered = 0, failed = 0;
  std::string fault;  // of the first that failed; short, on one line
};

// The name of the server's first model.
std::string FirstModelOf(const ServerAddress& server, const std::string& key);

// server: with its endpoints. on_done: called after each answer, on any thread, one at a time.
// Throws Error{kFailure} if the system has not the threads or open files for so many clients.
LoadResult RunLoad(const ServerAddress& server, const LoadPlan& plan, LoadLevel level,
                   const std::function<void(int64_t done, int64_t of)>& on_done);

// Where load is best: the level of the largest "power" (Kleinrock, 1979), the throughput divided by
// the median time of a whole answer. Levels of which over 1 % failed do not count, unless all are
// such. results: not empty.
size_t KneeOf(const std::vector<LoadResult>& results);

}  // namespace retort
