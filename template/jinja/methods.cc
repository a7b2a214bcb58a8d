// SPDX-License-Identifier: Apache-2.0
#include "template/jinja/methods.h"

#include <algorithm>
#include <array>

#include "template/jinja/operators.h"

namespace retort::jinja {
namespace {

// A method with the value that it belongs to.
class BoundMethod final : public Callable {
 public:
  BoundMethod(Value self, Method method) : self_(std::move(self)), method_(method) {}
  std::string_view type_name() const override { return "method"; }
  int depth() const override { return self_.depth() + 1; }
  Value Call(Runtime& rt, const Arguments& arguments) override {
    return method_(rt, self_, arguments);
  }

 private:
  Value self_;
  Method method_;
};

Value Refused(Runtime& rt, const Value& self, const Arguments&) {
  throw rt.Fault("a template may not change a ", self.TypeName(),
                 "; make a new one with + or with a namespace");
}

Value DictGet(Runtime& rt, const Value& self, const Arguments& arguments) {
  const Bound bound(rt, "get()", arguments, {"key", "default"}, 1);
  if (const Value* found = self.dict().Find(*bound.Get(0))) return *found;
  return bound.Has(1) ? *bound.Get(1) : Value::None();
}

Value DictItems(Runtime& rt, const Value& self, const Arguments& arguments) {
  const Bound bound(rt, "items()", arguments, {});
  std::vector<Value> items;
  for (const auto& [key, value] : self.dict().entries())
    items.push_back(rt.NewList({key, value}, List::Sort::kTuple));
  return rt.NewList(std::move(items), List::Sort::kView);
}

Value DictKeys(Runtime& rt, const Value& self, const Arguments& arguments) {
  const Bound bound(rt, "keys()", arguments, {});
  return rt.NewList(Iterate(rt, self)->items(), List::Sort::kView);
}

Value DictValues(Runtime& rt, const Value& self, const Arguments& arguments) {
  const Bound bound(rt, "values()", arguments, {});
  std::vector<Value> values;
  for (const auto& entry : self.dict().entries()) values.push_back(entry.second);
  return rt.NewList(std::move(values), List::Sort::kView);
}

Value Copy(Runtime& rt, const Value& self, const Arguments& arguments) {
  const Bound bound(rt, "copy()", arguments, {});
  return self;  // nothing can change either of them
}

Value ListCount(Runtime& rt, const Value& self, const Arguments& arguments) {
  const Bound bound(rt, "count()", arguments, {"value"}, 1);
  int64_t count = 0;
  for (const Value& item : self.list().items()) count += Equal(rt, item, *bound.Get(0));
  return Value::Of(count);
}

Value ListIndex(Runtime& rt, const Value& self, const Arguments& arguments) {
  const Bound bound(rt, "index()", arguments, {"value"}, 1);
  const auto& items = self.list().items();
  for (size_t i = 0; i < items.size(); ++i) {
    if (Equal(rt, items[i], *bound.Get(0))) return Value::Of(static_cast<int64_t>(i));
  }
  throw rt.Fault("index(): the value is not in the list");
}

Method DictMethod(std::string_view name) {
  static constexpr std::array<std::string_view, 5> kChanging = {"clear", "pop", "popitem",
                                                                "setdefault", "update"};
  if (name == "get") return DictGet;
  if (name == "items") return DictItems;
  if (name == "keys") return DictKeys;
  if (name == "values") return DictValues;
  if (name == "copy") return Copy;
  return std::ranges::find(kChanging, name) != kChanging.end() ? Refused : nullptr;
}

Method ListMethod(std::string_view name, List::Sort sort) {
  static constexpr std::array<std::string_view, 8> kChanging = {
      "append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"};
  if (sort == List::Sort::kView || sort == List::Sort::kGenerator) return nullptr;
  if (name == "count") return ListCount;
  if (name == "index") return ListIndex;
  if (sort != List::Sort::kList) return nullptr;
  if (name == "copy") return Copy;
  return std::ranges::find(kChanging, name) != kChanging.end() ? Refused : nullptr;
}

}  // namespace

Method FindMethod(const Value& self, std::string_view name) {
  if (self.IsText()) return FindTextMethod(name);
  if (self.IsDict()) return DictMethod(name);
  return self.IsList() ? ListMethod(name, self.list().sort()) : nullptr;
}

Value Attribute(Runtime& rt, const Value& value, const std::string& name) {
  if (value.Is(Value::Kind::kObject)) return value.object()->Attribute(name, value);
  const Method method = FindMethod(value, name);
  if (!method) return {};
  rt.Make(sizeof(BoundMethod));
  return Value::Of(std::shared_ptr<Object>(std::make_shared<BoundMethod>(value, method)));
}

Value Call(Runtime& rt, const Value& callee, const Arguments& arguments) {
  if (callee.IsUndefined()) throw rt.Fault(callee.MissingName());
  // A copy, since a namespace's attribute may be replaced meanwhile.
  const Value kept = callee;  // NOLINT(performance-unnecessary-copy-initialization)
  auto* callable = kept.As<Callable>();
  if (!callable) throw rt.Fault("a ", kept.TypeName(), " is called, which is no function");
  const Level level(rt);
  rt.Step();
  return callable->Call(rt, arguments);
}

}  // namespace retort::jinja
