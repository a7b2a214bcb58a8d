// SPDX-License-Identifier: Apache-2.0
#include "template/chat_input.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/ascii.h"
#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "template/jinja/json_values.h"

namespace retort {
namespace {

using jinja::Value;

constexpr std::array<std::string_view, 3> kTheirOwn = {"messages", "tools",
                                                       "add_generation_prompt"};

// OpenAI's form has JSON text. An object that was given as text is given as the object, and the
// other way round.
void SetArguments(Json& calls, bool as_text, const std::string& where) {
  if (!calls.is_array()) throw InputError(where, ": 'tool_calls' must be a list");
  for (Json& call : calls) {
    if (!call.is_object()) throw InputError(where, ": a tool call must be an object");
    Json& function = call.contains("function") ? call["function"] : call;
    if (!function.is_object() || !function.contains("arguments")) continue;
    Json& arguments = function["arguments"];
    if (as_text && !arguments.is_string()) {
      arguments = DumpJson(arguments);
    } else if (!as_text && arguments.is_string()) {
      const std::string text = arguments.get<std::string>();
      if (!Strip(text).starts_with('{')) continue;
      arguments = ParseJson(text, where + ": a tool call's 'arguments'");
    }
  }
}

Json MessageJson(const Message& message, const CallForm& form, const std::string& where) {
  Json out = {{"role", message.role}, {"content", message.content}};
  if (message.more.empty()) return out;
  const Json more = ParseJson(message.more, where);
  for (const auto& [key, value] : more.items()) out[key] = value;
  if (!out.contains("tool_calls")) return out;
  SetArguments(out["tool_calls"], form.arguments_as_text, where);
  Json& content = out["content"];
  if (form.other_content && content.is_null())
    content = "";
  else if (form.other_content && content == "")
    content = nullptr;
  return out;
}

// A role is part of what a template writes, if it is a plain word.
Value RoleValue(const std::string& role) {
  const bool word = std::ranges::all_of(role, [](char c) { return IsLetter(c) || c == '_'; });
  return Value::Of(role, word ? jinja::kOwn : jinja::kInput);
}

Value ContentValue(const std::string& content, const Message& message) {
  jinja::Text text;
  size_t at = 0;
  for (const auto& [begin, end] : message.marks) {
    text.Append(std::string_view(content).substr(at, begin - at), jinja::kInput);
    text.Append(std::string_view(content).substr(begin, end - begin), jinja::kOwn);
    at = end;
  }
  text.Append(std::string_view(content).substr(at), jinja::kInput);
  return Value::Of(std::move(text));
}

Value MessageValue(const Json& message, const Message& given, const std::string& where) {
  auto dict = std::make_shared<jinja::Dict>();
  for (const auto& [key, value] : message.items()) {
    const bool marked = key == "content" && value.is_string() && !given.marks.empty();
    dict->Set(Value::Of(key, jinja::kInput),
              key == "role" ? RoleValue(value.get<std::string>())
              : marked      ? ContentValue(value.get_ref<const std::string&>(), given)
                            : jinja::FromJson(value, jinja::kInput, true, where));
  }
  dict->Track();
  return Value::Of(std::shared_ptr<const jinja::Dict>(std::move(dict)));
}

bool SaysNothing(const Value& value) { return !Truth(value); }

// Keys that only tie a result to its call. Many templates leave the tie to the order.
bool IsTie(std::string_view key, const Value& role) {
  return key == "tool_call_id" || (key == "name" && role.IsText() && role.bytes() == "tool");
}

Error NotLookedAt(const std::string& where, std::string_view key) {
  return InputError(where, ": the chat template does not write ", Quoted(key),
                    " here; write it into 'content', or take it out");
}

}  // namespace

ChatInput::ChatInput(const Conversation& conversation, const TokenizerSpec& spec,
                     const CallForm& form, const std::string& where) {
  if (conversation.messages.empty()) throw InputError(where, ": the conversation has no messages");
  for (const Message& message : conversation.messages) {
    const std::string place = Cat(where, ": message ", messages_.size() + 1);
    messages_.push_back(MessageValue(MessageJson(message, form, place), message, place));
    bytes_ += message.role.size() + message.content.size() + message.more.size() + 64;
  }
  const auto token = [&](int32_t id) {
    return Value::Of(id < 0 ? std::string_view() : std::string_view(spec.pieces.at(id).text));
  };
  more_ = {{"bos_token", token(spec.bos)}, {"eos_token", token(spec.eos)}};
  for (const auto& [name, id] : {std::pair("unk_token", spec.unk), {"pad_token", spec.pad}}) {
    if (id >= 0) more_.emplace_back(name, token(id));
  }
  if (!conversation.tools.empty()) {
    const Json tools = ParseJson(conversation.tools, where + ": 'tools'");
    if (!tools.is_array()) throw InputError(where, ": 'tools' must be a list");
    for (const Json& tool : tools)
      tools_.push_back(jinja::FromJson(tool, jinja::kInput, true, where + ": 'tools'"));
  }
  if (!conversation.variables.empty()) {
    const Json variables = ParseJson(conversation.variables, where);
    for (const auto& [name, value] : variables.items()) {
      if (std::ranges::find(kTheirOwn, name) != kTheirOwn.end())
        throw InputError(where, ": '", name, "' is no variable of its own");
      more_.emplace_back(name, jinja::FromJson(value, jinja::kInput, false, where));
      given_.push_back(name);
    }
  }
  bytes_ += conversation.tools.size() + conversation.variables.size();
}

Conversation WithToolsInSystem(Conversation conversation) {
  const Json tools = ParseJson(conversation.tools, "'tools'");
  if (!tools.is_array()) return conversation;
  Json functions = Json::array();  // Phi's makers list them without {"type": "function", ...}
  for (const Json& tool : tools) {
    const bool wrapped = tool.is_object() && tool.contains("function");
    functions.push_back(wrapped ? tool["function"] : tool);
  }
  auto& messages = conversation.messages;
  if (messages.empty() || messages[0].role != "system")
    messages.insert(messages.begin(), {"system", ""});
  Json more = messages[0].more.empty() ? Json::object() : ParseJson(messages[0].more, "messages");
  more["tools"] = DumpJson(functions);
  messages[0].more = DumpJson(more);
  conversation.tools.clear();
  return conversation;
}

jinja::Variables ChatInput::Of(size_t count, bool generation_prompt) const {
  jinja::Variables out = more_;
  out.emplace_back(
      "messages",
      Value::OfList({messages_.begin(), messages_.begin() + static_cast<std::ptrdiff_t>(count)}));
  out.emplace_back("tools", tools_.empty() ? Value::None() : Value::OfList(tools_));
  if (std::ranges::find(given_, "documents") == given_.end())
    out.emplace_back("documents", Value::None());
  out.emplace_back("add_generation_prompt", Value::Of(generation_prompt));
  return out;
}

void ChatInput::CheckAllLookedAt(const jinja::Program& program, const std::string& where) const {
  for (size_t i = 0; i < messages_.size(); ++i) {
    const jinja::Dict& dict = messages_[i].dict();
    const auto& entries = dict.AllWithoutLooking();
    bool any = false;
    for (size_t k = 0; k < entries.size(); ++k) any = any || dict.Seen(k);
    for (size_t k = 0; k < entries.size(); ++k) {
      const auto& [key, value] = entries[k];
      if (dict.Seen(k) || SaysNothing(value) || IsTie(key.bytes(), entries[0].second)) continue;
      // Llama 3's takes the first message for the user's and writes it with the tools.
      if (any && key.bytes() == "role") continue;
      throw NotLookedAt(Cat(where, ": message ", i + 1), key.bytes());
    }
  }
  for (const Value& tool : tools_) {
    if (!tool.IsDict()) continue;
    const auto& entries = tool.dict().AllWithoutLooking();
    bool any = entries.empty();
    for (size_t k = 0; k < entries.size(); ++k) any = any || tool.dict().Seen(k);
    if (!any) throw NotLookedAt(where, "tools");
  }
  for (const std::string& name : given_) {
    if (!program.Names(name)) throw NotLookedAt(where, name);
  }
}

}  // namespace retort
