// SPDX-License-Identifier: Apache-2.0
#include "formats/gguf_metadata.h"

#include <array>
#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "formats/tensor_file.h"

namespace retort {
namespace {

constexpr std::array<std::string_view, 13> kTypeNames = {
    "u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64"};

template <class T>
constexpr bool kIsInteger = std::is_integral_v<T> && !std::is_same_v<T, bool>;

// nullopt for values that are not integers or do not fit.
std::optional<int64_t> AsInt(const GgufValue& value) {
  return std::visit(
      [](const auto& v) -> std::optional<int64_t> {
        using T = std::decay_t<decltype(v)>;
        if constexpr (kIsInteger<T>) {
          if (std::in_range<int64_t>(v)) return static_cast<int64_t>(v);
        }
        return std::nullopt;
      },
      value);
}

std::optional<double> AsNumber(const GgufValue& value) {
  return std::visit(
      [](const auto& v) -> std::optional<double> {
        using T = std::decay_t<decltype(v)>;
        if constexpr (kIsInteger<T> || std::is_floating_point_v<T>) return static_cast<double>(v);
        return std::nullopt;
      },
      value);
}

Error WrongType(const std::string& where, std::string_view key, const GgufValue& value,
                std::string_view want) {
  return InputError(where, ": metadata ", Quoted(key), " is ", TypeText(value), " ",
                    ValueText(value), ", expected ", want);
}

// The array's items, converted; nullopt if `accepts` rejects their type.
template <class To, class Accepts>
std::optional<std::vector<To>> AsArray(const GgufValue& value, Accepts accepts) {
  const auto* array = std::get_if<GgufArray>(&value);
  if (!array) return std::nullopt;
  return std::visit(
      [&](const auto& items) -> std::optional<std::vector<To>> {
        using T = typename std::decay_t<decltype(items)>::value_type;
        if constexpr (accepts.template operator()<T>()) {
          return std::vector<To>(items.begin(), items.end());
        }
        return std::nullopt;
      },
      array->items);
}

}  // namespace

size_t GgufArray::size() const {
  return std::visit([](const auto& v) { return v.size(); }, items);
}

std::string TypeText(const GgufValue& value) {
  if (const auto* array = std::get_if<GgufArray>(&value)) {
    return Cat("array of ", kTypeNames[array->items.index()]);
  }
  return std::string(kTypeNames[value.index()]);
}

std::string ValueText(const GgufValue& value) {
  constexpr size_t kMostItems = 3;
  if (const auto* text = std::get_if<std::string>(&value)) return Quoted(*text);
  if (const auto* array = std::get_if<GgufArray>(&value)) {
    std::vector<std::string> parts;
    std::visit(
        [&](const auto& items) {
          using T = typename std::decay_t<decltype(items)>::value_type;
          for (size_t i = 0; i < items.size() && i < kMostItems; ++i) {
            parts.push_back(ValueText(GgufValue(T(items[i]))));
          }
        },
        array->items);
    if (array->size() > kMostItems) parts.push_back(Cat("... ", array->size(), " in all"));
    return Cat("[", Join(parts, ", "), "]");
  }
  return std::visit(
      [](const auto& v) -> std::string {
        if constexpr (std::is_arithmetic_v<std::decay_t<decltype(v)>>) return Cat(v);
        return "";
      },
      value);
}

void GgufMetadata::Set(std::string key, GgufValue value) {
  const auto [it, added] = index_.emplace(key, entries_.size());
  if (added)
    entries_.emplace_back(std::move(key), std::move(value));
  else
    entries_[it->second].second = std::move(value);
}

void GgufMetadata::Erase(std::string_view key) {
  const auto at = index_.find(key);
  if (at == index_.end()) return;
  const size_t place = at->second;
  entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(place));
  index_.erase(at);
  for (auto& [name, index] : index_) index -= index > place;
}

const GgufValue* GgufMetadata::Find(std::string_view key) const {
  const auto it = index_.find(key);
  return it == index_.end() ? nullptr : &entries_[it->second].second;
}

const GgufValue& GgufMetadata::Require(std::string_view key) const {
  const GgufValue* value = Find(key);
  if (!value) throw InputError(where_, ": metadata ", Quoted(key), " is missing");
  return *value;
}

int64_t GgufMetadata::Int(std::string_view key) const {
  const GgufValue& value = Require(key);
  const auto v = AsInt(value);
  if (!v) throw WrongType(where_, key, value, "an integer");
  return *v;
}

int64_t GgufMetadata::Int(std::string_view key, int64_t fallback) const {
  return Find(key) ? Int(key) : fallback;
}

double GgufMetadata::Number(std::string_view key) const {
  const GgufValue& value = Require(key);
  const auto v = AsNumber(value);
  if (!v) throw WrongType(where_, key, value, "a number");
  return *v;
}

double GgufMetadata::Number(std::string_view key, double fallback) const {
  return Find(key) ? Number(key) : fallback;
}

bool GgufMetadata::Bool(std::string_view key, bool fallback) const {
  const GgufValue* value = Find(key);
  if (!value) return fallback;
  const bool* v = std::get_if<bool>(value);
  if (!v) throw WrongType(where_, key, *value, "a boolean");
  return *v;
}

const std::string& GgufMetadata::Text(std::string_view key) const {
  const GgufValue& value = Require(key);
  const auto* v = std::get_if<std::string>(&value);
  if (!v) throw WrongType(where_, key, value, "a string");
  return *v;
}

std::string GgufMetadata::Text(std::string_view key, std::string_view fallback) const {
  return Find(key) ? Text(key) : std::string(fallback);
}

const std::vector<std::string>& GgufMetadata::Texts(std::string_view key) const {
  const GgufValue& value = Require(key);
  const auto* array = std::get_if<GgufArray>(&value);
  const auto* v = array ? std::get_if<std::vector<std::string>>(&array->items) : nullptr;
  if (!v) throw WrongType(where_, key, value, "an array of strings");
  return *v;
}

std::vector<int64_t> GgufMetadata::Ints(std::string_view key) const {
  const GgufValue& value = Require(key);
  // Not u64: values beyond the range of i64 would wrap around.
  auto v = AsArray<int64_t>(
      value, []<class T>() { return kIsInteger<T> && !std::is_same_v<T, uint64_t>; });
  if (!v) throw WrongType(where_, key, value, "an array of integers");
  return *std::move(v);
}

std::vector<double> GgufMetadata::Doubles(std::string_view key) const {
  const GgufValue& value = Require(key);
  auto v = AsArray<double>(value, []<class T>() { return std::is_floating_point_v<T>; });
  if (!v) throw WrongType(where_, key, value, "an array of floats");
  return *std::move(v);
}

std::vector<float> GgufMetadata::Floats(std::string_view key) const {
  const GgufValue& value = Require(key);
  auto v = AsArray<float>(value, []<class T>() { return std::is_floating_point_v<T>; });
  if (!v) throw WrongType(where_, key, value, "an array of floats");
  return *std::move(v);
}

}  // namespace retort
