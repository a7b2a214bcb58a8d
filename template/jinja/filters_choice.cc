// SPDX-License-Identifier: Apache-2.0
// Filters that choose or change the items of a sequence, and those on any value.
#include "base/text.h"
#include "template/jinja/attributes.h"
#include "template/jinja/call.h"
#include "template/jinja/methods.h"

namespace retort::jinja {
namespace {

std::string NameArgument(Runtime& rt, const Value& value, std::string_view what) {
  if (!value.IsText()) throw rt.Fault(what, " needs a name, not a ", value.TypeName());
  return value.text().bytes();
}

Value MapFilter(Runtime& rt, const Value& value, const Arguments& arguments) {
  std::vector<Value> out;
  if (!Truth(value)) return rt.NewList({}, List::Sort::kGenerator);  // none, too, as in Jinja
  const auto items = Iterate(rt, value);
  rt.Make(items->items().size(), sizeof(Value));
  if (arguments.positional.empty()) {
    const Bound bound(rt, "filter 'map'", arguments, {"attribute", "default"}, 1);
    const AttributePath path(rt, bound.Get(0), bound.Get(1));
    for (const Value& item : items->items()) out.push_back(path.Of(rt, item));
    return rt.NewList(std::move(out), List::Sort::kGenerator);
  }
  const std::string name = NameArgument(rt, arguments.positional[0], "filter 'map'");
  const Filter filter = FindFilter(name);
  if (!filter) throw rt.Fault("filter ", Quoted(name), " is not known");
  Arguments rest = arguments;
  rest.positional.erase(rest.positional.begin());
  for (const Value& item : items->items()) {
    rt.Step();
    out.push_back(filter(rt, item, rest));
  }
  return rt.NewList(std::move(out), List::Sort::kGenerator);
}

// select, reject: by a test of the item, or of its attribute.
template <bool wanted, bool by_attribute>
Value Choose(Runtime& rt, const Value& value, const Arguments& arguments) {
  Arguments rest = arguments;
  Value attribute;
  const auto take = [&] {
    Value first = rest.positional.front();
    rest.positional.erase(rest.positional.begin());
    return first;
  };
  if (by_attribute) {
    if (rest.positional.empty()) throw rt.Fault("filter 'selectattr' needs an attribute");
    attribute = take();
  }
  Test test = nullptr;
  if (!rest.positional.empty()) {
    const std::string name = NameArgument(rt, take(), "filter 'select'");
    test = FindTest(name);
    if (!test) throw rt.Fault("test ", Quoted(name), " is not known");
  }
  const AttributePath path(rt, by_attribute ? &attribute : nullptr);
  std::vector<Value> out;
  if (!Truth(value)) return rt.NewList({}, List::Sort::kGenerator);  // none, too, as in Jinja
  const auto items = Iterate(rt, value);
  for (const Value& item : items->items()) {
    rt.Step();
    const Value asked = path.Of(rt, item);
    if ((test ? test(rt, asked, rest) : Truth(asked)) == wanted) out.push_back(item);
  }
  return rt.NewList(std::move(out), List::Sort::kGenerator);
}

Value BatchFilter(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "filter 'batch'", arguments, {"linecount", "fill_with"}, 1);
  const int64_t size = bound.Int(0, 1);
  if (size < 1) throw rt.Fault("filter 'batch' needs a number above 0");
  std::vector<Value> out, row;
  const auto items = Iterate(rt, value);
  for (const Value& item : items->items()) {
    rt.Step();
    if (static_cast<int64_t>(row.size()) == size) out.push_back(rt.NewList(std::exchange(row, {})));
    row.push_back(item);
  }
  if (!row.empty()) {
    if (bound.Has(1) && !bound.Get(1)->IsNone()) {
      rt.Make(static_cast<uint64_t>(size), sizeof(Value));
      row.resize(static_cast<size_t>(size), *bound.Get(1));
    }
    out.push_back(rt.NewList(std::move(row)));
  }
  return rt.NewList(std::move(out), List::Sort::kGenerator);
}

Value SliceFilter(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "filter 'slice'", arguments, {"slices", "fill_with"}, 1);
  const int64_t slices = bound.Int(0, 1);
  if (slices < 1) throw rt.Fault("filter 'slice' needs a number above 0");
  rt.Make(static_cast<uint64_t>(slices), sizeof(List) + sizeof(Value));
  const auto items = Iterate(rt, value);
  const auto size = static_cast<int64_t>(items->items().size());
  const int64_t each = size / slices, longer = size % slices;
  std::vector<Value> out;
  auto at = items->items().begin();
  for (int64_t i = 0; i < slices; ++i) {
    std::vector<Value> part(at, at + each + (i < longer));
    at += each + (i < longer);
    if (i >= longer && bound.Has(1) && !bound.Get(1)->IsNone()) part.push_back(*bound.Get(1));
    out.push_back(rt.NewList(std::move(part)));
  }
  return rt.NewList(std::move(out), List::Sort::kGenerator);
}

Value ItemsFilter(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "filter 'items'", arguments, {});
  std::vector<Value> out;
  if (value.IsDict()) {
    for (const auto& [key, member] : value.dict().entries())
      out.push_back(rt.NewList({key, member}, List::Sort::kTuple));
  } else if (!value.IsUndefined()) {
    throw rt.Fault("filter 'items' needs a dict, not ", value.TypeName());
  }
  return rt.NewList(std::move(out), List::Sort::kGenerator);
}

Value DefaultFilter(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "filter 'default'", arguments, {"default_value", "boolean"});
  if (!value.IsUndefined() && !(bound.Flag(1, false) && !Truth(value))) return value;
  return bound.Has(0) ? *bound.Get(0) : Value::Of("");
}

Value AttrFilter(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "filter 'attr'", arguments, {"name"}, 1);
  if (value.IsUndefined()) throw rt.Fault(value.MissingName());
  return Attribute(rt, value, NameArgument(rt, *bound.Get(0), "filter 'attr'"));
}

}  // namespace

const std::vector<FilterEntry>& ChoiceFilters() {
  static const std::vector<FilterEntry> filters = {
      {"map", MapFilter},
      {"select", Choose<true, false>},
      {"reject", Choose<false, false>},
      {"selectattr", Choose<true, true>},
      {"rejectattr", Choose<false, true>},
      {"batch", BatchFilter},
      {"slice", SliceFilter},
      {"items", ItemsFilter},
      {"default", DefaultFilter},
      {"d", DefaultFilter},
      {"attr", AttrFilter},
  };
  return filters;
}

}  // namespace retort::jinja
