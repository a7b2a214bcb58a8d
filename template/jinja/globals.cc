// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <ctime>

#include "template/jinja/call.h"
#include "template/jinja/operators.h"

namespace retort::jinja {
namespace {

using Run = Value (*)(Runtime& rt, const Arguments& arguments);

class Function final : public Callable {
 public:
  explicit Function(Run run) : run_(run) {}
  std::string_view type_name() const override { return "function"; }
  Value Call(Runtime& rt, const Arguments& arguments) override { return run_(rt, arguments); }

 private:
  Run run_;
};

template <class T, class... Args>
Value NewObject(Args&&... args) {
  return Value::Of(std::shared_ptr<Object>(std::make_shared<T>(std::forward<Args>(args)...)));
}

Value RangeFunction(Runtime& rt, const Arguments& arguments) {
  const Bound bound(rt, "range()", arguments, {"start", "stop", "step"}, 1);
  const int64_t start = bound.Has(1) ? bound.Int(0, 0) : 0;
  const int64_t stop = bound.Has(1) ? bound.Int(1, 0) : bound.Int(0, 0), step = bound.Int(2, 1);
  if (step == 0) throw rt.Fault("range() with a step of 0");
  std::vector<Value> items;
  for (int64_t at = start; step > 0 ? at < stop : at > stop;) {
    rt.Step();
    if (std::ssize(items) == kLongestRange)
      throw rt.Fault("range() of more than ", kLongestRange, " numbers");
    items.push_back(Value::Of(at));
    if (__builtin_add_overflow(at, step, &at)) break;
  }
  return rt.NewList(std::move(items), List::Sort::kRange);
}

// The entries of a dict given first, then those given by name.
template <class Set>
void ReadEntries(Runtime& rt, const Arguments& arguments, const Set& set) {
  if (arguments.positional.size() > 1) throw rt.Fault("dict() and namespace() take one value");
  if (!arguments.positional.empty()) {
    const Value& first = arguments.positional[0];
    if (first.IsDict()) {
      for (const auto& [key, value] : first.dict().entries()) set(key, value);
    } else {
      const auto pairs = Iterate(rt, first);
      for (const Value& pair : pairs->items()) {
        const auto two = Iterate(rt, pair);
        if (two->items().size() != 2) throw rt.Fault("a dict is made of pairs");
        set(two->items()[0], two->items()[1]);
      }
    }
  }
  for (const auto& [name, value] : arguments.named) set(rt.NewText(Text(name)), value);
}

Value DictFunction(Runtime& rt, const Arguments& arguments) {
  Dict dict;
  ReadEntries(rt, arguments, [&](const Value& key, const Value& value) {
    rt.Step();
    if (!dict.Set(key, value)) throw rt.Fault("a dict's key cannot be a ", key.TypeName());
  });
  return rt.NewDict(std::move(dict));
}

Value NamespaceFunction(Runtime& rt, const Arguments& arguments) {
  const auto space = rt.NewNamespace();
  ReadEntries(rt, arguments, [&](const Value& key, const Value& value) {
    rt.Make(sizeof(Value));
    if (!key.IsText()) throw rt.Fault("a namespace's names must be texts");
    space->Set(key.bytes(), value);
  });
  return Value::Of(std::shared_ptr<Object>(space));
}

Value RaiseFunction(Runtime& rt, const Arguments& arguments) {
  const Bound bound(rt, "raise_exception()", arguments, {"message"}, 1);
  throw rt.Fault("it refuses the conversation: ", ToText(rt, *bound.Get(0))->view());
}

// joiner(", ")() is empty the first time.
class Joiner final : public Callable {
 public:
  explicit Joiner(Value separator) : separator_(std::move(separator)) {}
  std::string_view type_name() const override { return "Joiner"; }
  Value Call(Runtime& rt, const Arguments& arguments) override {
    const Bound bound(rt, "a joiner", arguments, {});
    return std::exchange(used_, true) ? separator_ : Value::Of("");
  }

