// SPDX-License-Identifier: Apache-2.0
// The tests behind `is`, and the lookup of tests and filters by name.
#include <algorithm>
#include <unordered_map>

#include "template/jinja/characters.h"
#include "template/jinja/methods.h"
#include "template/jinja/operators.h"

namespace retort::jinja {
namespace {

template <bool (*is)(const Value&)>
bool Plain(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "a test", arguments, {});
  return is(value);
}

bool IsDefined(const Value& v) { return !v.IsUndefined(); }
bool IsUndefined(const Value& v) { return v.IsUndefined(); }
bool IsNone(const Value& v) { return v.IsNone(); }
bool IsBoolean(const Value& v) { return v.Is(Value::Kind::kBool); }
bool IsTrue(const Value& v) { return v.Is(Value::Kind::kBool) && v.bool_value(); }
bool IsFalse(const Value& v) { return v.Is(Value::Kind::kBool) && !v.bool_value(); }
bool IsInteger(const Value& v) { return v.Is(Value::Kind::kInt); }
bool IsFloat(const Value& v) { return v.Is(Value::Kind::kFloat); }
bool IsNumber(const Value& v) { return v.IsNumber(); }
bool IsString(const Value& v) { return v.IsText(); }
bool IsMapping(const Value& v) { return v.IsDict(); }
bool IsIterable(const Value& v) {
  return v.IsText() || v.IsList() || v.IsDict() || v.IsUndefined();
}
// What has a length and items.
bool IsSequence(const Value& v) {
  if (!v.IsList()) return v.IsText() || v.IsDict() || v.IsUndefined();
  return v.list().sort() != List::Sort::kGenerator && v.list().sort() != List::Sort::kView;
}
bool IsCallable(const Value& v) { return v.As<Callable>() != nullptr; }
bool IsEscaped(const Value& v) { return v.IsText() && v.text().html; }

template <const char* const& method>
bool ByMethod(Runtime& rt, const Value& value, const Arguments& arguments) {
  return FindTextMethod(method)(rt, Value::Of(ToText(rt, value)), arguments).bool_value();
}
constexpr const char* kIsLower = "islower";
constexpr const char* kIsUpper = "isupper";

template <bool known(std::string_view)>
bool Known(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "a test", arguments, {});
  return value.IsText() && known(value.bytes());
}
bool KnownFilter(std::string_view name) { return FindFilter(name) != nullptr; }
bool KnownTest(std::string_view name) { return FindTest(name) != nullptr; }

template <int remainder>
bool Parity(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "a test", arguments, {});
  return Equal(rt, Modulo(rt, value, Value::Of(int64_t{2})), Value::Of(int64_t{remainder}));
}

bool DivisibleBy(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "test 'divisibleby'", arguments, {"num"}, 1);
  return Equal(rt, Modulo(rt, value, *bound.Get(0)), Value::Of(int64_t{0}));
}

template <bool holds(Runtime&, const Value&, const Value&)>
bool Compared(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "a test", arguments, {"other"}, 1);
  return holds(rt, value, *bound.Get(0));
}
bool Unequal(Runtime& rt, const Value& a, const Value& b) { return !Equal(rt, a, b); }
bool Less(Runtime& rt, const Value& a, const Value& b) { return MustOrder(rt, a, b) < 0; }
bool LessEqual(Runtime& rt, const Value& a, const Value& b) { return MustOrder(rt, a, b) <= 0; }
bool Greater(Runtime& rt, const Value& a, const Value& b) { return MustOrder(rt, a, b) > 0; }
bool GreaterEqual(Runtime& rt, const Value& a, const Value& b) { return MustOrder(rt, a, b) >= 0; }
bool IsIn(Runtime& rt, const Value& a, const Value& b) { return Contains(rt, b, a); }

bool Same(Runtime&, const Value& a, const Value& b) {
  if (a.kind() != b.kind()) return false;
  if (a.IsText()) return a.text_ptr() == b.text_ptr();
  if (a.IsList()) return a.list_ptr() == b.list_ptr();
  if (a.IsDict()) return &a.dict() == &b.dict();
  return a.Is(Value::Kind::kObject) ? a.object() == b.object() : EqualScalars(a, b);
}

struct TestEntry {
  std::string_view name;
  Test test;
};

constexpr TestEntry kTests[] = {
    {"defined", Plain<IsDefined>},
    {"undefined", Plain<IsUndefined>},
    {"none", Plain<IsNone>},
    {"boolean", Plain<IsBoolean>},
    {"true", Plain<IsTrue>},
    {"false", Plain<IsFalse>},
    {"integer", Plain<IsInteger>},
    {"float", Plain<IsFloat>},
    {"number", Plain<IsNumber>},
    {"string", Plain<IsString>},
    {"mapping", Plain<IsMapping>},
    {"iterable", Plain<IsIterable>},
    {"sequence", Plain<IsSequence>},
    {"callable", Plain<IsCallable>},
    {"escaped", Plain<IsEscaped>},
    {"lower", ByMethod<kIsLower>},
    {"upper", ByMethod<kIsUpper>},
    {"filter", Known<KnownFilter>},
    {"test", Known<KnownTest>},
    {"odd", Parity<1>},
    {"even", Parity<0>},
    {"divisibleby", DivisibleBy},
    {"eq", Compared<Equal>},
    {"equalto", Compared<Equal>},
    {"==", Compared<Equal>},
    {"ne", Compared<Unequal>},
    {"!=", Compared<Unequal>},
    {"lt", Compared<Less>},
    {"lessthan", Compared<Less>},
    {"<", Compared<Less>},
    {"le", Compared<LessEqual>},
    {"<=", Compared<LessEqual>},
    {"gt", Compared<Greater>},
    {"greaterthan", Compared<Greater>},
    {">", Compared<Greater>},
    {"ge", Compared<GreaterEqual>},
    {">=", Compared<GreaterEqual>},
    {"in", Compared<IsIn>},
    {"sameas", Compared<Same>},
};

using FilterTable = std::unordered_map<std::string_view, Filter, SeededTextHash, std::equal_to<>>;

const FilterTable& AllFilters() {
  static const FilterTable all = [] {
    FilterTable table;
    for (const auto* filters : {&TextFilters(), &WrapFilters(), &ListFilters(), &ChoiceFilters(),
                                &NumberFilters(), &JsonFilters()}) {
      for (const FilterEntry& entry : *filters) table.emplace(entry.name, entry.filter);
    }
    return table;
  }();
  return all;
}

}  // namespace

Test FindTest(std::string_view name) {
  const auto* found = std::ranges::find(kTests, name, &TestEntry::name);
  return found == std::end(kTests) ? nullptr : found->test;
}

Filter FindFilter(std::string_view name) {
  const auto found = AllFilters().find(name);
  return found == AllFilters().end() ? nullptr : found->second;
}

std::vector<std::string> FilterNames() {
  std::vector<std::string> names;
  for (const auto& entry : AllFilters()) names.emplace_back(entry.first);
  std::ranges::sort(names);
  return names;
}

std::vector<std::string> TestNames() {
  std::vector<std::string> names;
  for (const TestEntry& entry : kTests) names.emplace_back(entry.name);
  return names;
}

}  // namespace retort::jinja
