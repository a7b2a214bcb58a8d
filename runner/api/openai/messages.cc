// SPDX-License-Identifier: Apache-2.0
#include "runner/api/openai/messages.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/strings.h"
#include "base/text.h"
#include "runner/api/fields.h"

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

std::string TextMember(const Json& object, const std::string& key, const std::string& where) {
  const Json& value = MemberOf(object, key);
  const std::string name = Cat(where, ".", key);
  if (!value.is_string() || value.get_ref<const std::string&>().empty())
    throw BadValue(name, "must be a text that is not empty");
  return value.get<std::string>();
}

// A call as templates get it. OpenAI's API has the arguments as JSON text.
Json ReadCall(const Json& call, const std::string& where) {
  if (!call.is_object()) throw BadValue(where, "must be an object");
  for (const auto& [key, member] : call.items()) {
    // Clients that gather a stream keep the index of its pieces.
    const bool known = key == "id" || key == "type" || key == "function" || key == "index";
    if (!known && !member.is_null()) throw UnsupportedMember(where, key);
  }
  const Json& type = MemberOf(call, "type");
  if (!type.is_null() && type != "function")
    throw BadValue(where + ".type", "must be \"function\"");
  const Json& function = MemberOf(call, "function");
  const std::string place = where + ".function";
  if (!function.is_object()) throw BadValue(place, "must be an object");
  for (const auto& [key, member] : function.items()) {
    if (key != "name" && key != "arguments" && !member.is_null())
      throw UnsupportedMember(place, key);
  }
  const std::string name = TextMember(function, "name", place);
  const Json& text = MemberOf(function, "arguments");
  Json arguments = Json::object();
  if (text.is_string() && !Strip(text.get_ref<const std::string&>()).empty()) {
    try {
      arguments = ParseJson(text.get<std::string>(), place, false, RepeatedKeys::kLast);
    } catch (const Error&) {
      arguments = nullptr;
    }
  } else if (!text.is_string() && !text.is_null()) {
    arguments = text;  // an object, as templates have it
  }
  if (!arguments.is_object())
    throw BadValue(place + ".arguments", "must be the JSON text of an object");
  return {{"id", TextMember(call, "id", where)},
          {"type", "function"},
          {"function", {{"name", name}, {"arguments", std::move(arguments)}}}};
}

// What a message says beside its content, for the template.
class MessageReader {
 public:
  MessageReader(const Json& message, std::string where)
      : message_(message), where_(std::move(where)) {
    if (!message_.is_object()) throw BadValue(where_, "must be an object");
    const Json& role = MemberOf(message_, "role");
    for (const char* known : {"system", "developer", "user", "assistant", "tool"}) {
      if (role == known) role_ = known;
    }
    if (role_.empty())
      throw BadValue(where_ + ".role", "must be system, developer, user, assistant or tool");
    if (role_ == "developer") role_ = "system";  // OpenAI's newer name for the system's messages
  }

  Message Read() {
    for (const auto& [key, member] : message_.items()) Member(key, member);
    const Json& content = MemberOf(message_, "content");
    // An assistant that only calls tools has none.
    const bool none = content.is_null() && more_.contains("tool_calls");
    Message out{role_, none ? "" : ReadContent(content, where_ + ".content")};
    if (none) more_["content"] = nullptr;
    if (role_ == "tool") more_["tool_call_id"] = TextMember(message_, "tool_call_id", where_);
    if (!more_.empty()) out.more = DumpJson(more_);
    return out;
  }

 private:
  void Member(const std::string& key, const Json& member) {
    // Clients that send an earlier answer back include its other members, null or empty.
    const bool nothing = member.is_null() || (member.is_array() && member.empty());
    if (key == "role" || key == "content" || nothing) return;
    if (role_ == "assistant" && key == "tool_calls") return Calls(member);
    if (role_ == "assistant" && key == "reasoning_content") {
      if (!member.is_string()) throw BadValue(where_ + ".reasoning_content", "must be a text");
      if (member != "") more_[key] = member;
      return;
    }
    if (role_ == "tool" && key == "tool_call_id") return;
    if (key == "name") {
      more_[key] = TextMember(message_, key, where_);
      return;
    }
    throw UnsupportedMember(where_, key);
  }
  void Calls(const Json& calls) {
    if (!calls.is_array()) throw BadValue(where_ + ".tool_calls", "must be a list");
    Json& out = more_["tool_calls"] = Json::array();
    for (const Json& call : calls)
      out.push_back(ReadCall(call, Cat(where_, ".tool_calls[", out.size(), "]")));
  }

  const Json& message_;
  const std::string where_;
  std::string role_;
  Json more_ = Json::object();
};

// Sees to it that every result has its call, and that results stand in the order of the calls,
// since many templates tie them by that alone.
class ResultOrder {
 public:
  explicit ResultOrder(std::vector<Message>& messages) : messages_(messages) {}

  void Check() {
    for (size_t i = 0; i < messages_.size(); ++i) {
      const Message& message = messages_[i];
      if (message.role == "tool") {
        Result(i);
        continue;
      }
      Sort(i);
      calls_.clear();
      if (message.role == "assistant") Calls(message);
    }
    Sort(messages_.size());
  }

 private:
  void Calls(const Message& message) {
    if (message.more.empty()) return;
    const Json more = ParseJson(message.more, "message");
    for (const Json& call : MemberOf(more, "tool_calls")) {
      const size_t place = calls_.size();
      calls_.emplace(call["id"].get<std::string>(), place);
    }
  }
  void Result(size_t i) {
    const Json more = ParseJson(messages_[i].more, "message");
    const auto found = calls_.find(more["tool_call_id"].get<std::string>());
    if (found == calls_.end()) {
      throw BadValue(Cat("messages[", i, "].tool_call_id"),
                     "names no call of the assistant's message before it");
    }
    order_.push_back(found->second);
  }
  // The results that end before message `end`.
  void Sort(size_t end) {
    std::vector<std::pair<size_t, Message>> results;
    const size_t begin = end - order_.size();
    for (size_t i = begin; i < end; ++i)
      results.emplace_back(order_[i - begin], std::move(messages_[i]));
    std::ranges::stable_sort(results, {}, [](const auto& result) { return result.first; });
    for (size_t i = begin; i < end; ++i) messages_[i] = std::move(results[i - begin].second);
    order_.clear();
  }

  std::vector<Message>& messages_;
  std::map<std::string, size_t> calls_;  // of the last message that is no result
  std::vector<size_t> order_;            // the calls of the results since
};

}  // namespace

std::vector<Message> ReadMessages(const Json& value) {
  if (!value.is_array() || value.empty())
    throw BadValue("messages", "must be a list of at least one message");
  std::vector<Message> messages;
  messages.reserve(value.size());
  for (const Json& message : value)
    messages.push_back(MessageReader(message, Cat("messages[", messages.size(), "]")).Read());
  ResultOrder(messages).Check();
  return messages;
}

}  // namespace retort
