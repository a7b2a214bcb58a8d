// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "grammar/schema_compiler.h"

namespace retort {
namespace {

constexpr size_t kMostItems = 500;

}  // namespace

// Assertions that cannot be decided while a text is written, or are not.
void SchemaCompiler::RefuseUnsupported(const Json& schema) const {
  static constexpr const char* kNever[] = {"$recursiveRef", "extends", "disallow", "divisibleBy"};
  for (const char* key : kNever) {
    const Json* at = document_.Member(schema, key);
    if (!at || *at == true || (at->is_object() && at->empty())) continue;
    document_.Refuse(schema, Cat("'", key, "' is not supported"));
  }
  for (const char* key : {"$dynamicRef", "unevaluatedItems", "unevaluatedProperties"}) {
    if (document_.draft7() && document_.Member(schema, key))
      document_.Refuse(schema, Cat("'", key, "' is not supported in draft 7"));
  }
  // Annotations since 2019-09; draft 7 let them assert.
  for (const char* key : {"contentEncoding", "contentMediaType"}) {
    if (document_.draft7() && document_.Member(schema, key))
      document_.Refuse(schema, Cat("'", key, "' is not supported"));
  }
}

void SchemaCompiler::Add(Expanded& expanded, const Json& schema, const Item& by) {
  // A value that is one if it is one.
  for (const Json* above = by.schema; above;) {
    Spend(expanded.items.size() / kPartsPerWork + 1);
    if (above == &schema) document_.Refuse(schema, "refers to itself without an end");
    const auto at = std::ranges::find(expanded.items, above, &Item::schema);
    above = at == expanded.items.end() ? nullptr : at->parent;
  }
  if (std::ranges::find(expanded.items, &schema, &Item::schema) != expanded.items.end()) return;
  if (expanded.items.size() >= kMostItems)
    document_.Refuse(schema, Cat("more than ", kMostItems, " schemas hold for one value"));
  expanded.items.push_back({&schema, 0, by.schema});
}

SchemaCompiler::Expanded SchemaCompiler::Expand(const Goal& goal) {
  Expanded expanded;
  for (const Item& item : goal) {
    const auto same = std::ranges::find(expanded.items, item.schema, &Item::schema);
    if (same == expanded.items.end())
      expanded.items.push_back(item);
    else
      same->done |= item.done;
  }
  for (size_t i = 0; i < expanded.items.size() && !expanded.never; ++i) Flatten(expanded, i);
  for (size_t i = 0; i < expanded.items.size() && !expanded.never; ++i) FindGroups(expanded, i);
  return expanded;
}

// Replaces what holds together with the item's schema by items.
void SchemaCompiler::Flatten(Expanded& expanded, size_t at) {
  const Item item = expanded.items[at];
  const Json& schema = *item.schema;
  if (item.done & kFlat) return;
  expanded.items[at].done |= kFlat;
  if (schema.is_boolean()) {
    expanded.never = schema == false;
    expanded.items[at].done |= kHidden;
    return;
  }
  if (!schema.is_object()) document_.Refuse(schema, "a schema must be an object, true or false");
  if (document_.Member(schema, SchemaDocument::kLink)) {
    Add(expanded, document_.Linked(schema), item);
    expanded.items[at].done |= kHidden;
    return;
  }
  if (const Json* reference = Get(item, "$ref")) {
    if (!reference->is_string()) document_.Refuse(schema, "'$ref' must be a text");
    Add(expanded, document_.Resolve(schema, reference->get<std::string>()), item);
    if (document_.draft7()) {
      expanded.items[at].done |= kHidden;
      return;
    }
  }
  RefuseUnsupported(schema);
  if (const Json* reference = Get(item, "$dynamicRef")) {
    if (!reference->is_string()) document_.Refuse(schema, "'$dynamicRef' must be a text");
    Add(expanded, document_.ResolveDynamic(schema, reference->get<std::string>()), item);
  }
  if (const Json* all = Get(item, "allOf")) {
    if (!all->is_array()) document_.Refuse(schema, "'allOf' must be a list");
    for (const Json& part : *all) Add(expanded, part, item);
  }
  if (const Json* negated = Get(item, "not")) {
    if (const Json* list = document_.Member(*negated, "enum")) Spend(list->size() / kPartsPerWork);
    if (!IsAtom(*negated)) Add(expanded, Negation(*negated), item);
  }
}

// A schema that holds if a member `name` is absent, or `needs` is satisfied.
const Json& SchemaCompiler::Dependent(const std::string& name, const Json& needs) {
  const Json*& made = dependents_[&needs];
  if (made) return *made;
  Json schema = needs.is_array() ? Json{{"required", needs}} : document_.Link(needs);
  // Where the member is absent, the schema says nothing of others, even if it holds.
  if (document_.unevaluated())
    schema = {{"required", Json::array({name})}, {"allOf", Json::array({std::move(schema)})}};
  const Json absent = {{"properties", {{name, false}}}};
  made = &document_.Add({{"anyOf", Json::array({absent, std::move(schema)})}});
  return *made;
}

void SchemaCompiler::FindGroups(Expanded& expanded, size_t at) {
  const Item item = expanded.items[at];
  const auto add = [&](uint32_t bit, std::vector<Goal> alternatives) {
    for (Goal& goal : alternatives)
      for (Item& part : goal) part.parent = item.schema;
    expanded.groups.push_back({at, bit, std::move(alternatives)});
  };
  for (const auto& [key, bit] : {std::pair{"anyOf", kAnyOf}, {"oneOf", kOneOf}}) {
    const Json* some = Get(item, key);
    if (!some || (item.done & bit)) continue;
    if (!some->is_array() || some->empty())
      document_.Refuse(*item.schema, Cat("'", key, "' must be a list of schemas"));
    std::vector<Goal> alternatives;
    if (bit == kOneOf) {
      Goal others = expanded.items;
      others[at].done |= kOneOf;
      alternatives = OneOfAlternatives(others, *item.schema);
    } else {
      for (const Json& part : *some) alternatives.push_back({{&part}});
    }
    return add(bit, std::move(alternatives));
  }
  const Json *condition = Get(item, "if"), *then = Get(item, "then"),
             *otherwise = Get(item, "else");
  if (condition && (then || otherwise) && !(item.done & kIf)) {
    Goal yes = {{condition}}, no = {{&Negation(*condition)}};
    if (then) yes.push_back({then});
    if (otherwise) no.push_back({otherwise});
    return add(kIf, {yes, no});
  }
  if (item.done & kDependent) return;
  Goal needs;
  for (const char* key : {"dependentRequired", "dependentSchemas", "dependencies"}) {
    const Json* dependent = Get(item, key);
    if (!dependent) continue;
    if (!dependent->is_object())
      document_.Refuse(*item.schema, Cat("'", key, "' must be an object"));
    for (const auto& [name, schema] : dependent->items()) {
      needs.push_back({&Dependent(name, schema)});
    }
  }
  if (!needs.empty()) add(kDependent, {needs});
}

}  // namespace retort
