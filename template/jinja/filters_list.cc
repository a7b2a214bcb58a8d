// SPDX-License-Identifier: Apache-2.0
// Filters that make one value, or a list, of a sequence.
#include <algorithm>

#include "template/jinja/attributes.h"
#include "template/jinja/call.h"
#include "template/jinja/characters.h"

namespace retort::jinja {

AttributePath::AttributePath(Runtime& rt, const Value* path, const Value* fallback)
    : fallback_(fallback) {
  if (!path || path->IsNone()) return;
  if (!path->IsText()) {
    parts_ = {*path};
    return;
  }
  std::string_view rest = path->bytes();
  while (true) {
    const size_t dot = std::min(rest.find('.'), rest.size());
    const std::string_view part = rest.substr(0, dot);
    const bool number = !part.empty() && part.size() < 10 &&
                        part.find_first_not_of("0123456789") == std::string_view::npos;
    parts_.push_back(number ? Value::Of(static_cast<int64_t>(std::stol(std::string(part))))
                            : rt.NewText(Text(std::string(part))));
    if (dot == rest.size()) return;
    rest.remove_prefix(dot + 1);
  }
}

Value AttributePath::Of(Runtime& rt, const Value& item) const {
  Value value = item;
  for (const Value& part : parts_) {
    value = GetItem(rt, value, part);
    if (value.IsUndefined() && fallback_ && !fallback_->IsNone()) value = *fallback_;
  }
  return value;
}

Value IgnoringCase(Runtime& rt, const Value& value) {
  if (!value.IsText()) return value;
  rt.Step(value.text().size() / 8);
  return rt.NewText(InCase(value.text(), CaseForm::kLower));
}

namespace {

using Keyed = std::pair<Value, Value>;  // what it is sorted by, and the item

std::vector<Keyed> WithKeys(Runtime& rt, const std::vector<Value>& items, const AttributePath& path,
                            bool case_sensitive) {
  rt.Make(items.size(), sizeof(Keyed));
  std::vector<Keyed> out;
  out.reserve(items.size());
  for (const Value& item : items) {
    const Value key = path.Of(rt, item);
    out.emplace_back(case_sensitive ? key : IgnoringCase(rt, key), item);
  }
  return out;
}

void SortByKeys(Runtime& rt, std::vector<Keyed>& keyed, bool reverse) {
  std::ranges::stable_sort(keyed, [&](const Keyed& a, const Keyed& b) {
    return reverse ? MustOrder(rt, b.first, a.first) < 0 : MustOrder(rt, a.first, b.first) < 0;
  });
}

std::vector<Value> ItemsOf(std::vector<Keyed> keyed) {
  std::vector<Value> items;
  items.reserve(keyed.size());
  for (Keyed& k : keyed) items.push_back(std::move(k.second));
  return items;
}

// attribute="a,b" sorts by a, then by b.
Value SortFilter(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "filter 'sort'", arguments, {"reverse", "case_sensitive", "attribute"});
  std::vector<Value> items = Iterate(rt, value)->items();
  std::vector<std::string> paths = {""};
  const Value* attribute = bound.Get(2);
  if (attribute && attribute->IsText()) paths = Split(attribute->bytes(), ',');
  std::ranges::reverse(paths);  // the last key first, since the sort is stable
  for (const std::string& path : paths) {
    const Value part = Value::Of(path);
    const bool named = attribute && attribute->IsText();
    auto keyed =
        WithKeys(rt, items, AttributePath(rt, named ? &part : attribute), bound.Flag(1, false));
    SortByKeys(rt, keyed, bound.Flag(0, false));
    items = ItemsOf(std::move(keyed));
  }
  return rt.NewList(std::move(items));
}

Value DictSortFilter(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "filter 'dictsort'", arguments, {"case_sensitive", "by", "reverse"});
  const Text by = bound.TextOr(1, "key");
  if (by.view() != "key" && by.view() != "value")
    throw rt.Fault("filter 'dictsort' sorts by 'key' or 'value'");
  if (!value.IsDict()) throw rt.Fault("filter 'dictsort' needs a dict, not ", value.TypeName());
  std::vector<Value> items;
  for (const auto& [key, member] : value.dict().entries())
    items.push_back(rt.NewList({key, member}, List::Sort::kTuple));
  const Value place = Value::Of(int64_t{by.view() == "value"});
  auto keyed = WithKeys(rt, items, AttributePath(rt, &place), bound.Flag(0, false));
  SortByKeys(rt, keyed, bound.Flag(2, false));
  return rt.NewList(ItemsOf(std::move(keyed)));
}

