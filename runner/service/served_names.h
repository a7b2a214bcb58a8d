// SPDX-License-Identifier: Apache-2.0
// The models that clients may name: the served one, and adapters on it that come and go.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "runner/api/error.h"
#include "runner/service/served_variant.h"

namespace retort {

// Thread-safe. Who has found a variant keeps it as long as it is needed.
class ServedNames {
 public:
  static constexpr size_t kMostAdapters = 256;

  explicit ServedNames(std::shared_ptr<const ServedVariant> base) : all_{std::move(base)} {}

  // Absent: the served model. Throws ApiError 404, the same for every name that is not served.
  std::shared_ptr<const ServedVariant> Find(const std::optional<std::string>& name) const;
  // The served model first, then the adapters in the order of their loading.
  std::vector<std::shared_ptr<const ServedVariant>> All() const;
  // Throws ApiError 400 if no adapter can be called so, the name is taken, or there are too many.
  void CheckNew(const std::string& name) const;
  void Add(std::shared_ptr<const ServedVariant> adapter);
  // Throws ApiError 404 if there is no such adapter.
  void Remove(const std::string& name);

 private:
  using Variants = std::vector<std::shared_ptr<const ServedVariant>>;

  // With the mutex held.
  Variants::const_iterator At(const std::string& name) const;
  void CheckFree(const std::string& name) const;
  std::string Names() const;

  mutable std::mutex mutex_;
  Variants all_;
};

}  // namespace retort
