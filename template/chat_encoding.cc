// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "template/chat_template.h"

namespace retort {

std::optional<EncodedChat> EncodeChatPiecesAtMost(const Tokenizer& tokenizer,
                                                  const ChatTemplate& chat,
                                                  const Conversation& conversation,
                                                  bool generation_prompt, size_t limit,
                                                  const std::string& where) {
  const RenderedChat rendered =
      chat.Render(conversation, generation_prompt, tokenizer.spec(), where);
  const bool bos = rendered.bos || tokenizer.puts_bos();
  size_t left = limit;
  if (bos && left-- == 0) return std::nullopt;
  EncodedChat out;
  out.rewritten = rendered.rewritten;
  for (const ChatPiece& piece : rendered.pieces) {
    auto ids = tokenizer.EncodeAtMost(piece.segments, !out.pieces.empty(), left);
    if (!ids) return std::nullopt;
    left -= ids->size();
    out.pieces.push_back({std::move(*ids), piece.reply, piece.learn});
  }
  if (!bos) return out;
  if (out.pieces.empty()) out.pieces.emplace_back();
  out.pieces.front().ids.insert(out.pieces.front().ids.begin(), tokenizer.spec().bos);
  return out;
}

std::optional<std::vector<int32_t>> EncodeChatAtMost(const Tokenizer& tokenizer,
                                                     const ChatTemplate& chat,
                                                     const Conversation& conversation,
                                                     bool generation_prompt, size_t limit,
                                                     const std::string& where) {
  const auto encoded =
      EncodeChatPiecesAtMost(tokenizer, chat, conversation, generation_prompt, limit, where);
  if (!encoded) return std::nullopt;
  std::vector<int32_t> ids;
  for (const EncodedPiece& p : encoded->pieces) ids.insert(ids.end(), p.ids.begin(), p.ids.end());
  return ids;
}

EncodedChat EncodeChatPieces(const Tokenizer& tokenizer, const ChatTemplate& chat,
                             const Conversation& conversation, bool generation_prompt,
                             const std::string& where) {
  return *EncodeChatPiecesAtMost(tokenizer, chat, conversation, generation_prompt, kNoLimit, where);
}

std::vector<int32_t> EncodeChat(const Tokenizer& tokenizer, const ChatTemplate& chat,
                                const Conversation& conversation, bool generation_prompt,
                                const std::string& where) {
  return *EncodeChatAtMost(tokenizer, chat, conversation, generation_prompt, kNoLimit, where);
}

}  // namespace retort
