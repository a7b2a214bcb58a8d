// SPDX-License-Identifier: Apache-2.0
#include "base/json.h"

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace retort {
namespace {

// nullptr when absent or null.
const Json* Find(const Json& object, std::string_view key, const std::string& where) {
  if (!object.is_object()) throw InputError(where, ": must be an object");
  const auto it = object.find(std::string(key));
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

const Json& Require(const Json& object, std::string_view key, const std::string& where) {
  const Json* value = Find(object, key, where);
  if (!value) throw InputError(where, ": '", key, "' is missing");
  return *value;
}

int64_t AsInt(const Json& v, std::string_view key, const std::string& where) {
  if (v.is_number_unsigned() && v.get<uint64_t>() > uint64_t{INT64_MAX}) {
    throw InputError(where, ": '", key, "' is too large");
  }
  if (v.is_number_integer()) return v.get<int64_t>();
  // Accepts 1e3 and 16.0 as integers.
  if (v.is_number_float()) {
    const double d = v.get<double>();
    if (d > -9e15 && d < 9e15 && d == static_cast<double>(static_cast<int64_t>(d))) {
      return static_cast<int64_t>(d);
    }
  }
  throw InputError(where, ": '", key, "' must be an integer");
}

double AsNumber(const Json& v, std::string_view key, const std::string& where) {
  if (!v.is_number()) throw InputError(where, ": '", key, "' must be a number");
  return v.get<double>();
}

std::string AsString(const Json& v, std::string_view key, const std::string& where) {
  if (!v.is_string()) throw InputError(where, ": '", key, "' must be a string");
  return v.get<std::string>();
}

}  // namespace

Json ReadJson(const Path& path, bool allow_comments) {
  constexpr uint64_t kMostJson = uint64_t{64} << 20;
  return ParseJson(ReadText(path, kMostJson), path.string(), allow_comments);
}

int64_t GetInt(const Json& o, std::string_view key, const std::string& where) {
  return AsInt(Require(o, key, where), key, where);
}
int64_t GetInt(const Json& o, std::string_view key, const std::string& where, int64_t fallback) {
  const Json* v = Find(o, key, where);
  return v ? AsInt(*v, key, where) : fallback;
}
double GetNumber(const Json& o, std::string_view key, const std::string& where) {
  return AsNumber(Require(o, key, where), key, where);
}
double GetNumber(const Json& o, std::string_view key, const std::string& where, double fallback) {
  const Json* v = Find(o, key, where);
  return v ? AsNumber(*v, key, where) : fallback;
}
bool GetBool(const Json& o, std::string_view key, const std::string& where, bool fallback) {
  const Json* v = Find(o, key, where);
  if (!v) return fallback;
  if (!v->is_boolean()) throw InputError(where, ": '", key, "' must be true or false");
  return v->get<bool>();
}
std::string GetString(const Json& o, std::string_view key, const std::string& where) {
  return AsString(Require(o, key, where), key, where);
}
std::string GetString(const Json& o, std::string_view key, const std::string& where,
                      std::string_view fallback) {
  const Json* v = Find(o, key, where);
  return v ? AsString(*v, key, where) : std::string(fallback);
}

std::string DumpJson(const Json& value, int indent) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace retort
