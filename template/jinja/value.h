// SPDX-License-Identifier: Apache-2.0
// The values of a template's expressions, as in Python. All but namespaces are immutable, as in the
// sandbox that chat templates run in.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "base/seeded_hash.h"
#include "template/jinja/text.h"

namespace retort::jinja {

class List;
class Dict;
class Object;

struct NoneTag {};
struct UndefinedTag {
  const std::string* name = nullptr;  // borrowed
};

class Value {
 public:
  enum class Kind : uint8_t {
    kUndefined,
    kNone,
    kBool,
    kInt,
    kFloat,
    kText,
    kList,
    kDict,
    kObject
  };

  Value() = default;  // undefined
  // Undefined, with a name for errors, which is borrowed (from the template's syntax tree).
  static Value Missing(const std::string* name);
  static Value None() { return Value(Held(NoneTag{})); }
  static Value Of(bool v) { return Value(Held(v)); }
  static Value Of(int64_t v) { return Value(Held(v)); }
  static Value Of(double v) { return Value(Held(v)); }
  static Value Of(Text text) { return Value(Held(std::make_shared<const Text>(std::move(text)))); }
  static Value Of(std::string_view text, Origin origin = kOwn) {
    return Of(Text(std::string(text), origin));
  }
  static Value Of(const char* text) { return Of(std::string_view(text)); }
  static Value Of(std::shared_ptr<const Text> text) { return Value(Held(std::move(text))); }
  static Value Of(std::shared_ptr<const List> list) { return Value(Held(std::move(list))); }
  static Value Of(std::shared_ptr<const Dict> dict) { return Value(Held(std::move(dict))); }
  static Value Of(std::shared_ptr<Object> object) { return Value(Held(std::move(object))); }
  static Value OfList(std::vector<Value> items);
  static Value OfTuple(std::vector<Value> items);

  Kind kind() const { return static_cast<Kind>(held_.index()); }
  bool Is(Kind k) const { return kind() == k; }
  bool IsText() const { return Is(Kind::kText); }
  bool IsList() const { return Is(Kind::kList); }
  bool IsDict() const { return Is(Kind::kDict); }
  bool IsUndefined() const { return Is(Kind::kUndefined); }
  bool IsNone() const { return Is(Kind::kNone); }
  bool IsNumber() const { return Is(Kind::kInt) || Is(Kind::kFloat) || Is(Kind::kBool); }

  // Each only of a value of its kind.
  bool bool_value() const { return std::get<bool>(held_); }
  int64_t int_value() const { return std::get<int64_t>(held_); }
  double float_value() const { return std::get<double>(held_); }
  const Text& text() const { return *std::get<std::shared_ptr<const Text>>(held_); }
  const std::shared_ptr<const Text>& text_ptr() const {
    return std::get<std::shared_ptr<const Text>>(held_);
  }
  const List& list() const { return *std::get<std::shared_ptr<const List>>(held_); }
  const Dict& dict() const { return *std::get<std::shared_ptr<const Dict>>(held_); }
  const std::shared_ptr<const List>& list_ptr() const {
    return std::get<std::shared_ptr<const List>>(held_);
  }
  const std::shared_ptr<Object>& object() const { return std::get<std::shared_ptr<Object>>(held_); }
  template <class T>
  T* As() const {
    return Is(Kind::kObject) ? dynamic_cast<T*>(object().get()) : nullptr;
  }
  std::string_view bytes() const { return text().view(); }

  // An int or a bool, which is 0 or 1.
  std::optional<int64_t> Integer() const;
  // A number as a float.
  std::optional<double> Real() const;
  // What an error calls it: "'name' is undefined".
  std::string MissingName() const;
  // Python's name of its type: "str", "dict".
  std::string_view TypeName() const;
  // Levels of lists and dicts within it.
  int depth() const;

 private:
  using Held = std::variant<UndefinedTag, NoneTag, bool, int64_t, double,
                            std::shared_ptr<const Text>, std::shared_ptr<const List>,
                            std::shared_ptr<const Dict>, std::shared_ptr<Object>>;
  explicit Value(Held held) : held_(std::move(held)) {}

  Held held_;
};

// A list, or one of the things that Python makes instead of lists.
class List {
 public:
  enum class Sort : uint8_t {
    kList,
    kTuple,
    kRange,
    kView,      // of a dict: d.items()
    kGenerator  // read once; always true; without a length
  };
  explicit List(std::vector<Value> items, Sort sort = Sort::kList);

  const std::vector<Value>& items() const { return items_; }
  Sort sort() const { return sort_; }
  int depth() const { return depth_; }
  // A generator that was read is empty.
  bool spent() const { return spent_; }
  void Spend() const { spent_ = true; }

 private:
  std::vector<Value> items_;
  Sort sort_;
  int depth_ = 1;
  mutable bool spent_ = false;
};

// Keys are texts, numbers or none, in the order in which they came.
class Dict {
 public:
  using Entry = std::pair<Value, Value>;

  // False if a dict can't have this key.
  bool Set(const Value& key, Value value);
  const Value* Find(const Value& key) const;
  const Value* Find(std::string_view key) const;
  const std::vector<Entry>& entries() const;
  size_t size() const { return entries_.size(); }
  int depth() const { return depth_; }

  // Whether the template has looked at the entry: found it, or gone through all. For the input's
  // dicts, so that nothing of a conversation is left out without a word.
  void Track() { seen_.assign(entries_.size(), false); }
  bool Seen(size_t entry) const { return entry >= seen_.size() || seen_[entry]; }
  const std::vector<Entry>& AllWithoutLooking() const { return entries_; }

 private:
  std::optional<size_t> PlaceOf(const Value& key) const;

  std::vector<Entry> entries_;
  std::unordered_map<std::string, size_t, SeededTextHash, std::equal_to<>> index_;  // if many
  int depth_ = 1;
  mutable std::vector<bool> seen_;
};

// What is known by its identity: namespaces, macros, loops, methods, functions.
class Object {
 public:
  Object() = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  virtual ~Object() = default;
  virtual std::string_view type_name() const = 0;
  virtual int depth() const { return 0; }
  // Undefined if there is none. `self` is the value that holds this object.
  virtual Value Attribute(std::string_view name, const Value& self) const;
};

bool Truth(const Value& value);
// Python's == of texts, numbers and none; false for all others.
bool EqualScalars(const Value& a, const Value& b);

// A float as Python prints it: "1.0", "1e-05", "inf".
std::string FloatText(double value);

}  // namespace retort::jinja
