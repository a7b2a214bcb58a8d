// SPDX-License-Identifier: Apache-2.0
#include "template/chat_template.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "template/chat_render.h"
#include "template/known_jinja.h"

namespace retort {
namespace {

struct Known {
  ChatTemplate::Style style;
  std::string_view name;
  std::vector<std::string> marks;  // each must be one token; without the end of turn
};

const std::vector<Known>& KnownTemplates() {
  using Style = ChatTemplate::Style;
  static const std::vector<Known> known = {
      {Style::kChatMl, "chatml", {"<|im_start|>"}},
      {Style::kLlama2, "llama2", {}},
      {Style::kLlama3, "llama3", {"<|start_header_id|>", "<|end_header_id|>"}},
      {Style::kMistral, "mistral", {}},
  };
  return known;
}

const Known& Of(ChatTemplate::Style style) {
  return *std::ranges::find(KnownTemplates(), style, &Known::style);
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

ChatTemplate ChatTemplate::Recorded(std::string_view name, std::string preamble) {
  ChatTemplate chat = Named(name);
  if (chat.style_ == Style::kChatMl || chat.style_ == Style::kLlama3)
    chat.preamble_ = std::move(preamble);
  return chat;
}

ChatTemplate ChatTemplate::Match(std::string_view jinja, const std::string& where) {
  const std::string mend = Cat("name one of ", Join(Names(), ", "),
                               " with data.template in a recipe or --template of a command");
  if (Strip(jinja).empty()) throw InputError(where, ": has no chat template; ", mend);
  const auto known = RecogniseJinja(jinja);
  if (!known) {
    throw InputError(where, ": its chat template is not one of those that are known to render as ",
                     Join(Names(), ", "), "; to use one of them all the same, ", mend);
  }
  return ChatTemplate(known->style, known->preamble);
}

bool ChatTemplate::Renders(std::string_view jinja) const {
  const auto known = RecogniseJinja(jinja);
  return known && known->exact && known->style == style_ && known->preamble == preamble_;
}

ChatTemplate ChatTemplate::Resolve(std::string_view name_or_auto, const TokenizerSpec& spec,
                                   const std::string& where) {
  return name_or_auto == "auto" ? Match(spec.chat_template, where) : Named(name_or_auto);
}

std::string_view ChatTemplate::name() const { return Of(style_).name; }
std::string ChatTemplate::Jinja() const { return JinjaTextOf(style_, preamble_); }

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
