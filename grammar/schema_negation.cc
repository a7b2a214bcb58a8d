// SPDX-License-Identifier: Apache-2.0
// What a schema does not allow, as a schema.
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "grammar/schema_compiler.h"

namespace retort {
namespace {

constexpr int kMostNegations = 32;

// Keywords that say nothing of values.
bool IsAnnotation(const std::string& key) {
  static const std::vector<std::string> known = {
      "title",       "description",    "default", "examples", "$comment", "readOnly", "writeOnly",
      "deprecated",  "$schema",        "$id",     "id",       "$anchor",  "$defs",    "definitions",
      "$vocabulary", "$dynamicAnchor", "then",    "else"};
  return std::find(known.begin(), known.end(), key) != known.end();
}

bool IsScalarList(const Json& values) {
  if (!values.is_array()) return false;
  return std::none_of(values.begin(), values.end(),
                      [](const Json& v) { return v.is_structured(); });
}

// The opposite of a bound on a count.
Json CountBound(const char* type, const char* key, const Json& value, int step) {
  const double count = value.is_number() ? value.get<double>() : -1;
  if (count + step < 0) return false;
  return {{"type", type}, {key, count + step}};
}

}  // namespace

// What a goal may keep as it is, since texts and numbers have complements.
bool SchemaCompiler::IsAtom(const Json& negated) {
  if (!negated.is_object() || negated.size() != 1) return false;
  return (negated.contains("enum") && IsScalarList(negated["enum"])) || negated.contains("pattern");
}

const Json* SchemaCompiler::NegatedAtom(const Item& item) const {
  const Json* negated = Get(item, "not");
  return negated && IsAtom(*negated) ? negated : nullptr;
}

const Json& SchemaCompiler::Negation(const Json& schema, int depth) {
  if (const auto at = negations_.find({&schema, ""}); at != negations_.end()) return *at->second;
  const Json& negation = NewNegation(schema, depth);
  negations_[{&schema, ""}] = &negation;
  negated_.insert(&negation);
  return negation;
}

const Json& SchemaCompiler::NegationOf(const Json& schema, const std::string& keyword, int depth) {
  if (const auto at = negations_.find({&schema, keyword}); at != negations_.end())
    return *at->second;
  const Json& negation = NewNegationOf(schema, keyword, depth);
  negations_[{&schema, keyword}] = &negation;
  negated_.insert(&negation);
  return negation;
}

const Json& SchemaCompiler::NewNegation(const Json& schema, int depth) {
  if (schema.is_boolean()) return document_.Add(schema == false);
  if (!schema.is_object()) document_.Refuse(schema, "a schema must be an object, true or false");
  if (depth > kMostNegations) document_.Refuse(schema, "cannot be negated: it nests too deeply");
  if (schema.contains(SchemaDocument::kLink)) return Negation(document_.Linked(schema), depth + 1);
  if (document_.draft7() && schema.contains("$ref")) return NegationOf(schema, "$ref", depth);
  Json parts = Json::array();
  const Json* last = nullptr;
  for (const auto& [key, value] : schema.items()) {
    if (IsAnnotation(key)) continue;
    last = &NegationOf(schema, key, depth);
    parts.push_back(document_.Link(*last));
  }
  if (parts.empty()) return document_.Add(false);
  if (parts.size() == 1) return *last;
  return document_.Add({{"anyOf", std::move(parts)}});
}

const Json& SchemaCompiler::NewNegationOf(const Json& schema, const std::string& keyword,
                                          int depth) {
  const Json& value = schema[keyword];
  const auto all = [&](const char* key) -> const Json& {
    Json parts = Json::array();
    if (!value.is_array()) document_.Refuse(schema, Cat("'", keyword, "' must be a list"));
    for (const Json& part : value) parts.push_back(document_.Link(Negation(part, depth + 1)));
    return document_.Add({{key, std::move(parts)}});
  };
  const auto made = [&](Json json) -> const Json& { return document_.Add(std::move(json)); };
  if (keyword == "allOf") return all("anyOf");
  if (keyword == "anyOf") return all("allOf");
  if (keyword == "not") return made(document_.Link(value));
  if (keyword == "$ref" && value.is_string())
    return Negation(document_.Resolve(schema, value.get<std::string>()), depth + 1);
  if (keyword == "const" && !value.is_structured())
    return made({{"not", {{"enum", Json::array({value})}}}});
  if (keyword == "enum" && IsScalarList(value)) return made({{"not", {{"enum", value}}}});
  if (keyword == "pattern") return made({{"type", "string"}, {"not", {{"pattern", value}}}});
  if (keyword == "type") {
    const uint32_t types = TypesOf({{&schema}});
    Json others = Json::array();
    static constexpr std::pair<uint32_t, const char*> kNames[] = {
        {kNull, "null"},       {kBoolean, "boolean"},
        {kInteger, "integer"}, {kFraction, "\x01fraction"},
        {kString, "string"},   {kArray, "array"},
        {kObject, "object"}};
    for (const auto& [bit, name] : kNames)
      if (!(types & bit)) others.push_back(name);
    return made(others.empty() ? Json(false) : Json{{"type", others}});
  }
  if (keyword == "minLength") return made(CountBound("string", "maxLength", value, -1));
  if (keyword == "maxLength") return made(CountBound("string", "minLength", value, 1));
  if (keyword == "minItems") return made(CountBound("array", "maxItems", value, -1));
  if (keyword == "maxItems") return made(CountBound("array", "minItems", value, 1));
  if (keyword == "minProperties") return made(CountBound("object", "maxProperties", value, -1));
  if (keyword == "maxProperties") return made(CountBound("object", "minProperties", value, 1));
  static constexpr std::pair<const char*, const char*> kBounds[] = {
      {"minimum", "exclusiveMaximum"},
      {"maximum", "exclusiveMinimum"},
      {"exclusiveMinimum", "maximum"},
      {"exclusiveMaximum", "minimum"}};
  for (const auto& [bound, opposite] : kBounds)
    if (keyword == bound && value.is_number()) return made({{"type", "number"}, {opposite, value}});
  if (keyword == "required" && value.is_array()) {
    Json parts = Json::array();
    for (const Json& name : value)
      if (name.is_string())
        parts.push_back({{"type", "object"}, {"properties", {{name.get<std::string>(), false}}}});
    return made(parts.empty() ? Json(false) : Json{{"anyOf", std::move(parts)}});
  }
  if (keyword == "properties" && value.is_object()) {
    Json parts = Json::array();
    for (const auto& [name, part] : value.items()) {
      parts.push_back({{"type", "object"},
                       {"required", Json::array({name})},
                       {"properties", {{name, document_.Link(Negation(part, depth + 1))}}}});
    }
    return made(parts.empty() ? Json(false) : Json{{"anyOf", std::move(parts)}});
  }
  document_.Refuse(schema, Cat(Quoted(keyword),
                               " cannot be negated, as 'not', 'if' or a 'oneOf' of branches that "
                               "are not exclusive asks for"));
}

}  // namespace retort
