// SPDX-License-Identifier: Apache-2.0
// A pool of reusable workspaces. It holds as many as there were concurrent callers, rather than one
// for every thread that ever called.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

namespace retort {

template <class T>
class Pool {
 public:
  // Returns its object to the pool when destroyed.
  class Loan {
   public:
    explicit Loan(Pool* pool) : pool_(pool), object_(pool->Acquire()) {}
    ~Loan() { pool_->Release(std::move(object_)); }
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;
    T* operator->() const { return object_.get(); }
    T& operator*() const { return *object_; }

   private:
    Pool* pool_;
    std::unique_ptr<T> object_;
  };

 private:
  std::unique_ptr<T> Acquire() {
    {
      const std::lock_guard lock(mutex_);
      if (!free_.empty()) {
        auto object = std::move(free_.back());
        free_.pop_back();
        return object;
      }
    }
    return std::make_unique<T>();
  }
  void Release(std::unique_ptr<T> object) {
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(object));
  }

  std::mutex mutex_;
  std::vector<std::unique_ptr<T>> free_;
};

}  // namespace retort
