// SPDX-License-Identifier: Apache-2.0
// The model that new requests go to. It can be replaced while others are under way: these end on
// the one that they began with.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <thread>
#include <vector>

#include "runner/api/error.h"
#include "runner/service/model_service.h"

namespace retort {

// What came of reading a model again.
struct ReloadOutcome {
  enum class Kind { kReplaced, kUnchanged, kFailed };
  Kind kind = Kind::kReplaced;
  std::string fault = {};  // of kFailed: why the earlier model is kept
};

// Thread-safe.
class CurrentModel {
 public:
  // Keeps a model, with its engine and adapters. Any thread may give it back.
  using Lease = std::shared_ptr<ModelService>;
  using Done = std::function<void(const ReloadOutcome& outcome)>;

  // options must outlive it; owner: as ModelService has it. Throws what that does.
  CurrentModel(ServedModel model, const ServiceOptions& options, std::shared_ptr<const void> owner);
  // Fails all unfinished requests, whoever has leases. Waits for a model that is being read.
  ~CurrentModel();
  CurrentModel(const CurrentModel&) = delete;
  CurrentModel& operator=(const CurrentModel&) = delete;

  Lease Get() const;
  // Of all models that there are, with what those have done that there were.
  EngineCounts counts() const;

  // Has a thread read the model's files again, and the adapters that are loaded now, and calls
  // `done` on it as soon as requests go to the new model. Those who ask meanwhile get the outcome
  // of reading once more. That begins when the last request to the model before has ended, so there
  // are never more than two. Requires ReloadOptions::open.
  void Reload(Done done);
  // To be held while adapters come and go. Throws ApiError 409 while a model is read.
  std::shared_lock<std::shared_mutex> HoldAdapters();

 private:
  // What outlives this object, for those who give leases back.
  struct Mailbox {
    std::mutex mutex;
    std::condition_variable changed;
    bool returned = false;  // guarded: nobody has the earlier model any more
  };

  Lease LeaseOf(ModelService& service) const;
  void Work();
  std::string Stamp() const;
  ReloadOutcome Replace();
  // Waits until nobody has the earlier model, and ends it. False: the server stops first.
  bool EndEarlier();

  const ServiceOptions& options_;
  std::atomic<int64_t> taken_{0};  // places, whichever model answers
  const std::shared_ptr<Mailbox> box_ = std::make_shared<Mailbox>();
  // Exclusive: which adapters there are does not change.
  std::shared_mutex adapters_;
  std::atomic<bool> reading_{false};  // a model
  std::string stamp_;                 // of the model's files; used by the thread alone
  int64_t readings_ = 0;              // likewise
  // Guarded by the mailbox's mutex.
  std::unique_ptr<ModelService> service_, earlier_;  // earlier_: null unless a request has it
  Lease current_;                                    // of service_
  EngineCounts ended_;                               // of models that are gone
  std::vector<Done> asked_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace retort
