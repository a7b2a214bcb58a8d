// SPDX-License-Identifier: Apache-2.0
// Requests of the responses API as those of chats, which are read and checked as such.
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "runner/http_message.h"
#include "runner/openai_fields.h"
#include "runner/openai_responses.h"

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

Json InputMessages(const Json& object) {
  Json out = Json::array();
  const Json& instructions = MemberOf(object, "instructions");
  if (!instructions.is_null()) out.push_back({{"role", "system"}, {"content", instructions}});
  const Json& input = MemberOf(object, "input");
  if (input.is_string()) {
    out.push_back({{"role", "user"}, {"content", input}});
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
    out.push_back({{"role", MemberOf(item, "role")},
                   {"content", PartsOf(MemberOf(item, "content"), where + ".content")}});
  }
  return out;
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
              {"truncation", "disabled"},
              {"user", nullptr}};
  for (auto& [key, value] : out.items()) {
    const Json& given = MemberOf(object, key);
    if (!given.is_null() && key != "store") value = given;
  }
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
  Json out = {{"messages", InputMessages(object)}};
  for (const auto& [key, value] : object.items()) {
    if (value.is_null() || key == "input" || key == "instructions") continue;
    if (AsksForNothing(key, value)) continue;
    if (key == "max_output_tokens") {
      out["max_tokens"] = value;
    } else if (key == "text") {
      ReadTextFormat(value, out);
    } else if (key == "model" || key == "temperature" || key == "top_p" || key == "stream") {
      out[key] = value;
    } else {
      throw ResponsesRefusal(key);
    }
  }
  return {ReadApiObject(ApiKind::kChat, out, random_seed), DumpJson(Echoed(object))};
}

}  // namespace retort
