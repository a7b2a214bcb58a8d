// SPDX-License-Identifier: Apache-2.0
#include "runner/service/served_names.h"

#include <algorithm>

#include "base/ascii.h"
#include "base/strings.h"
#include "base/text.h"

namespace retort {
namespace {

constexpr size_t kMostModelNameBytes = 128;
constexpr size_t kToldNames = 8;  // in an error

// Names stand in paths, labels of metrics and logs; ":latest" is Ollama's.
bool MayBeName(const std::string& name) {
  const auto fits = [](char c) {
    return IsLetterOrDigit(c) || std::string_view("-_./").find(c) != std::string_view::npos;
  };
  return !name.empty() && name.size() <= kMostModelNameBytes && std::ranges::all_of(name, fits);
}

}  // namespace

ServedNames::Variants::const_iterator ServedNames::At(const std::string& name) const {
  return std::ranges::find(all_, name, [](const auto& variant) { return variant->name(); });
}

std::string ServedNames::Names() const {
  std::string out;
  for (size_t i = 0; i < std::min(all_.size(), kToldNames); ++i)
    out += Cat(i == 0 ? "'" : ", '", all_[i]->name(), "'");
  return all_.size() <= kToldNames ? out : Cat(out, " and ", all_.size() - kToldNames, " more");
}

std::shared_ptr<const ServedVariant> ServedNames::Find(
    const std::optional<std::string>& name) const {
  const std::lock_guard lock(mutex_);
  if (!name) return all_.front();
  const auto at = At(*name);
  if (at != all_.end()) return *at;
  throw ApiError(404, Cat("there is no model '", Shortened(*name), "'; this server has ", Names()),
                 "model", "model_not_found");
}

std::vector<std::shared_ptr<const ServedVariant>> ServedNames::All() const {
  const std::lock_guard lock(mutex_);
  return all_;
}

void ServedNames::CheckFree(const std::string& name) const {
  if (At(name) != all_.end())
    throw ApiError(400, Cat("there is a model '", name, "' already; unload it first"), "lora_name",
                   "invalid_value");
  if (all_.size() > kMostAdapters)
    throw ApiError(400, Cat("there are ", kMostAdapters, " adapters already; unload one first"),
                   "lora_name", "invalid_value");
}

void ServedNames::CheckNew(const std::string& name) const {
  if (!MayBeName(name))
    throw ApiError(400,
                   Cat("an adapter cannot be called '", Shortened(name),
                       "'; use 1 to 128 letters, digits, '-', '_', '.' and '/'"),
                   "lora_name", "invalid_value");
  const std::lock_guard lock(mutex_);
  CheckFree(name);
}

void ServedNames::Add(std::shared_ptr<const ServedVariant> adapter) {
  const std::lock_guard lock(mutex_);
  CheckFree(adapter->name());
  all_.push_back(std::move(adapter));
}

void ServedNames::Remove(const std::string& name) {
  std::shared_ptr<const ServedVariant> gone;  // which may end here, without the mutex
  const std::lock_guard lock(mutex_);
  const auto at = At(name);
  if (at == all_.end() || at == all_.begin())
    throw ApiError(404, Cat("there is no adapter '", Shortened(name), "'"), "lora_name",
                   "model_not_found");
  gone = *at;
  all_.erase(at);
}

}  // namespace retort
