// SPDX-License-Identifier: Apache-2.0
#include "runner/service/current_model.h"

#include <exception>
#include <utility>

namespace retort {

CurrentModel::CurrentModel(ServedModel model, const ServiceOptions& options,
                           std::shared_ptr<const void> owner)
    : options_(options),
      stamp_(options.reload.opened),
      service_(std::make_unique<ModelService>(std::move(model), options, taken_, std::move(owner))),
      current_(LeaseOf(*service_)) {
  if (options.reload.open) thread_ = std::thread([this] { Work(); });
}

CurrentModel::~CurrentModel() {
  {
    const std::lock_guard lock(box_->mutex);
    stopping_ = true;
  }
  box_->changed.notify_all();
  if (thread_.joinable()) thread_.join();
}

CurrentModel::Lease CurrentModel::LeaseOf(ModelService& service) const {
  return {&service, [box = box_](ModelService*) {
            const std::lock_guard lock(box->mutex);
            box->returned = true;
            box->changed.notify_all();
          }};
}

CurrentModel::Lease CurrentModel::Get() const {
  const std::lock_guard lock(box_->mutex);
  return current_;
}

EngineCounts CurrentModel::counts() const {
  const std::lock_guard lock(box_->mutex);
  EngineCounts counts = service_->counts();
  counts += ended_;
  if (earlier_) counts += earlier_->counts();
  return counts;
}

void CurrentModel::Reload(Done done) {
  const std::lock_guard lock(box_->mutex);
  asked_.push_back(std::move(done));
  box_->changed.notify_all();
}

std::shared_lock<std::shared_mutex> CurrentModel::HoldAdapters() {
  if (reading_)
    throw ApiError(409, "the model is being read again; try again when that is done", "",
                   "model_reloading");
  return std::shared_lock(adapters_);
}

void CurrentModel::Work() {
  do {
    std::vector<Done> asked;
    {
      std::unique_lock lock(box_->mutex);
      box_->changed.wait(lock, [this] { return stopping_ || !asked_.empty(); });
      if (stopping_) return;
      asked.swap(asked_);
    }
    ReloadOutcome outcome;
    try {
      reading_ = true;
      outcome = Replace();
    } catch (const std::exception& e) {
      outcome = {ReloadOutcome::Kind::kFailed, e.what()};
    }
    reading_ = false;
    for (const Done& done : asked) done(outcome);
  } while (EndEarlier());
}

std::string CurrentModel::Stamp() const {
  std::vector<Path> folders;
  for (const auto& [name, folder] : Get()->adapters()) folders.push_back(folder);
  return options_.reload.stamp(std::move(folders));
}

ReloadOutcome CurrentModel::Replace() {
  const std::lock_guard adapters(adapters_);
  const std::string stamp = Stamp();
  if (stamp == stamp_) return {ReloadOutcome::Kind::kUnchanged};
  ReopenedModel next = options_.reload.open();
  ServiceOptions options = options_;
  options.engine = next.engine;
  options.rule = std::move(next.rule);
  options.adapters = std::move(next.adapters);
  options.adapters.loaded = Get()->adapters();
  options.reading = ++readings_;
  auto service =
      std::make_unique<ModelService>(std::move(next.model), options, taken_, std::move(next.owner));
  // What changed while it was read may be in it by half: the next call reads it again.
  stamp_ = Stamp() == stamp ? stamp : "changed while it was read";
  Lease lease = LeaseOf(*service);
  {
    const std::lock_guard lock(box_->mutex);
    earlier_ = std::exchange(service_, std::move(service));
    current_.swap(lease);
  }
  lease.reset();  // the earlier model's, without the mutex
  return {};
}

bool CurrentModel::EndEarlier() {
  std::unique_lock lock(box_->mutex);
  if (!earlier_) return true;
  box_->changed.wait(lock, [this] { return stopping_ || box_->returned; });
  if (stopping_) return false;
  lock.unlock();
  earlier_->engine().Run([] {});  // behind its last step, whose counts are published
  lock.lock();
  ended_ += earlier_->counts().Done();
  box_->returned = false;
  const std::unique_ptr<ModelService> ending = std::move(earlier_);
  lock.unlock();
  return true;
}

}  // namespace retort
