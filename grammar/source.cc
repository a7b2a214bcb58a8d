// SPDX-License-Identifier: Apache-2.0
#include "grammar/source.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace retort {
namespace {

constexpr std::pair<std::string_view, JsonSpace> kSpaceNames[] = {
    {"compact", JsonSpace::kCompact},
    {"spaced", JsonSpace::kSpaced},
    {"flexible", JsonSpace::kFlexible}};

}  // namespace

JsonSpace ParseJsonSpace(std::string_view name, const std::string& where) {
  for (const auto& [known, space] : kSpaceNames)
    if (known == name) return space;
  throw InputError(where, ": white space in JSON is compact, spaced or flexible, not ",
                   Quoted(name));
}

Json SchemaJson(const GrammarSource& schema) {
  RETORT_CHECK(schema.kind == GrammarSource::Kind::kSchema, "a grammar that is no schema");
  Json json = {{"schema", ParseJson(schema.text, "the schema")},
               {"json_space", std::string(kSpaceNames[static_cast<size_t>(schema.space)].first)}};
  if (!schema.before.empty()) json["before"] = schema.before;
  if (schema.temperature != 1) json["temperature"] = schema.temperature;
  return json;
}

GrammarSource ReadSchemaJson(const Json& json, const std::string& where) {
  const auto schema = json.is_object() ? json.find("schema") : json.end();
  if (schema == json.end() || !(schema->is_object() || schema->is_boolean()))
    throw InputError(where, ": must be an object with a JSON Schema under 'schema'");
  const double temperature = GetNumber(json, "temperature", where, 1);
  if (!(temperature > 0) || !std::isfinite(temperature))
    throw InputError(where, ": 'temperature' must be above 0, not ", temperature);
  return {GrammarSource::Kind::kSchema, DumpJson(*schema),
          ParseJsonSpace(GetString(json, "json_space", where, "compact"), where),
          GetString(json, "before", where, ""), temperature};
}

}  // namespace retort