 private:
  Value separator_;
  bool used_ = false;
};

Value JoinerFunction(Runtime& rt, const Arguments& arguments) {
  const Bound bound(rt, "joiner()", arguments, {"sep"});
  return NewObject<Joiner>(rt.NewText(bound.TextOr(0, ", ")));
}

class Cycler final : public Object {
 public:
  explicit Cycler(std::vector<Value> items) : items_(std::move(items)) {}
  std::string_view type_name() const override { return "Cycler"; }
  int depth() const override { return items_.depth(); }
  Value Attribute(std::string_view name, const Value& self) const override;
  Value Next() {
    Value now = items_.items()[at_];
    at_ = (at_ + 1) % items_.items().size();
    return now;
  }
  void Reset() { at_ = 0; }

 private:
  List items_;
  size_t at_ = 0;
};

class CyclerMethod final : public Callable {
 public:
  CyclerMethod(Value cycler, bool next) : cycler_(std::move(cycler)), next_(next) {}
  std::string_view type_name() const override { return "method"; }
  int depth() const override { return cycler_.depth() + 1; }
  Value Call(Runtime& rt, const Arguments& arguments) override {
    const Bound bound(rt, "a cycler", arguments, {});
    auto* cycler = cycler_.As<Cycler>();
    if (next_) return cycler->Next();
    cycler->Reset();
    return Value::None();
  }

 private:
  Value cycler_;
  bool next_;
};

Value Cycler::Attribute(std::string_view name, const Value& self) const {
  if (name == "current") return items_.items()[at_];
  if (name != "next" && name != "reset") return {};
  return NewObject<CyclerMethod>(self, name == "next");
}

Value CyclerFunction(Runtime& rt, const Arguments& arguments) {
  if (arguments.positional.empty() || !arguments.named.empty())
    throw rt.Fault("cycler() needs values");
  rt.Make(arguments.positional.size(), sizeof(Value));
  return NewObject<Cycler>(arguments.positional);
}

// Python leaves out what a time without a zone does not have.
std::string WithoutZone(std::string_view format) {
  std::string out;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      out += format[i];
      continue;
    }
    const char c = format[++i];
    if (c == 'f')
      out += "000000";
    else if (c != 'z' && c != 'Z')
      out += {'%', c};
  }
  return out;
}

class Clock final : public Callable {
 public:
  explicit Clock(std::tm time) : time_(time) {}
  std::string_view type_name() const override { return "function"; }
  Value Call(Runtime& rt, const Arguments& arguments) override {
    const Bound bound(rt, "strftime_now()", arguments, {"format"}, 1);
    const Text format = bound.TextOr(0, "");
    constexpr size_t kLongest = 1000;
    const std::string pattern = WithoutZone(format.view().substr(0, format.view().find('\0')));
    if (pattern.size() > kLongest) throw rt.Fault("strftime_now() with a format that is too long");
    std::string buffer(64 * kLongest, '\0');
    buffer.resize(std::strftime(buffer.data(), buffer.size(), pattern.c_str(), &time_));
    return rt.NewText(Text(buffer));
  }

 private:
  std::tm time_;
};

struct GlobalEntry {
  std::string_view name;
  Run run;
};
constexpr GlobalEntry kGlobals[] = {
    {"range", RangeFunction},   {"dict", DictFunction},     {"namespace", NamespaceFunction},
    {"joiner", JoinerFunction}, {"cycler", CyclerFunction}, {"raise_exception", RaiseFunction},
};

}  // namespace

Value FindGlobal(std::string_view name) {
  const auto* found = std::ranges::find(kGlobals, name, &GlobalEntry::name);
  return found == std::end(kGlobals) ? Value() : NewObject<Function>(found->run);
}

Value FixedClock(std::string_view date) {
  std::tm time{};
  const std::string text(date);
  RETORT_CHECK(strptime(text.c_str(), "%Y-%m-%d", &time), "a date like 2024-07-26");
  time.tm_hour = 12;
  return NewObject<Clock>(time);
}

}  // namespace retort::jinja
