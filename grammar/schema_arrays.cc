// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "grammar/schema_compiler.h"

namespace retort {
namespace {

constexpr size_t kMostPrefix = 1000;

// The list of schemas by place, and the schema of what follows it.
struct ItemSchemas {
  const Json* prefix = nullptr;
  const Json* rest = nullptr;
};

ItemSchemas SchemasOf(const Json* prefix, const Json* items, const Json* additional) {
  if (items && items->is_array()) return {items, additional};
  return {prefix, items};
}

}  // namespace

// What the element at a place must satisfy; at SIZE_MAX, those behind all prefixes.
SchemaCompiler::Goal SchemaCompiler::ElementGoal(const Goal& items, size_t index) {
  Goal goal;
  const auto schemas_of = [&](const Item& item) {
    return SchemasOf(Get(item, "prefixItems"), Get(item, "items"), Get(item, "additionalItems"));
  };
  const auto evaluates = [&](const Item& part) {
    const ItemSchemas said = schemas_of(part);
    return said.rest || (said.prefix && index < said.prefix->size());
  };
  for (const Item& item : items) {
    const auto [prefix, rest] = schemas_of(item);
    if (prefix && !prefix->is_array())
      document_.Refuse(*item.schema, "'prefixItems' must be a list");
    if (prefix && index < prefix->size())
      goal.push_back({&(*prefix)[index]});
    else if (rest)
      goal.push_back({rest});
    if (const Json* schema = Unevaluated(items, item, "unevaluatedItems", evaluates))
      goal.push_back({schema});
  }
  return goal;
}

NodeId SchemaCompiler::ArrayOf(const Goal& items) {
  const Counts counts = CountsOf(items, "minItems", "maxItems");
  const uint32_t least = counts.least, most = counts.most;
  if (least > most) return Productions::kNothing;
  if (IsUnique(items) && most > 1 && !checking_) return UniqueArray(items, counts);
  size_t places = 0;
  const Item* contains = nullptr;
  for (const Item& item : items) {
    const Json* prefix = SchemasOf(Get(item, "prefixItems"), Get(item, "items"), nullptr).prefix;
    if (prefix) places = std::max(places, prefix->size());
    if (!Get(item, "contains")) continue;
    if (CountOf(*item.schema, "minContains", 1) == 0 && !Get(item, "maxContains")) continue;
    if (contains || Get(item, "maxContains") || CountOf(*item.schema, "minContains", 1) != 1)
      document_.Refuse(
          *item.schema,
          "'contains' is supported once, without 'maxContains' and with 'minContains' 1");
    contains = &item;
  }
  places = std::min<size_t>(places, most);
  if (places > kMostPrefix)
    document_.Refuse(*items[0].schema, Cat("more than ", kMostPrefix, " items with a schema each"));
  const NodeId open = terms_.Open('['), close = terms_.Close(']');
  const NodeId rest = Rule(ElementGoal(items, SIZE_MAX));
  const auto more = [&](uint32_t from, uint32_t to) {
    return p_.Repeat(p_.Sequence(terms_.Comma(), rest), from, to);
  };
  if (contains) {
    if (places > 0 || least > 1 || most != Productions::kNoLimit)
      document_.Refuse(
          *contains->schema,
          "'contains' is not supported beside 'prefixItems', 'minItems' and 'maxItems'");
    Goal goal = ElementGoal(items, SIZE_MAX);
    goal.push_back({&(*contains->schema)["contains"]});
    const NodeId found = Rule(goal), any = more(0, Productions::kNoLimit);
    const NodeId before = p_.Choice(
        {Productions::kEmpty, p_.Sequence(std::vector<NodeId>{rest, any, terms_.Comma()})});
    return p_.Sequence(std::vector<NodeId>{open, before, found, any, close});
  }
  // Behind `i` elements, from the last place on: the end, or a comma and one more.
  const auto left = [&](size_t i) { return least > i ? least - static_cast<uint32_t>(i) : 0; };
  const auto room = [&](size_t i) {
    return most == Productions::kNoLimit ? most : most - static_cast<uint32_t>(i);
  };
  NodeId behind;
  if (places == 0) {
    const NodeId one = most == 0
                           ? Productions::kNothing
                           : p_.Sequence(std::vector<NodeId>{rest, more(left(1), room(1)), close});
    return p_.Sequence(open, p_.Choice({least == 0 ? close : Productions::kNothing, one}));
  }
  behind = p_.Sequence(more(left(places), room(places)), close);
  for (size_t i = places; i-- > 0;) {
    const NodeId element = p_.Sequence(Rule(ElementGoal(items, i)), behind);
    const NodeId next = i == 0 ? element : p_.Sequence(terms_.Comma(), element);
    behind = p_.Choice({i >= least ? close : Productions::kNothing, next});
  }
  return p_.Sequence(open, behind);
}

NodeId SchemaCompiler::ArrayValue(const Json& value, const Goal& items) {
  if (!(TypesOf(items) & kArray)) return Productions::kNothing;
  const Counts counts = CountsOf(items, "minItems", "maxItems");
  const uint32_t least = counts.least, most = counts.most;
  if (value.size() < least || value.size() > most) return Productions::kNothing;
  for (const Item& item : items) {
    const Json* contains = Get(item, "contains");
    if (contains)
      document_.Refuse(*item.schema, "'contains' is not supported beside 'enum' and 'const'");
  }
  if (IsUnique(items) && !AreUnique(value)) return Productions::kNothing;
  for (size_t i = 0; i < value.size(); ++i) {
    if (ValueUnder(value[i], ElementGoal(items, i)) == Productions::kNothing)
      return Productions::kNothing;
  }
  return terms_.Value(value);
}

}  // namespace retort
