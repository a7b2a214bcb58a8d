// SPDX-License-Identifier: Apache-2.0
// Arrays no two elements of which are equal: one state for each set of values that are used up.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "grammar/schema_compiler.h"

namespace retort {
namespace {

constexpr size_t kMostValues = 64;  // the bits of a set
constexpr size_t kMostSets = 4096;

// The whole numbers within what schemas say; nullopt if they do not bound them to a few.
std::optional<std::pair<int64_t, int64_t>> FewIntegers(double least, double most) {
  constexpr double kFar = 1e9;
  if (!(least > -kFar && most < kFar) || most - least > static_cast<double>(kMostValues))
    return std::nullopt;
  return std::pair(static_cast<int64_t>(std::ceil(least)), static_cast<int64_t>(std::floor(most)));
}

// Equal values have the same text: 1 and 1.0, and objects whatever the order of their members.
std::string EqualText(const Json& value) {
  if (const auto number = Decimal::Of(value))
    return Cat(number->negative ? "-" : "", number->whole, ".", number->fraction);
  if (!value.is_structured()) return DumpJson(value);
  std::vector<std::string> parts;
  parts.reserve(value.size());
  for (const auto& [key, member] : value.items())
    parts.push_back(value.is_object() ? Cat(DumpJson(key), ":", EqualText(member))
                                      : EqualText(member));
  if (value.is_object()) std::ranges::sort(parts);
  std::string text = value.is_object() ? "{" : "[";
  for (const std::string& part : parts) text += part + ",";
  return text + (value.is_object() ? "}" : "]");
}

}  // namespace

bool SchemaCompiler::IsUnique(const Goal& items) const {
  return std::ranges::any_of(items, [&](const Item& item) {
    const Json* unique = Get(item, "uniqueItems");
    return unique && *unique != false;
  });
}

bool SchemaCompiler::AreUnique(const Json& elements) {
  std::set<std::string> texts;
  return std::ranges::all_of(elements, [&](const Json& element) {
    std::string text = EqualText(element);
    Spend(1 + text.size() / kPartsPerWork);
    return texts.insert(std::move(text)).second;
  });
}

// Adds the values that satisfy a goal. False if there may be others than few scalars.
bool SchemaCompiler::AddFewValues(const Goal& goal, Json& values) {
  Spend(goal.size() + 1);
  const Expanded expanded = Expand(goal);
  if (expanded.never) return true;
  if (expanded.groups.empty()) return AddFewOfLeaf(expanded.items, values);
  const Group& group = expanded.groups[0];
  Descend(goal);
  const bool few = std::ranges::all_of(group.alternatives, [&](const Goal& alternative) {
    return AddFewValues(With(expanded, group, alternative), values);
  });
  --depth_;
  return few;
}

bool SchemaCompiler::AddFewOfLeaf(const Goal& items, Json& values) {
  Json candidates = Json::array();
  const Json *some = nullptr, *only = nullptr;
  double least = -HUGE_VAL, most = HUGE_VAL;
  for (const Item& item : items) {
    if (const Json* list = Get(item, "enum"); list && list->is_array()) some = list;
    if (const Json* value = Get(item, "const")) only = value;
    const Json *from = Get(item, "minimum"), *to = Get(item, "maximum");
    if (from && from->is_number()) least = std::max(least, from->get<double>());
    if (to && to->is_number()) most = std::min(most, to->get<double>());
  }
  const uint32_t types = TypesOf(items);
  if (only) {
    candidates.push_back(*only);
  } else if (some) {
    candidates = *some;
  } else if (types & ~(kNull | kBoolean | kInteger)) {
    return false;
  } else {
    if (types & kNull) candidates.push_back(nullptr);
    if (types & kBoolean) candidates.push_back(false), candidates.push_back(true);
    const auto range = FewIntegers(least, most);
    if ((types & kInteger) && !range) return false;
    for (int64_t n = range ? range->first : 1; (types & kInteger) && n <= range->second; ++n)
      candidates.push_back(n);
  }
  Spend(candidates.size() * (1 + values.size() / kPartsPerWork));
  for (const Json& value : candidates) {
    const bool known = std::find(values.begin(), values.end(), value) != values.end();
    if (known || ValueUnderLeaf(value, items) == Productions::kNothing) continue;
    if (value.is_structured() || values.size() == kMostValues) return false;
    values.push_back(value);
  }
  return true;
}

NodeId SchemaCompiler::UniqueArray(const Goal& items, const Counts& counts) {
  const auto refuse = [&](std::string_view what) {
    const auto unique = std::ranges::find_if(
        items, [&](const Item& item) { return Get(item, "uniqueItems") != nullptr; });
    document_.Refuse(*unique->schema, Cat("'uniqueItems' ", what));
  };
  for (const Item& item : items) {
    const Json* list = Get(item, "items");
    if (Get(item, "contains") || Get(item, "prefixItems") || (list && list->is_array()))
      refuse("is not supported beside 'contains' and items with a schema each");
  }
  Json values = Json::array();
  if (!AddFewValues(ElementGoal(items, SIZE_MAX), values)) {
    refuse(
        "is supported where the items are a few scalars ('enum', 'const', boolean, integers of a "
        "small range), or 'maxItems' is at most 1");
  }
  const NodeId close = terms_.Close(']');
  std::vector<NodeId> nodes;
  nodes.reserve(values.size());
  for (const Json& value : values) nodes.push_back(terms_.Value(value));
  std::unordered_map<uint64_t, NodeId> known;
  // What follows behind the elements of a set.
  const std::function<NodeId(uint64_t, uint32_t)> behind = [&](uint64_t used, uint32_t count) {
    if (const auto at = known.find(used); at != known.end()) return at->second;
    if (known.size() >= kMostSets) refuse(Cat("leaves more than ", kMostSets, " sets of items"));
    known.emplace(used, Productions::kNothing);
    Spend(1 + nodes.size() / kTextsPerWork);
    std::vector<NodeId> parts;
    if (count >= counts.least) parts.push_back(close);
    for (size_t i = 0; i < nodes.size() && count < counts.most; ++i) {
      if (used >> i & 1) continue;
      const NodeId next = p_.Sequence(nodes[i], behind(used | uint64_t{1} << i, count + 1));
      parts.push_back(count == 0 ? next : p_.Sequence(terms_.Comma(), next));
    }
    return known[used] = p_.Choice(parts);
  };
  return p_.Sequence(terms_.Open('['), behind(0, 0));
}

}  // namespace retort
