// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "grammar/schema_compiler.h"

namespace retort {
namespace {

// Values that a schema lists itself; null if it lists none.
const Json* Listed(const Json& schema) {
  if (!schema.is_object()) return nullptr;
  if (schema.contains("enum") && schema["enum"].is_array()) return &schema["enum"];
  return schema.contains("const") ? &schema["const"] : nullptr;
}

bool Lists(const Json& schema, const Json& list, const Json& value) {
  return schema.contains("enum") ? std::ranges::find(list, value) != list.end() : list == value;
}

bool DisjointLists(const Json& a, const Json& b) {
  const Json *x = Listed(a), *y = Listed(b);
  if (!x || !y) return false;
  if (!a.contains("enum")) return !Lists(b, *y, *x);
  return std::ranges::none_of(*x, [&](const Json& value) { return Lists(b, *y, value); });
}

bool Requires(const Json& schema, const std::string& name) {
  if (!schema.contains("required") || !schema["required"].is_array()) return false;
  return std::ranges::find(schema["required"], Json(name)) != schema["required"].end();
}

}  // namespace

// Cheap cases of what Exclusive finds out: disjoint lists of values, also of a member that both
// require.
bool SchemaCompiler::ClearlyExclusive(const Json& a, const Json& b) const {
  if (!a.is_object() || !b.is_object()) return false;
  if (!document_.draft7() || !(a.contains("$ref") || b.contains("$ref"))) {
    if (DisjointLists(a, b)) return true;
    if (a.contains("type") && b.contains("type") && (TypesOf({{&a}}) & TypesOf({{&b}})) == 0)
      return true;
    if (a.contains("properties") && b.contains("properties") && a["properties"].is_object() &&
        b["properties"].is_object() && TypesOf({{&a}}) == kObject) {
      for (const auto& [name, schema] : a["properties"].items()) {
        if (!b["properties"].contains(name) || !Requires(a, name) || !Requires(b, name)) continue;
        if (DisjointLists(schema, b["properties"][name])) return true;
      }
    }
  }
  return false;
}

// Whether no value satisfies the items and both schemas: nothing is left of them together.
bool SchemaCompiler::Exclusive(const Goal& items, const Json& a, const Json& b) {
  Goal goal = items;
  goal.push_back({&a});
  goal.push_back({&b});
  checking_ = true;
  const bool exclusive = !p_.MayStandForText(Rule(goal), e_);
  checking_ = false;
  return exclusive;
}

// Each branch, without what other branches satisfy too.
std::vector<SchemaCompiler::Goal> SchemaCompiler::OneOfAlternatives(const Goal& items,
                                                                    const Json& owner) {
  const Json& branches = owner["oneOf"];
  budget_.Spend(branches.size() * branches.size() / 64,
                Cat(document_.where(), ": compiling the schema"));
  std::vector<Goal> alternatives;
  for (size_t i = 0; i < branches.size(); ++i) {
    Goal goal = {{&branches[i]}};
    for (size_t j = 0; j < branches.size() && !checking_; ++j) {
      if (i == j || ClearlyExclusive(branches[i], branches[j])) continue;
      if (Exclusive(items, branches[std::min(i, j)], branches[std::max(i, j)])) continue;
      goal.push_back({&Negation(branches[j])});
    }
    alternatives.push_back(std::move(goal));
  }
  return alternatives;
}

}  // namespace retort
