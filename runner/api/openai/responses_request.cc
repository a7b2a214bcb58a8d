// SPDX-License-Identifier: Apache-2.0
// Requests of the responses API as those of chats, which are read and checked as such.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "base/text.h"
#include "runner/api/error.h"
#include "runner/api/fields.h"
#include "runner/api/openai/request.h"
#include "runner/api/openai/responses.h"
#include "runner/api/request.h"

namespace retort {
namespace {

ApiError ResponsesRefusal(const std::string& name) {
  return ApiError(400, Cat("'", Shortened(name), "' is not supported"), Shortened(name),
                  "unsupported_value");
}

// A message's parts as those of a chat.
Json PartsOf(const Json& content, const std::string& where) {
  if (content.is_string()) return content;
  if (!content.is_array()) throw BadValue(where, "must be a text or a list of text parts");
  Json out = Json::array();
  for (const Json& part : content) {
    const Json& type = MemberOf(part, "type");
    if (!part.is_object() || (type != "input_text" && type != "output_text"))
      throw BadValue(Cat(where, "[", out.size(), "]"), "must be an input_text or output_text");
    out.push_back({{"type", "text"}, {"text", MemberOf(part, "text")}});
  }
  return out;
}

// The messages of a chat, and what each is called here.
struct Input {
  void Add(Json role, Json content, std::string name) {
    messages.push_back({{"role", std::move(role)}, {"content", std::move(content)}});
    names.push_back(std::move(name));
  }

  Json messages = Json::array();
  std::vector<std::string> names;
};

Input InputMessages(const Json& object) {
  Input out;
  const Json& instructions = MemberOf(object, "instructions");
  if (!instructions.is_null() && !instructions.is_string())
    throw BadValue("instructions", "must be a text");
  if (!instructions.is_null()) out.Add("system", instructions, "instructions");
  const Json& input = MemberOf(object, "input");
  if (input.is_string()) {
    out.Add("user", input, "input");
    return out;
  }
  if (!input.is_array() || input.empty())
    throw BadValue("input", "must be a text or a list of messages");
  for (size_t i = 0; i < input.size(); ++i) {
    const std::string where = Cat("input[", i, "]");
    const Json& item = input[i];
    if (!item.is_object()) throw BadValue(where, "must be an object");
    const Json& type = MemberOf(item, "type");
    if (type == "reasoning") continue;  // templates leave out earlier thoughts
    if (!type.is_null() && type != "message") throw BadValue(where + ".type", "must be message");
    out.Add(MemberOf(item, "role"), PartsOf(MemberOf(item, "content"), where + ".content"), where);
  }
  return out;
}

// The error of a chat's message with the name that the message has here.
ApiError Renamed(const ApiError& error, const std::vector<std::string>& names) {
  std::string what = error.what(), param = error.param;
  for (size_t i = 0; i < names.size(); ++i) {
    const std::string name = Cat("messages[", i, "]");
    if (!param.starts_with(name)) continue;
    param.replace(0, name.size(), names[i]);
    if (const size_t at = what.find(name); at != std::string::npos)
      what.replace(at, name.size(), names[i]);
    break;
  }
  return ApiError(error.status, what, param, error.code);
}

// Pairs of texts, as OpenAI's API bounds them.
void CheckMetadata(const Json& metadata) {
  constexpr size_t kMostPairs = 16, kMostKey = 64, kMostValue = 512;
  const auto wrong =
      BadValue("metadata", Cat("must be an object of at most ", kMostPairs, " texts of at most ",
                               kMostValue, " characters, with names of at most ", kMostKey));
  if (!metadata.is_object() || metadata.size() > kMostPairs) throw wrong;
  const auto characters = [](const std::string& text) {
    return static_cast<size_t>(
        std::ranges::count_if(text, [](char c) { return (c & 0xc0) != 0x80; }));
  };
  for (const auto& [key, value] : metadata.items()) {
    if (!value.is_string() || characters(key) > kMostKey ||
        characters(value.get_ref<const std::string&>()) > kMostValue)
      throw wrong;
  }
}

// 'text': {"format": {"type": "text" | "json_object" | "json_schema", ...}}
void ReadTextFormat(const Json& text, Json& out) {
  const Json& format = text.is_object() ? MemberOf(text, "format") : text;
  if (!text.is_object()) throw BadValue("text", "must be an object");
  if (format.is_null()) return;
  if (MemberOf(format, "type") != "json_schema") {
    out["response_format"] = format;
    return;
  }
  Json schema = format;
  schema.erase("type");
  out["response_format"] = {{"type", "json_schema"}, {"json_schema", std::move(schema)}};
}

// Members that the answer repeats, with the values they have where the request says nothing.
Json Echoed(const Json& object) {
  Json out = {{"instructions", nullptr},
              {"max_output_tokens", nullptr},
              {"metadata", Json::object()},
              {"parallel_tool_calls", true},
              {"previous_response_id", nullptr},
              {"reasoning", {{"effort", nullptr}, {"summary", nullptr}}},
              {"store", false},
              {"temperature", 0},
              {"text", {{"format", {{"type", "text"}}}}},
              {"tool_choice", "auto"},
              {"tools", Json::array()},
              {"top_p", 1},
              {"truncation", "disabled"}};
  for (auto& [key, value] : out.items()) {
    const Json& given = MemberOf(object, key);
    if (!given.is_null() && key != "store") value = given;
  }
  const Json& user = MemberOf(object, "user");
  if (!user.is_null()) out["user"] = user;
  return out;
}

// Whether a member may be left aside, since its value asks for nothing.
bool AsksForNothing(const std::string& key, const Json& value) {
  static const auto* neutral = new Json{{"background", {false}},
                                        {"tools", {Json::array()}},
                                        {"include", {Json::array()}},
                                        {"truncation", {"disabled"}},
                                        {"tool_choice", {"auto", "none"}}};
  for (const Json& one : MemberOf(*neutral, key)) {
    if (one == value) return true;
  }
  return key == "metadata" || key == "user" || key == "store" || key == "service_tier" ||
         key == "safety_identifier" || key == "prompt_cache_key" || key == "parallel_tool_calls";
}

}  // namespace

ResponsesRequest ReadResponsesRequest(const std::string& body, uint64_t random_seed) {
  const Json object = ReadApiBody(body);
  Input input = InputMessages(object);
  Json out = {{"messages", std::move(input.messages)}};
  for (const auto& [key, value] : object.items()) {
    if (value.is_null() || key == "input" || key == "instructions") continue;
    if (key == "metadata") CheckMetadata(value);
    if (AsksForNothing(key, value)) continue;
    if (key == "max_output_tokens") {
      out["max_tokens"] = value;
    } else if (key == "text") {
      ReadTextFormat(value, out);
    } else if (key == "model" || key == "temperature" || key == "top_p" || key == "stream" ||
               key == "timings_per_token" || key == "return_progress") {
      out[key] = value;
    } else {
      throw ResponsesRefusal(key);
    }
  }
  try {
    return {ReadApiObject(ApiKind::kChat, out, random_seed), DumpJson(Echoed(object))};
  } catch (const ApiError& e) {
    throw Renamed(e, input.names);
  }
}

}  // namespace retort
