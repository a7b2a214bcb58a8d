// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "template/jinja/operators.h"

namespace retort::jinja {
namespace {

bool EqualLists(Runtime& rt, const Value& a, const Value& b) {
  if (a.list_ptr() == b.list_ptr()) return true;
  if (a.list().sort() != b.list().sort() || a.list().sort() == List::Sort::kGenerator) return false;
  return std::ranges::equal(a.list().items(), b.list().items(),
                            [&](const Value& x, const Value& y) { return Equal(rt, x, y); });
}

bool EqualDicts(Runtime& rt, const Dict& a, const Dict& b) {
  if (&a == &b) return true;
  if (a.size() != b.size()) return false;
  return std::ranges::all_of(a.entries(), [&](const Dict::Entry& entry) {
    const Value* other = b.Find(entry.first);
    return other && Equal(rt, entry.second, *other);
  });
}

template <class T>
int Sign(const T& a, const T& b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

bool IsSequence(const List& list) {
  return list.sort() == List::Sort::kList || list.sort() == List::Sort::kTuple;
}

}  // namespace

bool Equal(Runtime& rt, const Value& a, const Value& b) {
  rt.Step();
  if (a.kind() != b.kind()) return EqualScalars(a, b);
  switch (a.kind()) {
    case Value::Kind::kText:
      if (a.text().size() != b.text().size()) return false;
      rt.Step(a.text().size() / 64);
      return a.bytes() == b.bytes();
    case Value::Kind::kList:
      return EqualLists(rt, a, b);
    case Value::Kind::kDict:
      return EqualDicts(rt, a.dict(), b.dict());
    case Value::Kind::kObject:
      return a.object() == b.object();
    default:
      return EqualScalars(a, b);
  }
}

std::optional<int> Order(Runtime& rt, const Value& a, const Value& b) {
  rt.Step();
  if (a.IsNumber() && b.IsNumber()) {
    const auto x = a.Integer(), y = b.Integer();
    return x && y ? Sign(*x, *y) : Sign(*a.Real(), *b.Real());
  }
  if (a.IsText() && b.IsText()) {
    rt.Step(std::min(a.text().size(), b.text().size()) / 64);
    return Sign(a.bytes(), b.bytes());
  }
  if (!a.IsList() || !b.IsList() || a.list().sort() != b.list().sort() || !IsSequence(a.list()))
    return std::nullopt;
  const auto &x = a.list().items(), &y = b.list().items();
  for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
    if (!Equal(rt, x[i], y[i])) return Order(rt, x[i], y[i]);
  }
  return Sign(x.size(), y.size());
}

int MustOrder(Runtime& rt, const Value& a, const Value& b) {
  for (const Value* v : {&a, &b}) {
    if (v->IsUndefined()) throw rt.Fault(v->MissingName());
  }
  if (const auto order = Order(rt, a, b)) return *order;
  throw rt.Fault("a ", a.TypeName(), " and a ", b.TypeName(), " have no order");
}

bool Contains(Runtime& rt, const Value& container, const Value& item) {
  if (container.IsText()) {
    if (!item.IsText()) throw rt.Fault("only a str can be in a str, not ", item.TypeName());
    rt.Step(container.text().size() / 16);
    return container.bytes().find(item.bytes()) != std::string_view::npos;
  }
  if (container.IsDict()) return container.dict().Find(item) != nullptr;
  const auto all = Iterate(rt, container);
  return std::ranges::any_of(all->items(),
                             [&](const Value& member) { return Equal(rt, member, item); });
}

}  // namespace retort::jinja
