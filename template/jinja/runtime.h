// SPDX-License-Identifier: Apache-2.0
// What one rendering may use, and where it is. A stranger wrote the template, so all work and
// memory that it decides on is counted here.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "template/jinja/value.h"

namespace retort::jinja {

inline constexpr int kMostLevels = 1000;      // of expressions and macros that call one another
inline constexpr int kMostValueLevels = 300;  // of lists and dicts in one another
inline constexpr int64_t kLongestRange = 100000;

// `namespace(...)`: the one value that changes.
class Namespace final : public Object {
 public:
  std::string_view type_name() const override { return "Namespace"; }
  Value Attribute(std::string_view name, const Value&) const override {
    const Value* found = attributes_.Find(name);
    return found ? *found : Value();
  }
  void Set(std::string_view name, Value value) {
    attributes_.Set(Value::Of(name), std::move(value));
  }
  const Dict& attributes() const { return attributes_; }
  void Clear() { attributes_ = Dict(); }

 private:
  Dict attributes_;
};

class Runtime {
 public:
  // `where` begins every error. An input of `input_bytes` may cause work in proportion.
  Runtime(std::string where, size_t input_bytes);
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  // Each throws when nothing is left.
  void Step(uint64_t steps = 1) {
    if (steps > steps_) ThrowSteps();
    steps_ -= steps;
  }
  void Make(uint64_t bytes) {
    if (bytes > bytes_) ThrowBytes();
    bytes_ -= bytes;
    Step(bytes / 64);
  }
  // Makes `count` times `size` bytes.
  void Make(uint64_t count, uint64_t size) {
    if (size && count > bytes_ / size) ThrowBytes();
    Make(count * size);
  }

  // "WHERE: chat template, line 3: ..."
  template <class... Args>
  Error Fault(const Args&... args) const {
    return InputError(Place(), Cat(args...));
  }
  std::string Place() const;

  Value NewText(Text text);
  Value NewList(std::vector<Value> items, List::Sort sort = List::Sort::kList);
  Value NewDict(Dict dict);
  std::shared_ptr<Namespace> NewNamespace();

  int line = 1;
  int levels = 0;

 private:
  [[noreturn]] void ThrowSteps() const;
  [[noreturn]] void ThrowBytes() const;

  std::string where_;
  uint64_t all_steps_, all_bytes_, steps_, bytes_;
  std::vector<std::shared_ptr<Namespace>> namespaces_;  // they may hold one another
};

// Counts one level as long as it lives.
class Level {
 public:
  explicit Level(Runtime& rt) : rt_(rt) {
    if (++rt.levels > kMostLevels) {
      --rt.levels;
      throw rt.Fault("more than ", kMostLevels, " levels of expressions and macros");
    }
  }
  ~Level() { --rt_.levels; }
  Level(const Level&) = delete;
  Level& operator=(const Level&) = delete;

 private:
  Runtime& rt_;
};

// Arguments of a call, in the order written.
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

// Arguments by the names of their parameters.
class Bound {
 public:
  // Throws if there are too many, an unknown or repeated name, or fewer than `required`. `what`
  // names the function: "filter 'join'".
  Bound(Runtime& rt, std::string_view what, const Arguments& arguments,
        std::initializer_list<std::string_view> names, size_t required = 0);

  // Null if not given.
  const Value* Get(size_t i) const { return values_[i]; }
  bool Has(size_t i) const { return values_[i] != nullptr; }
  bool Flag(size_t i, bool fallback) const { return values_[i] ? Truth(*values_[i]) : fallback; }
  // Throw if the argument is of another type.
  int64_t Int(size_t i, int64_t fallback) const;
  Text TextOr(size_t i, std::string_view fallback) const;

 private:
  Runtime& rt_;
  std::string_view what_;
  std::vector<std::string> names_;
  std::vector<const Value*> values_;
};

}  // namespace retort::jinja