Value UniqueFilter(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "filter 'unique'", arguments, {"case_sensitive", "attribute"});
  Dict seen;
  std::vector<Value> out;
  for (auto& [key, item] : WithKeys(rt, Iterate(rt, value)->items(),
                                    AttributePath(rt, bound.Get(1)), bound.Flag(0, false))) {
    rt.Step();
    const size_t before = seen.size();
    if (!seen.Set(key, Value::None()))
      throw rt.Fault("filter 'unique' cannot compare a ", key.TypeName());
    if (seen.size() > before) out.push_back(item);
  }
  return rt.NewList(std::move(out), List::Sort::kGenerator);
}

template <bool least>
Value Extreme(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "filters 'min' and 'max'", arguments, {"case_sensitive", "attribute"});
  const auto keyed = WithKeys(rt, Iterate(rt, value)->items(), AttributePath(rt, bound.Get(1)),
                              bound.Flag(0, false));
  if (keyed.empty()) return {};
  const Keyed* best = &keyed[0];
  for (const Keyed& k : keyed) {
    const int order = &k == best ? 0 : MustOrder(rt, k.first, best->first);
    if (least ? order < 0 : order > 0) best = &k;
  }
  return best->second;
}

Value GroupByFilter(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "filter 'groupby'", arguments, {"attribute", "default", "case_sensitive"},
                    1);
  const AttributePath path(rt, bound.Get(0), bound.Get(1));
  auto keyed = WithKeys(rt, Iterate(rt, value)->items(), path, bound.Flag(2, false));
  SortByKeys(rt, keyed, false);
  std::vector<Value> groups;
  for (size_t i = 0; i < keyed.size();) {
    size_t end = i;
    std::vector<Value> members;
    for (; end < keyed.size() && Equal(rt, keyed[end].first, keyed[i].first); ++end)
      members.push_back(keyed[end].second);
    groups.push_back(rt.NewList({path.Of(rt, keyed[i].second), rt.NewList(std::move(members))},
                                List::Sort::kTuple));
    i = end;
  }
  return rt.NewList(std::move(groups));
}

Value SumFilter(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "filter 'sum'", arguments, {"attribute", "start"});
  const AttributePath path(rt, bound.Get(0));
  Value sum = bound.Has(1) ? *bound.Get(1) : Value::Of(int64_t{0});
  if (sum.IsText()) throw rt.Fault("filter 'sum' does not add texts; use join");
  const auto items = Iterate(rt, value);
  for (const Value& item : items->items()) {
    rt.Step();
    sum = Add(rt, sum, path.Of(rt, item));
  }
  return sum;
}

Value JoinFilter(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "filter 'join'", arguments, {"d", "attribute"});
  const auto separator = bound.Has(0) ? ToText(rt, *bound.Get(0)) : std::make_shared<const Text>();
  const AttributePath path(rt, bound.Get(1));
  Text out;
  const auto items = Iterate(rt, value);
  for (size_t i = 0; i < items->items().size(); ++i) {
    const auto text = ToText(rt, path.Of(rt, items->items()[i]));
    rt.Make(text->size() + separator->size());
    rt.Step();
    if (i > 0) out.Append(*separator);
    out.Append(*text);
  }
  return rt.NewText(std::move(out));
}

Value ReverseFilter(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "filter 'reverse'", arguments, {});
  if (value.IsText()) {
    return Slice(rt, value, Value::None(), Value::None(), Value::Of(int64_t{-1}));
  }
  std::vector<Value> items = Iterate(rt, value)->items();
  std::ranges::reverse(items);
  return rt.NewList(std::move(items), List::Sort::kGenerator);
}

template <bool last>
Value EndFilter(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "filters 'first' and 'last'", arguments, {});
  if (value.IsText() || (value.IsList() && value.list().sort() != List::Sort::kGenerator &&
                         value.list().sort() != List::Sort::kView))
    return GetItem(rt, value, Value::Of(int64_t{last ? -1 : 0}));
  const auto items = Iterate(rt, value);
  if (items->items().empty()) return {};
  return last ? items->items().back() : items->items().front();
}

Value LengthFilter(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "filter 'length'", arguments, {});
  return Value::Of(Length(rt, value));
}

Value ListFilter(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "filter 'list'", arguments, {});
  return rt.NewList(Iterate(rt, value)->items());
}

}  // namespace

const std::vector<FilterEntry>& ListFilters() {
  static const std::vector<FilterEntry> filters = {
      {"sort", SortFilter},        {"dictsort", DictSortFilter}, {"unique", UniqueFilter},
      {"min", Extreme<true>},      {"max", Extreme<false>},      {"groupby", GroupByFilter},
      {"sum", SumFilter},          {"join", JoinFilter},         {"reverse", ReverseFilter},
      {"first", EndFilter<false>}, {"last", EndFilter<true>},    {"length", LengthFilter},
      {"count", LengthFilter},     {"list", ListFilter},
  };
  return filters;
}

}  // namespace retort::jinja
