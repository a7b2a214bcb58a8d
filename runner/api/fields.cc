// SPDX-License-Identifier: Apache-2.0
#include "runner/api/fields.h"

#include <nlohmann/json.hpp>

#include "base/strings.h"

namespace retort {

ApiError BadValue(const std::string& name, const std::string& expectation) {
  return ApiError(400, Cat("'", name, "' ", expectation), name, "invalid_value");
}

const Json& MemberOf(const Json& object, const std::string& name) {
  static const Json null;
  const auto at = object.find(name);
  return at == object.end() ? null : *at;
}

std::optional<int64_t> IntegerIn(const Json& value) {
  if (value.is_number_unsigned() && value.get<uint64_t>() > uint64_t{INT64_MAX})
    return std::nullopt;
  if (value.is_number_integer()) return value.get<int64_t>();
  if (!value.is_number_float()) return std::nullopt;
  constexpr double kExact = 9007199254740992;  // 2^53: above it a double may stand for several
  const auto number = value.get<double>();
  if (!(number >= -kExact && number <= kExact)) return std::nullopt;
  const auto whole = static_cast<int64_t>(number);
  if (static_cast<double>(whole) != number) return std::nullopt;
  return whole;
}

std::string TextField(const Json& object, const std::string& name) {
  const Json& value = MemberOf(object, name);
  if (!value.is_string()) throw BadValue(name, "must be a text");
  return value.get<std::string>();
}

int64_t IntegerField(const Json& object, const std::string& name, int64_t fallback) {
  const Json& value = MemberOf(object, name);
  if (value.is_null()) return fallback;
  const auto whole = IntegerIn(value);
  if (!whole) throw BadValue(name, "must be an integer");
  return *whole;
}

double NumberField(const Json& object, const std::string& name, double fallback) {
  const Json& value = MemberOf(object, name);
  if (value.is_null()) return fallback;
  if (!value.is_number()) throw BadValue(name, "must be a number");
  return value.get<double>();
}

bool FlagField(const Json& object, const std::string& name) {
  const Json& value = MemberOf(object, name);
  if (value.is_null()) return false;
  if (!value.is_boolean()) throw BadValue(name, "must be true or false");
  return value.get<bool>();
}

}  // namespace retort
