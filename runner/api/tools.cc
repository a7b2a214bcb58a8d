// SPDX-License-Identifier: Apache-2.0
#include "runner/api/tools.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/strings.h"
#include "base/text.h"
#include "runner/api/fields.h"

namespace retort {
namespace {

constexpr size_t kMostToolName = 64;  // bytes, as OpenAI

ApiError NotSupported(const std::string& name, const std::string& why = "") {
  return ApiError(400, Cat("'", name, "' is not supported", why), name, "unsupported_value");
}

void CheckKeys(const Json& object, const std::string& where,
               std::initializer_list<const char*> known) {
  for (const auto& [key, member] : object.items()) {
    const std::string name = Cat(where, ".", Shortened(key));
    if (!member.is_null() && std::ranges::find(known, key) == known.end()) throw NotSupported(name);
  }
}

std::string ReadName(const Json& function, const std::string& where) {
  const Json& name = MemberOf(function, "name");
  const bool text = name.is_string();
  std::string out = text ? name.get<std::string>() : "";
  const bool plain = std::ranges::all_of(out, IsIdCharacter);
  if (out.empty() || out.size() > kMostToolName || !plain) {
    throw BadValue(where + ".name", Cat("must be a text of 1 to ", kMostToolName,
                                        " letters, digits, '_', '-' and '.'"));
  }
  return out;
}

// The types that a schema gives each property; none for those that it describes otherwise.
std::map<std::string, std::vector<std::string>> TypesIn(const Json& schema) {
  std::map<std::string, std::vector<std::string>> out;
  const Json& properties = MemberOf(schema, "properties");
  if (!properties.is_object()) return out;
  for (const auto& [key, property] : properties.items()) {
    std::vector<std::string>& types = out[key];
    if (!property.is_object()) continue;
    const Json& type = MemberOf(property, "type");
    for (const Json& one : type.is_array() ? type : Json::array({type})) {
      if (one.is_string()) types.push_back(one.get<std::string>());
    }
  }
  return out;
}

// As the models' makers write a tool: without the API's own switches, in their order.
Json ReadTool(const Json& tool, const std::string& where, Tool& out) {
  if (!tool.is_object()) throw BadValue(where, "must be an object");
  if (MemberOf(tool, "type") != "function")
    throw BadValue(where + ".type", "must be \"function\"; other tools are not supported");
  CheckKeys(tool, where, {"type", "function"});
  const Json& function = MemberOf(tool, "function");
  const std::string place = where + ".function";
  if (!function.is_object()) throw BadValue(place, "must be an object");
  CheckKeys(function, place, {"name", "description", "parameters", "strict"});
  out.name = ReadName(function, place);
  const Json& strict = MemberOf(function, "strict");
  if (!strict.is_null() && !strict.is_boolean())
    throw BadValue(place + ".strict", "must be true or false");
  Json written = {{"name", out.name}};
  const Json& description = MemberOf(function, "description");
  if (!description.is_null() && !description.is_string())
    throw BadValue(place + ".description", "must be a text");
  written["description"] = description.is_null() ? Json("") : description;
  const Json& parameters = MemberOf(function, "parameters");
  if (!parameters.is_null() && !parameters.is_object())
    throw BadValue(place + ".parameters", "must be an object, a JSON schema");
  written["parameters"] = parameters.is_null() || parameters.empty()
                              ? Json{{"type", "object"}, {"properties", Json::object()}}
                              : parameters;
  out.types = TypesIn(written["parameters"]);
  if (strict == true) out.schema = DumpJson(written["parameters"]);
  return {{"type", "function"}, {"function", written}};
}

void ReadChoice(const Json& choice, ApiTools& tools) {
  using Choice = ApiTools::Choice;
  if (choice.is_null() || choice == "auto") return;
  if (choice == "none") {
    tools.choice = Choice::kNone;
    return;
  }
  if (choice == "required") {
    tools.choice = Choice::kRequired;
  } else if (choice.is_object() && MemberOf(choice, "type") == "function" &&
             MemberOf(choice, "function").is_object()) {
    CheckKeys(choice, "tool_choice", {"type", "function"});
    CheckKeys(MemberOf(choice, "function"), "tool_choice.function", {"name"});
    tools.choice = Choice::kNamed;
    const Json& name = MemberOf(MemberOf(choice, "function"), "name");
    if (!name.is_string()) throw BadValue("tool_choice.function.name", "must be a text");
    tools.name = name.get<std::string>();
  } else {
    throw BadValue(
        "tool_choice",
        R"(must be "auto", "none", "required" or {"type": "function", "function": {"name": ...}})");
  }
  if (tools.tools.empty())
    throw BadValue("tool_choice", "asks for a call, but there are no 'tools'");
  if (tools.choice == Choice::kNamed &&
      std::ranges::find(tools.tools, tools.name, &Tool::name) == tools.tools.end()) {
    throw BadValue("tool_choice.function.name",
                   Cat("is '", Shortened(tools.name), "', which is none of 'tools'"));
  }
}

}  // namespace

ApiTools ReadTools(const Json& request) {
  ApiTools out;
  const Json& tools = MemberOf(request, "tools");
  if (!tools.is_null() && !tools.is_array()) throw BadValue("tools", "must be a list of tools");
  Json written = Json::array();
  std::set<std::string> names;
  for (const Json& tool : tools) {
    const std::string where = Cat("tools[", written.size(), "]");
    Tool read;
    written.push_back(ReadTool(tool, where, read));
    if (!names.insert(read.name).second)
      throw BadValue(where + ".function.name",
                     Cat("is '", read.name, "' again; names must differ"));
    out.tools.push_back(std::move(read));
  }
  if (!out.tools.empty()) out.json = DumpJson(written);
  ReadChoice(MemberOf(request, "tool_choice"), out);
  const Json& parallel = MemberOf(request, "parallel_tool_calls");
  if (!parallel.is_null() && !parallel.is_boolean())
    throw BadValue("parallel_tool_calls", "must be true or false");
  out.parallel = parallel != false;
  return out;
}

}  // namespace retort
