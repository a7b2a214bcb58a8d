// SPDX-License-Identifier: Apache-2.0
#include "template/jinja/value.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/strings.h"

namespace retort::jinja {
namespace {

constexpr size_t kFewEntries = 8;  // are searched one by one

// A key's text for the index: equal for keys that are equal. nullopt: no key.
std::optional<std::string> IndexText(const Value& key) {
  switch (key.kind()) {
    case Value::Kind::kText:
      return Cat("t", key.bytes());
    case Value::Kind::kNone:
      return "none";
    case Value::Kind::kBool:
    case Value::Kind::kInt:
      return Cat("n", *key.Integer());
    case Value::Kind::kFloat: {
      const double v = key.float_value();
      const bool whole = std::floor(v) == v && std::fabs(v) < 9e15;
      return whole ? Cat("n", static_cast<int64_t>(v)) : Cat("f", FloatText(v));
    }
    default:
      return std::nullopt;
  }
}

}  // namespace

Value Value::Missing(const std::string* name) { return Value(Held(UndefinedTag{name})); }
Value Value::OfList(std::vector<Value> items) {
  return Of(std::make_shared<const List>(std::move(items)));
}
Value Value::OfTuple(std::vector<Value> items) {
  return Of(std::make_shared<const List>(std::move(items), List::Sort::kTuple));
}

std::optional<int64_t> Value::Integer() const {
  if (Is(Kind::kInt)) return int_value();
  if (Is(Kind::kBool)) return bool_value() ? 1 : 0;
  return std::nullopt;
}

std::optional<double> Value::Real() const {
  if (Is(Kind::kFloat)) return float_value();
  if (const auto i = Integer()) return static_cast<double>(*i);
  return std::nullopt;
}

std::string Value::MissingName() const {
  const std::string* name = std::get<UndefinedTag>(held_).name;
  return name ? Cat("'", *name, "' is undefined") : "a value is undefined";
}

std::string_view Value::TypeName() const {
  static constexpr std::array<std::string_view, 6> kNames = {"Undefined", "None",  "bool",
                                                             "int",       "float", "str"};
  if (Is(Kind::kDict)) return "dict";
  if (Is(Kind::kObject)) return object()->type_name();
  if (!Is(Kind::kList)) return kNames[held_.index()];
  static constexpr std::array<std::string_view, 5> kSorts = {"list", "tuple", "range", "dict view",
                                                             "generator"};
  return kSorts[static_cast<size_t>(list().sort())];
}

int Value::depth() const {
  if (IsList()) return list().depth();
  if (IsDict()) return dict().depth();
  return Is(Kind::kObject) ? object()->depth() : 0;
}

List::List(std::vector<Value> items, Sort sort) : items_(std::move(items)), sort_(sort) {
  for (const Value& v : items_) depth_ = std::max(depth_, v.depth() + 1);
}

std::optional<size_t> Dict::PlaceOf(const Value& key) const {
  if (entries_.size() <= kFewEntries) {
    for (size_t i = 0; i < entries_.size(); ++i) {
      if (EqualScalars(entries_[i].first, key)) return i;
    }
    return std::nullopt;
  }
  const auto text = IndexText(key);
  if (!text) return std::nullopt;
  const auto found = index_.find(*text);
  if (found == index_.end()) return std::nullopt;
  return found->second;
}

bool Dict::Set(const Value& key, Value value) {
  if (!IndexText(key)) return false;
  depth_ = std::max(depth_, value.depth() + 1);
  if (const auto place = PlaceOf(key)) {
    entries_[*place].second = std::move(value);
    return true;
  }
  entries_.emplace_back(key, std::move(value));
  if (entries_.size() == kFewEntries + 1) {
    for (size_t i = 0; i < entries_.size(); ++i) index_.emplace(*IndexText(entries_[i].first), i);
  } else if (entries_.size() > kFewEntries) {
    index_.emplace(*IndexText(key), entries_.size() - 1);
  }
  return true;
}

const Value* Dict::Find(const Value& key) const {
  const auto place = PlaceOf(key);
  if (!place) return nullptr;
  if (*place < seen_.size()) seen_[*place] = true;
  return &entries_[*place].second;
}

const Value* Dict::Find(std::string_view key) const {
  for (size_t i = 0; i < entries_.size() && entries_.size() <= kFewEntries; ++i) {
    const Value& own = entries_[i].first;
    if (!own.IsText() || own.bytes() != key) continue;
    if (i < seen_.size()) seen_[i] = true;
    return &entries_[i].second;
  }
  return entries_.size() <= kFewEntries ? nullptr : Find(Value::Of(key));
}

const std::vector<Dict::Entry>& Dict::entries() const {
  seen_.assign(seen_.size(), true);
  return entries_;
}

Value Object::Attribute(std::string_view, const Value&) const { return {}; }

bool Truth(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::kUndefined:
    case Value::Kind::kNone:
      return false;
    case Value::Kind::kBool:
      return value.bool_value();
    case Value::Kind::kInt:
      return value.int_value() != 0;
    case Value::Kind::kFloat:
      return value.float_value() != 0;
    case Value::Kind::kText:
      return !value.text().empty();
    case Value::Kind::kList:
      return value.list().sort() == List::Sort::kGenerator || !value.list().items().empty();
    case Value::Kind::kDict:
      return value.dict().size() > 0;
    case Value::Kind::kObject:
      return true;
  }
  return true;
}

bool EqualScalars(const Value& a, const Value& b) {
  if (a.IsNumber() && b.IsNumber()) {
    const auto x = a.Integer(), y = b.Integer();
    return x && y ? *x == *y : *a.Real() == *b.Real();
  }
  if (a.IsText() && b.IsText()) return a.bytes() == b.bytes();
  return (a.IsNone() && b.IsNone()) || (a.IsUndefined() && b.IsUndefined());
}

std::string FloatText(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[40];
  const auto end =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
  const std::string_view shortest(buffer, static_cast<size_t>(end.ptr - buffer));
  const size_t e = shortest.find('e');
  int exponent = 0;
  const char* first = shortest.data() + e + 1 + (shortest[e + 1] == '+');
  std::from_chars(first, shortest.data() + shortest.size(), exponent);
  if (exponent < -4 || exponent >= 16) {
    const int size = std::abs(exponent);
    return Cat(shortest.substr(0, e), exponent < 0 ? "e-" : "e+", size < 10 ? "0" : "", size);
  }
  const auto fixed = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed);
  std::string text(buffer, fixed.ptr);
  return text.find('.') == std::string::npos ? text + ".0" : text;
}

}  // namespace retort::jinja
