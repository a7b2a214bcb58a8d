// SPDX-License-Identifier: Apache-2.0
#include "runner/openai_messages.h"

#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "runner/http_message.h"
#include "runner/openai_fields.h"

namespace retort {
namespace {

ApiError UnsupportedMember(const std::string& where, const std::string& key) {
  const std::string name = Cat(where, ".", Shortened(key));
  return ApiError(400, Cat("'", name, "' is not supported"), name, "unsupported_value");
}

std::string ReadPart(const Json& part, const std::string& where) {
  if (!part.is_object()) throw BadValue(where, "must be an object");
  for (const auto& [key, member] : part.items()) {
    if (key == "type" || key == "text" || member.is_null()) continue;
    // A mark for servers that keep prompts. It does not change the answer.
    if (key == "cache_control" && member.is_object()) continue;
    if (MemberOf(part, "type") == "text") throw UnsupportedMember(where, key);
  }
  const Json& text = MemberOf(part, "text");
  if (MemberOf(part, "type") != "text" || !text.is_string())
    throw BadValue(where,
                   R"(must be {"type": "text", "text": ...}; other parts are not supported)");
  return text.get<std::string>();
}

std::string ReadContent(const Json& content, const std::string& where) {
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array() || content.empty())
    throw BadValue(where, "must be a text or a list of text parts");
  std::string text;
  for (size_t i = 0; i < content.size(); ++i) text += ReadPart(content[i], Cat(where, "[", i, "]"));
  return text;
}

Message ReadMessage(const Json& message, const std::string& where) {
  if (!message.is_object()) throw BadValue(where, "must be an object");
  for (const auto& [key, member] : message.items()) {
    // Clients that send an earlier answer back include its other members, null or empty.
    const bool nothing = member.is_null() || (member.is_array() && member.empty());
    if (key != "role" && key != "content" && !nothing) throw UnsupportedMember(where, key);
  }
  const Json& role = MemberOf(message, "role");
  // OpenAI's newer name for the system's messages.
  if (role == "developer")
    return {"system", ReadContent(MemberOf(message, "content"), where + ".content")};
  if (role != "system" && role != "user" && role != "assistant")
    throw BadValue(where + ".role", "must be system, developer, user or assistant");
  return {role.get<std::string>(), ReadContent(MemberOf(message, "content"), where + ".content")};
}

}  // namespace

std::vector<Message> ReadMessages(const Json& value) {
  if (!value.is_array() || value.empty())
    throw BadValue("messages", "must be a list of at least one message");
  std::vector<Message> messages;
  messages.reserve(value.size());
  for (const Json& message : value)
    messages.push_back(ReadMessage(message, Cat("messages[", messages.size(), "]")));
  if (messages.back().role == "assistant") {
    const std::string where = Cat("messages[", messages.size() - 1, "].role");
    throw ApiError(400,
                   Cat("'", where,
                       "' is assistant, and this server does not continue an answer; "
                       "end with a user's message"),
                   where, "unsupported_value");
  }
  return messages;
}

}  // namespace retort
