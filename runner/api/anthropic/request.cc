// SPDX-License-Identifier: Apache-2.0
// The requests of Anthropic's API as those of OpenAI's, which are read and checked as such.
#include "runner/api/openai/request.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "base/text.h"
#include "runner/api/anthropic/anthropic.h"
#include "runner/api/error.h"
#include "runner/api/fields.h"
#include "runner/api/request.h"

namespace retort {
namespace {

ApiError AnthropicRefusal(const std::string& name) {
  return ApiError(400, Cat("'", Shortened(name), "' is not supported"), Shortened(name),
                  "unsupported_value");
}

// Refuses other members than these by name, but for null ones and marks for servers that keep
// prompts.
void CheckBlock(const Json& block, const std::string& where,
                std::initializer_list<std::string_view> known) {
  for (const auto& [key, value] : block.items()) {
    if (value.is_null() || key == "cache_control") continue;
    if (std::ranges::find(known, key) == known.end())
      throw AnthropicRefusal(Cat(where, ".", Shortened(key)));
  }
}

// The text of a text, or of a list of text blocks.
std::string BlocksText(const Json& value, const std::string& where) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) throw BadValue(where, "must be a text or a list of text blocks");
  std::string text;
  for (const Json& block : value) {
    const Json& said = MemberOf(block, "text");
    if (!block.is_object() || MemberOf(block, "type") != "text" || !said.is_string())
      throw BadValue(where, "may hold text blocks alone");
    CheckBlock(block, where, {"type", "text"});
    text += said.get<std::string>();
  }
  return text;
}

// One message's blocks as OpenAI's messages.
class BlockReader {
 public:
  BlockReader(Json role, std::string where) : role_(std::move(role)), where_(std::move(where)) {}

  void Read(const Json& content, Json& out) {
    if (content.is_string()) return out.push_back({{"role", role_}, {"content", content}});
    if (!content.is_array() || content.empty())
      throw BadValue(where_ + ".content", "must be a text or a list of blocks");
    for (size_t i = 0; i < content.size(); ++i)
      Block(content[i], Cat(where_, ".content[", i, "]"), out);
    if (calls_.empty() && !any_text_) return;  // results alone
    Json message = {{"role", role_}, {"content", any_text_ ? Json(text_) : Json()}};
    if (!calls_.empty()) message["tool_calls"] = calls_;
    if (!thought_.empty()) message["reasoning_content"] = thought_;
    out.push_back(std::move(message));
  }

 private:
  void Block(const Json& block, const std::string& place, Json& out) {
    if (!block.is_object()) throw BadValue(place, "must be an object");
    const Json& type = MemberOf(block, "type");
    if (type == "text" && MemberOf(block, "text").is_string()) {
      CheckBlock(block, place, {"type", "text"});
      text_ += block["text"].get<std::string>();
      any_text_ = true;
    } else if (type == "tool_result" && role_ == "user") {
      CheckBlock(block, place, {"type", "tool_use_id", "content", "is_error"});
      const Json& content = MemberOf(block, "content");
      const std::string said = content.is_null() ? "" : BlocksText(content, place + ".content");
      // Templates have no other way to say that a call has failed.
      out.push_back({{"role", "tool"},
                     {"tool_call_id", MemberOf(block, "tool_use_id")},
                     {"content", FlagField(block, "is_error") ? "Error: " + said : said}});
    } else if (type == "tool_use" && role_ == "assistant") {
      CheckBlock(block, place, {"type", "id", "name", "input"});
      calls_.push_back(
          {{"id", MemberOf(block, "id")},
           {"type", "function"},
           {"function",
            {{"name", MemberOf(block, "name")}, {"arguments", MemberOf(block, "input")}}}});
    } else if (type == "thinking" && role_ == "assistant" &&
               MemberOf(block, "thinking").is_string()) {
      CheckBlock(block, place, {"type", "thinking", "signature"});
      thought_ += block["thinking"].get<std::string>();
    } else {
      throw BadValue(place, "must be a text, tool_use, tool_result or thinking block");
    }
  }

  const Json role_;
  const std::string where_;
  std::string text_, thought_;
  bool any_text_ = false;
  Json calls_ = Json::array();
};

