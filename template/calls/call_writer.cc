// SPDX-License-Identifier: Apache-2.0
#include "template/calls/call_writer.h"

#include <algorithm>
#include <functional>
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

const Json& FunctionOf(const Json& call) {
  return call.contains("function") ? call["function"] : call;
}

bool IsCall(const Json& call) {
  if (!call.is_object()) return false;
  const Json& function = FunctionOf(call);
  return function.is_object() && function.contains("name") && function["name"].is_string();
}

// Arguments that are a text come back as the model wrote them.
std::string ArgumentsText(const Json& function, const std::string& where) {
  const auto found = function.find("arguments");
  if (found == function.end()) return "{}";
  if (!found->is_string()) return SpacedJson(*found);
  auto text = found->get<std::string>();
  ParseJson(text, where + ": a tool call's 'arguments'");
  return text;
}

class CallWriter {
 public:
  CallWriter(const CallFormat& format, const TokenizerSpec& spec) : format_(format) {
    const auto is_token = [&](const std::string& mark) {
      return std::ranges::find(spec.pieces, mark, &TokenizerSpec::Piece::text) != spec.pieces.end();
    };
    close_ = format.list ? format.section_close : format.call_close;
    if (std::ranges::all_of(format.list ? format.section_open : format.call_open, is_token))
      std::erase_if(close_, std::not_fn(is_token));
    if (format.shape == CallFormat::Shape::kTagged) return;
    head_ = format.before_name;
    if (format.shape == CallFormat::Shape::kNamed) return;
    if (head_.ends_with(kObjectBegin) && !format.name_is_key)
      head_.resize(head_.size() - kObjectBegin.size());
    else
      head_.clear();
  }

  // Whether this is a format that can be written.
  bool Writes() const { return !head_.empty(); }

  void Write(const Json& calls, Message& message, const std::string& where) const {
    std::string& out = message.content;
    if (!out.empty() && out.back() != '\n') out += "\n";
    bool first = true;
    for (const Json& call : calls) {
      if (!first) out += format_.list ? ", " : "\n";
      if (first || !format_.list) Mark(head_, message);
      first = false;
      const Json& function = FunctionOf(call);
      PutCall(function["name"], ArgumentsText(function, where), message);
      if (!format_.list) Close(message);
    }
    if (!format_.list) return;
    out += "]";
    Close(message);
  }

 private:
  static void Mark(const std::string& text, Message& message) {
    const size_t begin = message.content.size();
    message.content += text;
    message.marks.emplace_back(begin, begin + text.size());
  }

  void PutCall(const std::string& name, const std::string& arguments, Message& message) const {
    if (format_.shape == CallFormat::Shape::kObject) {
      message.content +=
          Cat("{\"name\": ", DumpJson(Json(name)), ", \"arguments\": ", arguments, "}");
      return;
    }
    message.content += name;
    Mark(format_.before_arguments, message);
    message.content += arguments;
  }

  void Close(Message& message) const {
    for (const std::string& mark : close_) {
      if (format_.before_name.find('\n') != std::string::npos) message.content += "\n";
      Mark(mark, message);
    }
  }

  const CallFormat& format_;
  std::string head_;  // what stands before a call, or the list
  Marks close_;       // what stands behind it
};

}  // namespace

void WriteCallsInContent(const CallFormat& format, const TokenizerSpec& spec,
                         std::vector<Message>& messages, const std::string& where) {
  const CallWriter writer(format, spec);
  if (!writer.Writes()) return;
  for (size_t i = 0; i < messages.size(); ++i) {
    Message& message = messages[i];
    if (message.role != "assistant" || message.more.empty()) continue;
    const std::string place = Cat(where, ": message ", i + 1);
    Json more = ParseJson(message.more, place);
    const auto calls = more.find("tool_calls");
    if (calls == more.end() || !calls->is_array() || calls->empty() ||
        !std::ranges::all_of(*calls, IsCall))
      continue;
    writer.Write(*calls, message, place);
    more.erase("tool_calls");
    more.erase("content");  // null
    message.more = more.empty() ? "" : DumpJson(more);
  }
}

}  // namespace retort
