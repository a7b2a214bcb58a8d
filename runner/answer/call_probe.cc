// SPDX-License-Identifier: Apache-2.0
#include "runner/answer/call_probe.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "runner/answer/call_shape.h"
#include "template/calls/call_table.h"

namespace retort {
namespace {

constexpr size_t kNotFound = std::string::npos;
constexpr std::string_view kUser = "Qzaskszq", kAnswer = "Qzsayszq", kThought = "Qzthinkszq";

// For templates that write thoughts only in an answer of their own, or not at all.
constexpr std::pair<std::string_view, std::string_view> kThoughtMarks[] = {
    {"<|START_THINKING|>", "<|END_THINKING|>"},
    {"[THINK]", "[/THINK]"},
    {"<seed:think>", "</seed:think>"},
    {"<think>", "</think>"}};

ProbeCalls Calls(bool short_ids) {
  ProbeCalls calls{{"qz_first", "qz_second"}, {}, {"qz_a", "qz_b"}, {"Qzone", "Qztwo"}};
  calls.ids = short_ids ? std::array<std::string, 2>{"qzid00001", "qzid00002"}
                        : std::array<std::string, 2>{"call_qzIdOfTheFirst", "call_qzIdOfTheNext"};
  return calls;
}

std::string ToolsText(const ProbeCalls& calls) {
  Json tools = Json::array();
  for (const std::string& name : calls.names) {
    Json properties = Json::object();
    for (const std::string& key : calls.keys)
      properties[key] = {{"type", "string"}, {"description", "d"}};
    tools.push_back(
        {{"type", "function"},
         {"function",
          {{"name", name},
           {"description", "d"},
           {"parameters",
            {{"type", "object"}, {"properties", properties}, {"required", calls.keys}}}}}});
  }
  return DumpJson(tools);
}

Message CallsMessage(const ProbeCalls& calls, size_t count) {
  Json list = Json::array();
  for (size_t i = 0; i < count; ++i) {
    const Json arguments = {{calls.keys[0], calls.values[0]}, {calls.keys[1], calls.values[1]}};
    list.push_back({{"id", calls.ids[i]},
                    {"type", "function"},
                    {"function", {{"name", calls.names[i]}, {"arguments", arguments}}}});
  }
  return {"assistant", "", true, DumpJson({{"content", nullptr}, {"tool_calls", list}})};
}

// Where the mark that is cut off by `end` begins, or `end`.
size_t MarkBoundary(std::string_view text, size_t end) {
  const std::string_view head = text.substr(0, end);
  for (const auto& [open, close] : {std::pair('<', '>'), std::pair('[', ']')}) {
    const size_t begin = head.rfind(open);
    if (begin != kNotFound && head.find(close, begin) == kNotFound) return begin;
  }
  return end;
}

class Prober {
 public:
  Prober(const ChatTemplate& chat, const TokenizerSpec& spec)
      : chat_(chat), spec_(spec), end_(chat.EndOfTurn(spec)) {}

  AnswerFormat Find() {
    FindThoughts();
    FindEarlierThoughts();
    for (const bool short_ids : {false, true}) {
      if (!chat_.MentionsCalls()) break;
      const ProbeCalls calls = Calls(short_ids);
      const std::string one = Answer(calls, 1);
      if (one.empty()) continue;
      format_.short_ids = short_ids;
      if (auto shape = CallShape(calls, one, Answer(calls, 2))) {
        format_.calls = FurtherFormats(chat_.Jinja(), *shape);
        format_.calls.insert(format_.calls.begin(), *std::move(shape));
      }
      return format_;
    }
    format_.calls = FormatsNamedIn(chat_.ToolInstructions(spec_));
    return format_;
  }

 private:
  std::string Rendered(std::vector<Message> messages, const std::string& tools, bool asks) const {
    Conversation conversation(std::move(messages));
    conversation.tools = tools;
    try {
      return chat_.RenderText(conversation, asks, spec_, "").bytes();
    } catch (const Error& e) {
      if (e.kind() != Error::Kind::kInput) throw;
      return "";  // the template refuses it, or does not write all of it
    }
  }

