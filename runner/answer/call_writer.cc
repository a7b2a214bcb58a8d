// SPDX-License-Identifier: Apache-2.0
#include "runner/answer/call_writer.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/strings.h"

namespace retort {
namespace {

constexpr std::string_view kObjectBegin = R"({"name": ")";

// With spaces behind commas and colons, as models learn to write it.
std::string SpacedJson(const Json& json) {
  if (!json.is_structured() || json.empty()) return DumpJson(json);
  std::vector<std::string> parts;
  for (const auto& [key, member] : json.items())
    parts.push_back(json.is_object() ? Cat(DumpJson(key), ": ", SpacedJson(member))
                                     : SpacedJson(member));
  const std::string all = Join(parts, ", ");
  return json.is_object() ? Cat("{", all, "}") : Cat("[", all, "]");
}

// Arguments come back as the text that the model wrote.
std::string ArgumentsText(const Json& function) {
  const auto found = function.find("arguments");
  if (found == function.end()) return "{}";
  return found->is_string() ? found->get<std::string>() : SpacedJson(*found);
}

class CallWriter {
 public:
  CallWriter(const CallFormat& format, const std::function<bool(const std::string&)>& is_token,
             Message& message)
      : format_(format), is_token_(is_token), message_(message) {}

  bool Write(const Json& calls) {
    std::string head = format_.before_name;
    if (format_.shape == CallFormat::Shape::kTagged || head.empty()) return false;
    if (format_.shape == CallFormat::Shape::kObject) {
      if (!head.ends_with(kObjectBegin) || format_.name_is_key) return false;
      head.resize(head.size() - kObjectBegin.size());
    }
    std::string& out = message_.content;
    if (!out.empty() && out.back() != '\n') out += "\n";
    bool first = true;
    for (const Json& call : calls) {
      if (!first) out += format_.list ? ", " : "\n";
      if (first || !format_.list) Mark(head);
      first = false;
      const Json& function = call.contains("function") ? call["function"] : call;
      PutCall(function.value("name", ""), ArgumentsText(function));
      if (!format_.list) Close(format_.call_close);
    }
    if (format_.list) out += "]", Close(format_.section_close);
    return true;
  }

 private:
  void Mark(const std::string& text) {
    const size_t begin = message_.content.size();
    message_.content += text;
    message_.marks.emplace_back(begin, begin + text.size());
  }

  void PutCall(const std::string& name, const std::string& arguments) {
    if (format_.shape == CallFormat::Shape::kObject) {
      message_.content +=
          Cat("{\"name\": ", DumpJson(Json(name)), ", \"arguments\": ", arguments, "}");
      return;
    }
    message_.content += name;
    Mark(format_.before_arguments);
    message_.content += arguments;
  }

  void Close(const Marks& marks) {
    const Marks& open = format_.list ? format_.section_open : format_.call_open;
    const bool tokens = std::ranges::all_of(open, is_token_);
    for (const std::string& mark : marks) {
      if (tokens && !is_token_(mark)) continue;
      if (format_.before_name.find('\n') != std::string::npos) message_.content += "\n";
      Mark(mark);
    }
  }

  const CallFormat& format_;
  const std::function<bool(const std::string&)>& is_token_;
  Message& message_;
};

}  // namespace

bool WriteCallsInContent(const CallFormat& format,
                         const std::function<bool(const std::string&)>& is_token,
                         Message& message) {
  if (message.role != "assistant" || message.more.empty()) return false;
  Json more = ParseJson(message.more, "messages");
  if (!more.contains("tool_calls")) return false;
  if (!CallWriter(format, is_token, message).Write(more["tool_calls"])) return false;
  more.erase("tool_calls");
  more.erase("content");  // null
  message.more = more.empty() ? "" : DumpJson(more);
  return true;
}

}  // namespace retort