Json Messages(const Json& body) {
  Json out = Json::array();
  const Json& system = MemberOf(body, "system");
  if (!system.is_null())
    out.push_back({{"role", "system"}, {"content", BlocksText(system, "system")}});
  const Json& messages = MemberOf(body, "messages");
  if (!messages.is_array() || messages.empty())
    throw BadValue("messages", "must be a list of at least one message");
  for (size_t i = 0; i < messages.size(); ++i) {
    const std::string where = Cat("messages[", i, "]");
    const Json& role = MemberOf(messages[i], "role");
    if (!messages[i].is_object() || (role != "user" && role != "assistant"))
      throw BadValue(where + ".role", "must be user or assistant");
    CheckBlock(messages[i], where, {"role", "content"});
    BlockReader(role, where).Read(MemberOf(messages[i], "content"), out);
  }
  return out;
}

Json AnthropicTools(const Json& tools) {
  if (!tools.is_array()) throw BadValue("tools", "must be a list of tools");
  Json out = Json::array();
  for (const Json& tool : tools) {
    const std::string where = Cat("tools[", out.size(), "]");
    if (!tool.is_object()) throw BadValue(where, "must be an object");
    const Json& type = MemberOf(tool, "type");
    if (!type.is_null() && type != "custom") throw AnthropicRefusal(where + ".type");
    CheckBlock(tool, where, {"type", "name", "description", "input_schema", "strict"});
    const Json& strict = MemberOf(tool, "strict");
    if (!strict.is_null() && !strict.is_boolean())
      throw BadValue(where + ".strict", "must be true or false");
    out.push_back({{"type", "function"},
                   {"function",
                    {{"name", MemberOf(tool, "name")},
                     {"description", MemberOf(tool, "description")},
                     {"parameters", MemberOf(tool, "input_schema")},
                     {"strict", strict}}}});
  }
  return out;
}

void ToolChoice(const Json& choice, Json& out) {
  if (!choice.is_object()) throw BadValue("tool_choice", "must be an object with a type");
  const Json& type = MemberOf(choice, "type");
  if (type == "tool") {
    out["tool_choice"] = {{"type", "function"}, {"function", {{"name", MemberOf(choice, "name")}}}};
  } else if (type == "auto" || type == "any" || type == "none") {
    out["tool_choice"] = type == "any" ? Json("required") : type;
  } else {
    throw BadValue("tool_choice.type", "must be auto, any, tool or none");
  }
  if (FlagField(choice, "disable_parallel_tool_use")) out["parallel_tool_calls"] = false;
}

// The member that OpenAI's API calls so; the name itself for one that both call the same.
std::string AnthropicName(const std::string& name) {
  if (name == "stop") return "stop_sequences";
  if (!name.starts_with("tools[") && !name.starts_with("tool_choice.")) return name;
  return ReplaceAll(ReplaceAll(name, ".function.parameters", ".input_schema"), ".function", "");
}

// What is said against a request, of the members that stand in it.
ApiError InAnthropicNames(const ApiError& error) {
  const std::string name = AnthropicName(error.param);
  ApiError named(error.status,
                 ReplaceAll(error.what(), Cat("'", error.param, "'"), Cat("'", name, "'")), name,
                 error.code);
  named.headers = error.headers;
  return named;
}

}  // namespace

ApiRequest ReadAnthropicRequest(const std::string& body, uint64_t random_seed, bool counted) {
  const Json object = ReadApiBody(body);
  Json out = {{"messages", Messages(object)}};
  for (const auto& [key, value] : object.items()) {
    if (value.is_null() || key == "messages" || key == "system") continue;
    if (key == "stop_sequences") {
      out["stop"] = value;
    } else if (key == "tools") {
      out["tools"] = AnthropicTools(value);
    } else if (key == "tool_choice") {
      ToolChoice(value, out);
    } else if (key == "thinking") {
      // A model thinks as its template has it; there is no budget to keep.
      if (MemberOf(value, "type") != "disabled") throw AnthropicRefusal(key);
    } else if (key == "metadata" || key == "service_tier") {
      continue;  // without effect on the answer
    } else if (key == "model" || key == "max_tokens" || key == "stream" || key == "temperature" ||
               key == "top_k" || key == "top_p") {
      out[key] = value;
    } else {
      throw AnthropicRefusal(key);
    }
  }
  if (!counted && MemberOf(out, "max_tokens").is_null())
    throw BadValue("max_tokens", "must be given");
  try {
    return ReadApiObject(ApiKind::kChat, out, random_seed);
  } catch (const ApiError& error) {
    throw InAnthropicNames(error);
  }
}

}  // namespace retort
