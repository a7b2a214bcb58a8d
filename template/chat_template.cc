// SPDX-License-Identifier: Apache-2.0
#include "template/chat_template.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "template/chat_render.h"

namespace retort {
namespace {

constexpr std::string_view kChatMlJinja =
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}";

constexpr std::string_view kLlama3Jinja =
    "{{- bos_token }}"
    "{%- for message in messages %}"
    "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + "
    "message['content'] | trim + '<|eot_id|>' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}"
    "{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}";

constexpr std::string_view kLlama2Jinja =
    "{%- if messages[0]['role'] == 'system' %}"
    "{%- set system = '<<SYS>>\\n' + messages[0]['content'] + '\\n<</SYS>>\\n\\n' %}"
    "{%- set turns = messages[1:] %}"
    "{%- else %}{%- set system = '' %}{%- set turns = messages %}{%- endif %}"
    "{%- for message in turns %}"
    "{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{- raise_exception('user and assistant turns must alternate') }}{%- endif %}"
    "{%- if loop.first %}{%- set content = system + message['content'] %}"
    "{%- else %}{%- set content = message['content'] %}{%- endif %}"
    "{%- if message['role'] == 'user' %}"
    "{{- bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
    "{%- else %}{{- ' ' + content.strip() + ' ' + eos_token }}{%- endif %}"
    "{%- endfor %}";

constexpr std::string_view kMistralJinja =
    "{%- if messages[0]['role'] == 'system' %}"
    "{%- set system = messages[0]['content'] + '\\n\\n' %}{%- set turns = messages[1:] %}"
    "{%- else %}{%- set system = '' %}{%- set turns = messages %}{%- endif %}"
    "{{- bos_token }}"
    "{%- for message in turns %}"
    "{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{- raise_exception('user and assistant turns must alternate') }}{%- endif %}"
    "{%- if message['role'] == 'user' %}{{- '[INST] ' }}"
    "{%- if loop.first %}{{- system }}{%- endif %}{{- message['content'] + '[/INST]' }}"
    "{%- else %}{{- ' ' + message['content'] | trim + eos_token }}{%- endif %}"
    "{%- endfor %}";

struct Known {
  ChatTemplate::Style style;
  std::string_view name;
  std::string_view jinja;
  std::vector<std::string> marks;  // each must be one token; without the end of turn
};

const std::vector<Known>& KnownTemplates() {
  using Style = ChatTemplate::Style;
  static const std::vector<Known> known = {
      {Style::kChatMl, "chatml", kChatMlJinja, {"<|im_start|>"}},
      {Style::kLlama2, "llama2", kLlama2Jinja, {}},
      {Style::kLlama3, "llama3", kLlama3Jinja, {"<|start_header_id|>", "<|end_header_id|>"}},
      {Style::kMistral, "mistral", kMistralJinja, {}},
  };
  return known;
}

const Known& Of(ChatTemplate::Style style) {
  return *std::ranges::find(KnownTemplates(), style, &Known::style);
}

bool Has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// A chatml text with a default system prompt has it as one literal between the two marks. If the
// text only copies the conversation's system prompt, there are quotes and plus signs between them.
std::string ChatMlPreamble(std::string_view jinja) {
  constexpr std::string_view kOpen = "<|im_start|>system", kClose = "<|im_end|>";
  for (size_t at = 0; (at = jinja.find(kOpen, at)) != std::string_view::npos;) {
    at += kOpen.size();
    std::string_view rest = jinja.substr(at);
    rest = rest.substr(0, rest.find(kClose));
    if (rest.starts_with("\\n"))
      rest.remove_prefix(2);
    else if (rest.starts_with("\n"))
      rest.remove_prefix(1);
    else
      continue;
    if (rest.empty() || rest.size() == jinja.size() || Has(rest, "{{")) continue;
    if (rest.find_first_of("'\"") != std::string_view::npos) continue;
    return ReplaceAll(std::string(rest), "\\n", "\n");
  }
  return "";
}

// Returns "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n" with the text's own
// fallback date.
std::string Llama3Preamble(std::string_view jinja, const std::string& where) {
  constexpr std::string_view kCutting = "Cutting Knowledge Date: ", kSet = "set date_string = \"";
  const size_t cutting = jinja.find(kCutting);
  if (cutting == std::string_view::npos) return "";
  const std::string_view known_until = jinja.substr(cutting, jinja.find("\\n", cutting) - cutting);
  const size_t set = jinja.find(kSet);
  if (set == std::string_view::npos || known_until.size() > 80) {
    throw InputError(where,
                     ": its chat template puts a date into the prompt in a way that is not "
                     "known; name one of ",
                     Join(ChatTemplate::Names(), ", "), " with data.template");
  }
  const std::string_view date = jinja.substr(set + kSet.size());
  return Cat(known_until, "\nToday Date: ", date.substr(0, date.find('"')), "\n\n");
}

std::optional<ChatTemplate::Style> StyleOf(std::string_view jinja) {
  using Style = ChatTemplate::Style;
  if (Has(jinja, "<|im_start|>") && Has(jinja, "<|im_end|>") && !Has(jinja, "<|im_sep|>")) {
    return Style::kChatMl;
  }
  if (Has(jinja, "<|start_header_id|>") && Has(jinja, "<|eot_id|>")) return Style::kLlama3;
  if (Has(jinja, "[INST] ") && Has(jinja, "<<SYS>>")) return Style::kLlama2;
  // Mistral's older templates write " [/INST]", its newer ones "[INST]" without a space or
  // "[SYSTEM_PROMPT]". These give different tokens, so they must not match v0.3's.
  if (Has(jinja, "[INST] ") && Has(jinja, "[/INST]") && !Has(jinja, " [/INST]") &&
      !Has(jinja, "[SYSTEM_PROMPT]")) {
    return Style::kMistral;
  }
  return std::nullopt;
}

}  // namespace