  // What the template writes as an answer, from behind the generation prompt to the mark that ends
  // the turn. "" if it does not write it.
  std::string AnswerTo(const Message& answer, const std::string& tools,
                       std::string_view last) const {
    const Message user{"user", std::string(kUser)};
    const std::string whole = Rendered({user, answer}, tools, false);
    const std::string asked = Rendered({user}, tools, true);
    const size_t a = whole.rfind(kUser), b = asked.rfind(kUser);
    if (a == kNotFound || b == kNotFound) return "";
    const std::string_view said = std::string_view(whole).substr(a),
                           prompt = std::string_view(asked).substr(b);
    const auto [x, y] = std::ranges::mismatch(said, prompt);
    const auto common = static_cast<size_t>(x - said.begin());
    std::string out(said.substr(common == prompt.size() ? common : MarkBoundary(said, common)));
    const size_t found = out.rfind(last);
    if (found == kNotFound) return "";
    if (const size_t end = end_.empty() ? kNotFound : out.find(end_, found); end != kNotFound)
      out.resize(end);
    return out;
  }

  std::string Answer(const ProbeCalls& calls, size_t count) {
    std::string out = AnswerTo(CallsMessage(calls, count), ToolsText(calls), calls.values[1]);
    // Some templates write calls, but leave it to the user to tell of the tools.
    if (out.empty()) out = AnswerTo(CallsMessage(calls, count), "", calls.values[1]);
    const size_t name = out.find(calls.names[0]);
    const size_t thought = out.substr(0, name).rfind(format_.think_close);
    if (thought != kNotFound && !format_.think_close.empty()) {
      out.erase(0, thought + format_.think_close.size());
      const size_t begin = std::min(out.find_first_not_of(" \n"), out.size());
      format_.behind_thought = out.substr(0, begin);
      out.erase(0, begin);
    }
    return out;
  }

  void FindThoughts() {
    const Message answer{"assistant", std::string(kAnswer), true,
                         DumpJson(Json{{"reasoning_content", kThought}})};
    const std::string out = AnswerTo(answer, "", kAnswer);
    const size_t at = out.find(kThought), said = out.find(kAnswer);
    if (at != kNotFound && said != kNotFound && at < said) {
      Marks before = SplitMarks(out.substr(0, at));
      if (before.empty()) {  // the generation prompt has opened the thought
        before = SplitMarks(Rendered({{"user", std::string(kUser)}}, "", true));
      }
      const Marks behind =
          SplitMarks(out.substr(at + kThought.size(), said - at - kThought.size()));
      const auto is_mark = [](const std::string& mark) { return mark[0] == '<' || mark[0] == '['; };
      if (!behind.empty() && is_mark(behind[0])) {
        format_.think_close = behind[0];
        if (!before.empty() && is_mark(before.back())) format_.think_open = before.back();
        return;
      }
    }
    for (const auto& [open, close] : kThoughtMarks) {
      if (chat_.Jinja().find(close) == kNotFound) continue;
      format_.think_open = open;
      format_.think_close = close;
      return;
    }
  }

  void FindEarlierThoughts() {
    const Message user{"user", std::string(kUser)};
    const auto written = [&](const Message& answer) {
      return Rendered({user, answer, user}, "", true);
    };
    const std::string said(kAnswer), thought(kThought);
    if (!written({"assistant", said, true, DumpJson(Json{{"reasoning_content", thought}})}).empty())
      return;
    const std::string text = written({"assistant", WithThought(format_, thought, said)});
    const bool taken_out = text.find(thought) == kNotFound && text.find(said) != kNotFound;
    format_.earlier =
        taken_out ? AnswerFormat::Earlier::kTakenOut : AnswerFormat::Earlier::kInContent;
  }

  const ChatTemplate& chat_;
  const TokenizerSpec& spec_;
  const std::string end_;
  AnswerFormat format_;
};

}  // namespace

AnswerFormat FindAnswerFormat(const ChatTemplate& chat, const TokenizerSpec& spec) {
  return Prober(chat, spec).Find();
}

}  // namespace retort
