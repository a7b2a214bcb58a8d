// SPDX-License-Identifier: Apache-2.0
#include "template/chat_render.h"

#include <algorithm>

#include "base/error.h"

namespace retort {
namespace {

// Concatenates segments; a reply becomes a separate piece.
class Layout {
 public:
  Layout& Markup(std::string_view text) { return Add(text, true); }
  Layout& Content(std::string_view text) { return Add(text, false); }

  void Reply(std::string_view before, std::string_view content, std::string_view after) {
    ChatPiece piece;
    piece.reply = true;
    std::swap(piece, open_);
    Close(std::move(piece));
    Markup(before).Content(content).Markup(after);
    Close(std::move(open_));
    open_ = {};
  }

  std::vector<ChatPiece> Finish() {
    Close(std::move(open_));
    return std::move(pieces_);
  }

 private:
  Layout& Add(std::string_view text, bool markup) {
    if (!text.empty()) open_.segments.push_back({std::string(text), markup});
    return *this;
  }
  void Close(ChatPiece piece) {
    if (!piece.segments.empty()) pieces_.push_back(std::move(piece));
  }

  std::vector<ChatPiece> pieces_;
  ChatPiece open_;
};

std::string_view StripRight(std::string_view text) {
  // The "x" protects white space at the left end.
  return text.substr(0, StripUnicode(Cat("x", text)).size() - 1);
}

const std::string& EndToken(const TokenizerSpec& spec) {
  if (spec.eos < 0) {
    throw InputError(
        "this chat template ends a turn with the end token, which the tokenizer does not have");
  }
  return spec.pieces.at(spec.eos).text;
}

// The size in bytes of the white-space character that text begins (or, from_end, ends) with; 0 if
// none. White space as in Python's str.isspace: ASCII's, 1C-1F, 85, A0, 1680, 2000-200A, 2028,
// 2029, 202F, 205F, 3000.
size_t SpaceLength(std::string_view text, bool from_end) {
  const auto is_space = [](std::string_view s) {
    const auto byte = [&](size_t i) { return static_cast<unsigned char>(s[i]); };
    if (s.size() == 1) return (byte(0) >= 9 && byte(0) <= 13) || (byte(0) >= 0x1c && byte(0) <= 32);
    if (s.size() == 2) return s == "\xc2\x85" || s == "\xc2\xa0";
    if (s == "\xe1\x9a\x80" || s == "\xe2\x81\x9f" || s == "\xe3\x80\x80") return true;
    if (!s.starts_with("\xe2\x80")) return false;
    return (byte(2) >= 0x80 && byte(2) <= 0x8a) || byte(2) == 0xa8 || byte(2) == 0xa9 ||
           byte(2) == 0xaf;
  };
  for (size_t n = 1; n <= 3 && n <= text.size(); ++n) {
    if (is_space(from_end ? text.substr(text.size() - n) : text.substr(0, n))) return n;
  }
  return 0;
}

}  // namespace

std::string_view StripUnicode(std::string_view text) {
  while (const size_t n = SpaceLength(text, false)) text.remove_prefix(n);
  while (const size_t n = SpaceLength(text, true)) text.remove_suffix(n);
  return text;
}

void CheckRoles(const std::vector<Message>& messages, bool alternating, const std::string& where) {
  if (messages.empty()) throw InputError(where, ": the conversation has no messages");
  for (const Message& m : messages) {
    if (m.role != "system" && m.role != "user" && m.role != "assistant") {
      throw InputError(where, ": role '", m.role, "' is not known; use system, user or assistant");
    }
  }
  if (!alternating) return;
  const size_t first = messages[0].role == "system" ? 1 : 0;
  for (size_t i = first; i < messages.size(); ++i) {
    const std::string_view want = (i - first) % 2 == 0 ? "user" : "assistant";
    if (messages[i].role != want) {
      throw InputError(where, ": message ", i + 1, " is by '", messages[i].role,
                       "'; after an "
                       "optional system prompt this template needs user and assistant in turn");
    }
  }
  if (messages.size() == first) {
    throw InputError(where,
                     ": a system prompt alone cannot be written with this template; it needs "
                     "a user's message too");
  }
}

std::vector<ChatPiece> RenderChatMl(const std::vector<Message>& messages, bool generation_prompt,
                                    const std::string& preamble) {
  Layout out;
  const auto turn = [&](const std::string& role, const std::string& content) {
    out.Markup(Cat("<|im_start|>", role, "\n"));
    if (role == "assistant")
      out.Reply("", content, "<|im_end|>");
    else
      out.Content(content).Markup("<|im_end|>");
    out.Markup("\n");
  };
  if (!preamble.empty() && messages[0].role != "system") turn("system", preamble);
  for (const Message& m : messages) turn(m.role, m.content);
  if (generation_prompt) out.Markup("<|im_start|>assistant\n");
  return out.Finish();
}

std::vector<ChatPiece> RenderLlama3(const std::vector<Message>& messages, bool generation_prompt,
                                    const std::string& preamble) {
  Layout out;
  const auto turn = [&](const std::string& role, const std::string& before,
                        std::string_view content) {
    out.Markup(Cat("<|start_header_id|>", role, "<|end_header_id|>\n\n")).Content(before);
    if (role == "assistant")
      out.Reply("", content, "<|eot_id|>");
    else
      out.Content(content).Markup("<|eot_id|>");
  };
  if (!preamble.empty() && messages[0].role != "system") turn("system", preamble, "");
  for (size_t i = 0; i < messages.size(); ++i) {
    const bool first_system = i == 0 && messages[i].role == "system";
    turn(messages[i].role, first_system ? preamble : "", StripUnicode(messages[i].content));
  }
  if (generation_prompt) out.Markup("<|start_header_id|>assistant<|end_header_id|>\n\n");
  return out.Finish();
}

std::vector<ChatPiece> RenderLlama2(const std::vector<Message>& messages,
                                    const TokenizerSpec& spec) {
  Layout out;
  const bool has_system = messages[0].role == "system";
  const std::string bos = spec.bos < 0 ? "" : spec.pieces.at(spec.bos).text;
  const size_t first = has_system ? 1 : 0;
  for (size_t i = first; i < messages.size(); ++i) {
    const std::string& content = messages[i].content;
    if (messages[i].role == "assistant") {
      out.Reply(" ", StripUnicode(content), Cat(" ", EndToken(spec)));
      continue;
    }
    if (i > first) out.Markup(bos);  // the caller adds the first one
    out.Markup("[INST] ");
    if (i == first && has_system) {
      // System prompt and message are trimmed together, as one text.
      const std::string_view rest = StripRight(content);
      out.Markup("<<SYS>>\n").Content(messages[0].content).Markup("\n<</SYS>>");
      if (!rest.empty()) out.Markup("\n\n").Content(rest);
    } else {
      out.Content(StripUnicode(content));
    }
    out.Markup(" [/INST]");
  }
  return out.Finish();
}

std::vector<ChatPiece> RenderMistral(const std::vector<Message>& messages,
                                     const TokenizerSpec& spec) {
  Layout out;
  const bool has_system = messages[0].role == "system";
  const size_t first = has_system ? 1 : 0;
  for (size_t i = first; i < messages.size(); ++i) {
    if (messages[i].role == "assistant") {
      out.Reply(" ", StripUnicode(messages[i].content), EndToken(spec));
      continue;
    }
    out.Markup("[INST] ");
    if (i == first && has_system) out.Content(messages[0].content).Content("\n\n");
    out.Content(messages[i].content).Markup("[/INST]");
  }
  return out.Finish();
}

}  // namespace retort