const std::vector<std::string>& ChatTemplate::Names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Known& known : KnownTemplates()) all.emplace_back(known.name);
    return all;
  }();
  return names;
}

ChatTemplate ChatTemplate::Named(std::string_view name) {
  for (const Known& known : KnownTemplates()) {
    if (known.name == name) return ChatTemplate(known.style, "");
  }
  throw InputError("chat template '", name, "' is not known; use one of ", Join(Names(), ", "));
}

ChatTemplate ChatTemplate::Match(std::string_view jinja, const std::string& where) {
  const std::string mend = Cat("name one of ", Join(Names(), ", "), " with data.template");
  if (Strip(jinja).empty()) throw InputError(where, ": has no chat template; ", mend);
  const std::optional<Style> style = StyleOf(jinja);
  if (!style) throw InputError(where, ": its chat template is not one of the known ones; ", mend);
  switch (*style) {
    case Style::kChatMl:
      return ChatTemplate(*style, ChatMlPreamble(jinja));
    case Style::kLlama3:
      return ChatTemplate(*style, Llama3Preamble(jinja, where));
    default:
      return ChatTemplate(*style, "");
  }
}

ChatTemplate ChatTemplate::Resolve(std::string_view name_or_auto, const TokenizerSpec& spec,
                                   const std::string& where) {
  return name_or_auto == "auto" ? Match(spec.chat_template, where) : Named(name_or_auto);
}

std::string_view ChatTemplate::name() const { return Of(style_).name; }
std::string_view ChatTemplate::Jinja() const { return Of(style_).jinja; }

std::string ChatTemplate::EndOfTurn(const TokenizerSpec& spec) const {
  if (style_ == Style::kChatMl) return "<|im_end|>";
  if (style_ == Style::kLlama3) return "<|eot_id|>";
  return spec.eos < 0 ? "" : spec.pieces.at(spec.eos).text;
}

int32_t ChatTemplate::CheckMarks(const Tokenizer& tokenizer, const std::string& where) const {
  const std::string end = EndOfTurn(tokenizer.spec());
  if (end.empty()) {
    throw InputError(where, ": template '", name(),
                     "' ends a turn with the end token, which this "
                     "tokenizer does not have");
  }
  std::vector<std::string> marks = Of(style_).marks;
  marks.push_back(end);
  int32_t id = -1;
  for (const std::string& mark : marks) {
    const std::vector<int32_t> ids = tokenizer.Encode({Segment{mark, true}}, true);
    if (ids.size() != 1) {
      throw InputError(where, ": template '", name(), "' needs the token '", mark,
                       "', which this tokenizer does not have");
    }
    id = ids[0];
  }
  return id;
}

std::vector<ChatPiece> ChatTemplate::Render(const std::vector<Message>& messages,
                                            bool generation_prompt, const TokenizerSpec& spec,
                                            const std::string& where) const {
  CheckRoles(messages, style_ == Style::kLlama2 || style_ == Style::kMistral, where);
  switch (style_) {
    case Style::kChatMl:
      return RenderChatMl(messages, generation_prompt, preamble_);
    case Style::kLlama3:
      return RenderLlama3(messages, generation_prompt, preamble_);
    case Style::kLlama2:
      return RenderLlama2(messages, spec);
    case Style::kMistral:
      return RenderMistral(messages, spec);
  }
  RETORT_CHECK(false, "chat template of no style");
}

std::optional<std::vector<EncodedPiece>> EncodeChatPiecesAtMost(
    const Tokenizer& tokenizer, const ChatTemplate& chat, const std::vector<Message>& messages,
    bool generation_prompt, size_t limit, const std::string& where) {
  const TokenizerSpec& spec = tokenizer.spec();
  const bool bos = spec.bos >= 0 && (chat.writes_bos() || spec.add_bos);
  size_t left = limit;
  if (bos && left-- == 0) return std::nullopt;
  std::vector<EncodedPiece> out;
  for (const ChatPiece& piece : chat.Render(messages, generation_prompt, spec, where)) {
    auto ids = tokenizer.EncodeAtMost(piece.segments, !out.empty(), left);
    if (!ids) return std::nullopt;
    left -= ids->size();
    out.push_back({std::move(*ids), piece.reply});
  }
  if (bos) out.front().ids.insert(out.front().ids.begin(), spec.bos);
  return out;
}

std::optional<std::vector<int32_t>> EncodeChatAtMost(const Tokenizer& tokenizer,
                                                     const ChatTemplate& chat,
                                                     const std::vector<Message>& messages,
                                                     bool generation_prompt, size_t limit,
                                                     const std::string& where) {
  const auto pieces =
      EncodeChatPiecesAtMost(tokenizer, chat, messages, generation_prompt, limit, where);
  if (!pieces) return std::nullopt;
  std::vector<int32_t> ids;
  for (const EncodedPiece& p : *pieces) ids.insert(ids.end(), p.ids.begin(), p.ids.end());
  return ids;
}

std::vector<EncodedPiece> EncodeChatPieces(const Tokenizer& tokenizer, const ChatTemplate& chat,
                                           const std::vector<Message>& messages,
                                           bool generation_prompt, const std::string& where) {
  return *EncodeChatPiecesAtMost(tokenizer, chat, messages, generation_prompt, kNoLimit, where);
}

std::vector<int32_t> EncodeChat(const Tokenizer& tokenizer, const ChatTemplate& chat,
                                const std::vector<Message>& messages, bool generation_prompt,
                                const std::string& where) {
  return *EncodeChatAtMost(tokenizer, chat, messages, generation_prompt, kNoLimit, where);
}

}  // namespace retort
