// SPDX-License-Identifier: Apache-2.0
// What a chat template writes, found out by rendering conversations that are made up.
#include <algorithm>

#include "base/error.h"
#include "template/chat_input.h"
#include "template/chat_template.h"
#include "template/jinja/characters.h"

namespace retort {
namespace {

constexpr std::string_view kProbe = "Rx7answerRx7";
constexpr const char* kTools =
    R"([{"type": "function", "function": {"name": "qz_tool", "description": "d", "parameters":
    {"type": "object", "properties": {"qz_key": {"type": "string", "description": "d"}},
    "required": ["qz_key"]}}}])";

// The first token that a text begins with, by how tokens are spelt.
std::string FirstMark(std::string_view text, std::string_view eos) {
  const jinja::Text stripped = Stripped(jinja::Text(std::string(text)), jinja::Side::kBoth);
  const std::string_view rest = stripped.view();
  if (!eos.empty() && rest.starts_with(eos)) return std::string(eos);
  if (rest.empty()) return "";
  const char close = rest[0] == '<' ? '>' : rest[0] == '[' ? ']' : '\0';
  const size_t end = close ? rest.find(close) : std::string_view::npos;
  return end == std::string_view::npos ? "" : std::string(rest.substr(0, end + 1));
}

}  // namespace

std::optional<std::string> ChatTemplate::BehindAnswer(const Conversation& turns,
                                                      const TokenizerSpec& spec) const {
  try {
    const ChatInput input(turns, spec, {}, "");
    const jinja::Text text = RenderTurns(input, turns.messages.size(), false, "");
    const size_t found = text.view().rfind(kProbe);
    if (found != std::string_view::npos) return text.bytes().substr(found + kProbe.size());
  } catch (const Error& e) {
    if (e.kind() != Error::Kind::kInput) throw;  // the template wants other turns
  }
  return std::nullopt;
}

std::string ChatTemplate::EndOfTurn(const TokenizerSpec& spec) const {
  const Message user{"user", "a"}, answer{"assistant", std::string(kProbe)};
  const std::string eos = spec.eos < 0 ? "" : spec.pieces.at(spec.eos).text;
  const Conversation followed{user, answer, user};
  for (const auto& turns :
       {Conversation{user, answer}, Conversation{{"system", "a"}, user, answer}, followed}) {
    const auto behind = BehindAnswer(turns, spec);
    if (!behind) continue;
    std::string mark = FirstMark(*behind, eos);
    if (mark.empty() || eos.empty() || mark == eos) return mark;
    // Command R7B's closes its answers before it ends the turn. An end token that others write only
    // behind the last turn is no part of it.
    const auto within = BehindAnswer(followed, spec);
    return within && within->starts_with(mark + eos) ? eos : mark;
  }
  return "";
}

std::string ChatTemplate::ToolInstructions(const TokenizerSpec& spec) const {
  const auto rendered = [&](const std::string& tools) -> std::string {
    Conversation turns{{"user", "a"}};
    turns.tools = tools;
    try {
      return RenderText(turns, true, spec, "").bytes();
    } catch (const Error& e) {
      if (e.kind() != Error::Kind::kInput) throw;
      return "";  // the template refuses it, or writes no tools
    }
  };
  const std::string with = rendered(kTools), without = rendered("");
  const auto [a, b] = std::ranges::mismatch(with, without);
  return {a, with.end()};
}

}  // namespace retort
