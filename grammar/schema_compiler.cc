// SPDX-License-Identifier: Apache-2.0
#include "grammar/schema_compiler.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "grammar/characters.h"

namespace retort {
namespace {

constexpr int kMostNesting = 500;  // more than JSON's own nesting, which "$ref" escapes

}  // namespace

SchemaCompiler::SchemaCompiler(SchemaDocument& document, GrammarParts& parts, JsonSpace space,
                               WorkBudget& work, StringForm form)
    : document_(document),
      e_(parts.expressions),
      p_(parts.productions),
      terms_(parts, space, std::move(form)),
      work_(work) {}

void SchemaCompiler::Spend(uint64_t work) {
  if (!work_.Take(work)) [[unlikely]]
    work_.Spend(1, Cat(document_.where(), ": compiling the schema"));
}

// One goal more within those that are being compiled; --depth_ ends it.
void SchemaCompiler::Descend(const Goal& goal) {
  if (++depth_ <= kMostNesting) return;
  const Json& schema = goal.empty() ? document_.root() : *goal.back().schema;
  document_.Refuse(schema, Cat("nests more than ", kMostNesting, " schemas deep"));
}

NodeId SchemaCompiler::CompileObject() {
  return Rule({{&document_.root()}, {&document_.Add({{"type", "object"}})}});
}

NodeId SchemaCompiler::Rule(const Goal& goal) {
  if (goal.empty()) return terms_.Anything();
  GoalKey key;
  for (const Item& item : goal)
    key.emplace_back(item.schema, item.done, document_.unevaluated() ? item.parent : nullptr);
  std::ranges::sort(key);
  key.erase(std::unique(key.begin(), key.end()), key.end());
  const auto [at, added] = rules_.try_emplace({std::move(key), checking_}, Productions::kNothing);
  if (!added) return at->second;
  const NodeId rule = at->second = p_.Rule();
  Descend(goal);
  p_.Define(rule, Body(goal));
  --depth_;
  return rule;
}

NodeId SchemaCompiler::Body(const Goal& goal) {
  Spend(goal.size() + 1);
  const Expanded expanded = Expand(goal);
  if (expanded.never) return Productions::kNothing;
  if (expanded.groups.empty()) return Leaf(expanded.items);
  const Group& group = expanded.groups[0];
  std::vector<NodeId> parts;
  for (const Goal& alternative : group.alternatives)
    parts.push_back(Rule(With(expanded, group, alternative)));
  return p_.Choice(parts);
}

SchemaCompiler::Goal SchemaCompiler::With(const Expanded& expanded, const Group& group,
                                          const Goal& alternative) {
  Goal goal = expanded.items;
  goal[group.item].done |= group.bit;
  goal.insert(goal.end(), alternative.begin(), alternative.end());
  return goal;
}

uint32_t SchemaCompiler::TypesOf(const Goal& items) const {
  static const std::map<std::string, uint32_t> names = {{"null", kNull},
                                                        {"boolean", kBoolean},
                                                        {"integer", kInteger},
                                                        {"string", kString},
                                                        {"array", kArray},
                                                        {"object", kObject},
                                                        {"number", kInteger | kFraction},
                                                        {"\x01fraction", kFraction}};
  uint32_t types = kAnyType;
  for (const Item& item : items) {
    const Json* said = Get(item, "type");
    if (!said) continue;
    const Json& type = *said;
    uint32_t some = 0;
    const auto add = [&](const Json& name) {
      const auto at = name.is_string() ? names.find(name.get<std::string>()) : names.end();
      if (at == names.end()) document_.Refuse(*item.schema, "'type' is no name of a JSON type");
      some |= at->second;
    };
    if (type.is_array())
      for (const Json& name : type) add(name);
    else
      add(type);
    types &= some;
  }
  return types;
}

// A goal without alternatives.
NodeId SchemaCompiler::Leaf(const Goal& items) {
  if (items.empty()) return terms_.Anything();
  for (size_t i = 0; i < items.size(); ++i) {
    const bool lists = Get(items[i], "enum") || Get(items[i], "const");
    if (lists && !(items[i].done & kValues)) return Values(items, i);
  }
  const uint32_t types = TypesOf(items);
  std::vector<NodeId> parts;
  const auto word = [&](uint32_t type, const Json& value) {
    if ((types & type) && !Excluded(items, value)) parts.push_back(terms_.Value(value));
  };
  word(kNull, nullptr);
  word(kBoolean, true);
  word(kBoolean, false);
  if (types & (kInteger | kFraction)) parts.push_back(p_.Terminal(NumberOf(items, types)));
  if (types & kString) parts.push_back(p_.Terminal(StringOf(items)));
  if (types & kArray) parts.push_back(ArrayOf(items));
  if (types & kObject) parts.push_back(ObjectOf(items));
  return p_.Choice(parts);
}

// The values that an item lists, in so far as they satisfy all the others.
NodeId SchemaCompiler::Values(Goal items, size_t which) {
  const Json& schema = *items[which].schema;
  items[which].done |= kValues;
  std::vector<const Json*> values;
  const bool single = schema.contains("const");
  if (single) values.push_back(&schema["const"]);
  if (schema.contains("enum")) {
    if (!schema["enum"].is_array()) document_.Refuse(schema, "'enum' must be a list");
    if (single && std::ranges::find(schema["enum"], schema["const"]) == schema["enum"].end())
      return Productions::kNothing;
    for (const Json& value : schema["enum"])
      if (!single) values.push_back(&value);
  }
  Spend(values.size());
  std::vector<std::string> texts;  // of scalars, which are one terminal
  std::vector<NodeId> parts;
  for (const Json* value : values) {
    const NodeId node = ValueUnder(*value, items);
    if (node == Productions::kNothing) continue;
    if (value->is_structured())
      parts.push_back(node);
    else if (value->is_string())
      texts.push_back(terms_.QuotedText(value->get_ref<const std::string&>()));
    else
      texts.push_back(DumpJson(*value));
  }
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  if (!texts.empty()) parts.push_back(p_.Terminal(e_.AnyOf(views)));
  return p_.Choice(parts);
}

// The value itself if it satisfies the goal, else kNothing.
NodeId SchemaCompiler::ValueUnder(const Json& value, const Goal& goal) {
  Spend(goal.size() + 1);
  Descend(goal);
  NodeId node = Productions::kNothing;
  const Expanded expanded = Expand(goal);
  if (!expanded.never && expanded.groups.empty()) {
    node = ValueUnderLeaf(value, expanded.items);
  } else if (!expanded.never) {
    const Group& group = expanded.groups[0];
    for (size_t i = 0; i < group.alternatives.size() && node == Productions::kNothing; ++i)
      node = ValueUnder(value, With(expanded, group, group.alternatives[i]));
  }
  --depth_;
  return node;
}

NodeId SchemaCompiler::ValueUnderLeaf(const Json& value, const Goal& items) {
  constexpr NodeId kNo = Productions::kNothing;
  for (const Item& item : items) {
    if (item.done & kValues) continue;
    const Json *only = Get(item, "const"), *some = Get(item, "enum");
    if (only && *only != value) return kNo;
    if (!some) continue;
    Spend(some->size() / kPartsPerWork);
    if (std::ranges::find(*some, value) == some->end()) return kNo;
  }
  Goal others = items;  // their values are compared
  for (Item& item : others) item.done |= kValues;
  if (value.is_object()) return ObjectValue(value, others);
  if (value.is_array()) return ArrayValue(value, others);
  const uint32_t types = TypesOf(others);
  if (value.is_string()) {
    const std::string text = terms_.QuotedText(value.get_ref<const std::string&>());
    return (types & kString) && Accepts(StringOf(others), text) ? terms_.Value(value) : kNo;
  }
  if (value.is_number()) {
    const uint32_t numbers = types & (kInteger | kFraction);
    const bool fits = numbers && Accepts(NumberOf(others, numbers), DumpJson(value));
    return fits ? terms_.Value(value) : kNo;
  }
  const bool fits = types & (value.is_null() ? kNull : kBoolean);
  return fits && !Excluded(others, value) ? terms_.Value(value) : kNo;
}

const Json* SchemaCompiler::Get(const Item& item, const char* key) const {
  return item.done & kHidden ? nullptr : document_.Member(*item.schema, key);
}

bool SchemaCompiler::Excluded(const Goal& items, const Json& value) {
  return std::ranges::any_of(items, [&](const Item& item) {
    const Json* negated = NegatedAtom(item);
    if (!negated || !negated->contains("enum")) return false;
    const Json& values = (*negated)["enum"];
    Spend(values.size() / kPartsPerWork);
    return std::ranges::find(values, value) != values.end();
  });
}

uint32_t SchemaCompiler::CountOf(const Json& schema, const char* key, uint32_t fallback) const {
  const Json* found = document_.Member(schema, key);
  if (!found) return fallback;
  const Json& value = *found;
  const bool whole = value.is_number() && value.get<double>() >= 0 &&
                     value.get<double>() == std::floor(value.get<double>());
  if (!whole) document_.Refuse(schema, Cat("'", key, "' must be a whole number"));
  return value.get<double>() > 1e9 ? Productions::kNoLimit : value.get<uint32_t>();
}

SchemaCompiler::Counts SchemaCompiler::CountsOf(const Goal& items, const char* least,
                                                const char* most) const {
  Counts counts{0, Productions::kNoLimit};
  for (const Item& item : items) {
    if (!item.schema->is_object() || (item.done & kHidden)) continue;
    counts.least = std::max(counts.least, CountOf(*item.schema, least, 0));
    counts.most = std::min(counts.most, CountOf(*item.schema, most, Productions::kNoLimit));
  }
  return counts;
}

}  // namespace retort
