// SPDX-License-Identifier: Apache-2.0
#include "runner/server/api_keys.h"

#include <sys/stat.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "runner/api/error.h"

namespace retort {
namespace {

constexpr std::chrono::seconds kMinute{60};

// Takes a time that depends on the length of `given`, but not on the content of `secret`.
bool SameSecret(std::string_view given, std::string_view secret) {
  unsigned difference = given.size() == secret.size() ? 0 : 1;
  for (size_t i = 0; i < given.size(); ++i) {
    difference |= static_cast<unsigned char>(given[i] ^ secret[i % secret.size()]);
  }
  return difference == 0;
}

void CheckPrivate(const Path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0 || (status.st_mode & 077) == 0) return;
  throw InputError(file.string(), ": others than its owner may read these keys; use chmod 600");
}

ApiKey KeyIn(const Json& entry, const std::string& where) {
  if (!entry.is_object()) throw InputError(where, ": must be an object");
  ApiKey key;
  for (const auto& [name, value] : entry.items()) {
    if (name == "key" || name == "name") {
      const std::string text = value.is_string() ? value.get<std::string>() : "";
      if (text.empty() || Strip(text) != text)
        throw InputError(where, ": '", name,
                         "' must be a text that is not empty, with no blanks at its ends");
      (name == "key" ? key.secret : key.name) = value.get<std::string>();
      continue;
    }
    int64_t* const limit = name == "requests_per_minute" ? &key.requests_per_minute
                           : name == "tokens_per_minute" ? &key.tokens_per_minute
                           : name == "parallel"          ? &key.parallel
                                                         : nullptr;
    if (!limit)
      throw InputError(where, ": '", name,
                       "' is not known; use key, name, requests_per_minute, tokens_per_minute or "
                       "parallel");
    if (!value.is_number_unsigned() || value.get<uint64_t>() > uint64_t{INT64_MAX})
      throw InputError(where, ": '", name, "' must be a number of 0 or more");
    *limit = value.get<int64_t>();
  }
  if (key.secret.empty() || key.name.empty())
    throw InputError(where, ": needs a 'key' and a 'name'");
  return key;
}

ApiError UsedUp(const std::string& what, std::chrono::seconds wait) {
  ApiError error(429, Cat("this key has used up its ", what), "", "rate_limit_exceeded");
  error.headers = {{"Retry-After", Cat(std::max<int64_t>(1, wait.count()))}};
  return error;
}

// The file's list. What is wrong with it is not told with a quote, which may be of a key.
Json ListIn(const Path& file) {
  const std::string text = ReadText(file);
  try {
    Json list = ParseJson(text, file.string());
    if (list.is_array() && !list.empty()) return list;
  } catch (const Error&) {
    throw InputError(file.string(), ": is no valid JSON; it must be a list of keys");
  }
  throw InputError(file.string(), ": must be a list of keys");
}

// How long it takes until `then` is a minute ago.
std::chrono::seconds WaitFor(KeyRing::Clock::time_point then, KeyRing::Clock::time_point now) {
  return std::chrono::ceil<std::chrono::seconds>(then + kMinute - now);
}

}  // namespace

std::vector<ApiKey> ReadApiKeys(const Path& file) {
  CheckPrivate(file);
  const std::string where = file.string();
  const Json list = ListIn(file);
  std::vector<ApiKey> keys;
  keys.reserve(list.size());
  std::set<std::string> secrets, names;
  for (const Json& entry : list) {
    const std::string place = Cat(where, ": key ", keys.size() + 1);
    keys.push_back(KeyIn(entry, place));
    if (!secrets.insert(keys.back().secret).second)
      throw InputError(place, ": is that of another entry");
    if (!names.insert(keys.back().name).second)
      throw InputError(place, ": its name '", keys.back().name, "' is that of another entry");
  }
  return keys;
}

KeyRing::KeyRing(std::vector<ApiKey> keys) : keys_(std::move(keys)), uses_(keys_.size()) {}

int KeyRing::Find(std::string_view given) const {
  if (open()) return -1;
  int found = -1;
  for (size_t i = 0; i < keys_.size(); ++i) {
    if (SameSecret(given, keys_[i].secret)) found = static_cast<int>(i);
  }
  if (found >= 0) return found;
  ApiError error(401, "a valid API key is needed: Authorization: Bearer KEY", "",
                 "invalid_api_key");
  error.headers = {{"WWW-Authenticate", "Bearer"}};
  throw error;
}

const std::string& KeyRing::NameOf(int key) const {
  static const std::string none;
  return key < 0 ? none : keys_[static_cast<size_t>(key)].name;
}

std::unique_ptr<KeyRing::Admission> KeyRing::Admit(int key, Clock::time_point now) {
  if (key < 0) return nullptr;
  const std::lock_guard lock(mutex_);
  const ApiKey& limits = keys_[static_cast<size_t>(key)];
  Use& use = uses_[static_cast<size_t>(key)];
  use.Forget(now);
  if (limits.parallel > 0 && use.parallel >= limits.parallel)
    throw UsedUp("requests at one time", std::chrono::seconds(1));
  if (limits.requests_per_minute > 0 && std::ssize(use.requests) >= limits.requests_per_minute)
    throw UsedUp("requests of this minute", WaitFor(use.requests.front(), now));
  if (limits.tokens_per_minute > 0 && use.spent >= limits.tokens_per_minute)
    throw UsedUp("tokens of this minute", WaitFor(use.BelowFrom(limits.tokens_per_minute), now));
  ++use.parallel;
  if (limits.requests_per_minute > 0) use.requests.push_back(now);
  return std::make_unique<Admission>(*this, key);
}

void KeyRing::Spend(int key, int64_t tokens, Clock::time_point now) {
  if (key < 0 || tokens == 0 || keys_[static_cast<size_t>(key)].tokens_per_minute == 0) return;
  const std::lock_guard lock(mutex_);
  Use& use = uses_[static_cast<size_t>(key)];
  use.Forget(now);
  use.tokens.emplace_back(now, tokens);
  use.spent += tokens;
}

void KeyRing::Use::Forget(Clock::time_point now) {
  while (!requests.empty() && requests.front() + kMinute <= now) requests.pop_front();
  while (!tokens.empty() && tokens.front().first + kMinute <= now) {
    spent -= tokens.front().second;
    tokens.pop_front();
  }
}

KeyRing::Clock::time_point KeyRing::Use::BelowFrom(int64_t limit) const {
  int64_t left = spent;
  for (const auto& [then, count] : tokens) {
    left -= count;
    if (left < limit) return then;
  }
  return tokens.back().first;
}

void KeyRing::Leave(int key) {
  const std::lock_guard lock(mutex_);
  --uses_[static_cast<size_t>(key)].parallel;
}

}  // namespace retort
