// SPDX-License-Identifier: Apache-2.0
#include "runner/api/openai/grammar.h"

#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "base/text.h"
#include "runner/api/fields.h"

namespace retort {
namespace {

using Kind = GrammarSource::Kind;

// A schema as an object, or as its text.
std::string SchemaText(const Json& value, const std::string& name) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_object() && !value.is_boolean()) throw BadValue(name, "must be a JSON Schema");
  return DumpJson(value);
}

// "json", "regex", "choice", "grammar": vLLM's names.
GrammarSource Guided(const std::string& what, const Json& value, const std::string& name) {
  if (what == "json") return {Kind::kSchema, SchemaText(value, name)};
  if (what == "choice") {
    if (!value.is_array()) throw BadValue(name, "must be a list of texts");
    return {Kind::kChoices, DumpJson(value)};
  }
  if (!value.is_string()) throw BadValue(name, "must be a text");
  const auto text = value.get<std::string>();
  return {what == "regex" ? Kind::kRegex : NotationOf(text), text};
}

std::optional<GrammarSource> ResponseFormat(const Json& value) {
  const std::string name = "response_format";
  const Json& type = value.is_object() ? MemberOf(value, "type") : value;
  if (!value.is_object() || !type.is_string())
    throw BadValue(name, "must be an object with a type");
  if (type == "text") return std::nullopt;
  if (type == "json_object") {  // llama.cpp lets it have a schema
    const Json& schema = MemberOf(value, "schema");
    if (schema.is_null()) return GrammarSource{Kind::kJson};
    return GrammarSource{Kind::kSchema, SchemaText(schema, "response_format.schema")};
  }
  if (type != "json_schema") {
    throw ApiError(400, "'response_format.type' must be text, json_object or json_schema", name,
                   "unsupported_value");
  }
  const Json& described = MemberOf(value, "json_schema");
  if (!described.is_object() || MemberOf(described, "schema").is_null())
    throw BadValue("response_format.json_schema", "must be an object with a schema");
  return GrammarSource{Kind::kSchema, SchemaText(MemberOf(described, "schema"),
                                                 "response_format.json_schema.schema")};
}

std::optional<GrammarSource> StructuredOutputs(const Json& value) {
  const std::string name = "structured_outputs";
  if (!value.is_object()) throw BadValue(name, "must be an object");
  std::optional<GrammarSource> source;
  for (const auto& [key, member] : value.items()) {
    if (member.is_null() || (key == "json_object" && member == false)) continue;
    const std::string place = Cat(name, ".", Shortened(key));
    if (source) throw BadValue(name, "must name one kind of output");
    if (key == "json_object" && member == true)
      source = GrammarSource{Kind::kJson};
    else if (key == "json" || key == "regex" || key == "choice" || key == "grammar")
      source = Guided(key, member, place);
    else
      throw ApiError(400, Cat("'", place, "' is not supported"), place, "unknown_parameter");
  }
  if (!source) throw BadValue(name, "must name a kind of output");
  return source;
}

}  // namespace

void ReadGrammar(const Json& object, ApiRequest& request) {
  const auto take = [&](const std::string& name, std::optional<GrammarSource> source) {
    if (!source) {  // a text of any kind
      if (!request.grammar) request.grammar_field = name;
      return;
    }
    if (request.grammar) throw BadValue(name, Cat("cannot go with '", request.grammar_field, "'"));
    request.grammar = std::move(source);
    request.grammar_field = name;
  };
  for (const char* name : {"response_format", "structured_outputs", "guided_json", "guided_regex",
                           "guided_choice", "guided_grammar", "grammar", "json_schema"}) {
    const Json& value = MemberOf(object, name);
    if (value.is_null()) continue;
    const std::string key = name;
    if (key == "response_format")
      take(key, ResponseFormat(value));
    else if (key == "structured_outputs")
      take(key, StructuredOutputs(value));
    else if (key == "json_schema")
      take(key, Guided("json", value, key));
    else
      take(key, Guided(key == "grammar" ? key : key.substr(key.find('_') + 1), value, key));
  }
  if (request.grammar && request.tools.Shown()) {
    throw ApiError(400,
                   Cat("'", request.grammar_field,
                       "' cannot go with tools that the model may call; set 'tool_choice' to none"),
                   request.grammar_field, "unsupported_value");
  }
}

}  // namespace retort
