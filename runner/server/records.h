// SPDX-License-Identifier: Apache-2.0
// What a server keeps of its requests: the use of keys, metrics, the log, and the watch for drift.
#pragma once

#include <chrono>
#include <memory>
#include <utility>

#include "runner/api/request.h"
#include "runner/server/api_keys.h"
#include "runner/server/metrics.h"
#include "runner/server/request_log.h"
#include "runner/server/server.h"

namespace retort {

struct AnsweredRequest {
  int key = -1;                                   // its place in the ring
  std::unique_ptr<KeyRing::Admission> admission;  // of a request for the engine
  LoggedRequest logged;
  KeyRing::Clock::time_point begun = KeyRing::Clock::now();
};

// Thread-safe.
struct ServerRecords {
  // model: its name. post: for what may wait for a disk.
  ServerRecords(const ServerOptions& options, const std::string& model, DriftWatch::Post post)
      : keys(options.keys), log(options.log), drift(options.drift, model, std::move(post)) {}

  // To be called before the client has its answer, and can ask again.
  void Ended(AnsweredRequest& request, const ReplyOutcome& outcome);

  KeyRing keys;
  RequestLog log;
  ServerMetrics metrics;
  DriftWatch drift;
};

// What the engine is asked, for the log.
std::string PromptText(const ApiRequest& request);

}  // namespace retort
