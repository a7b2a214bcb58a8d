// SPDX-License-Identifier: Apache-2.0
// Named chat templates: format a conversation as the text that a model was trained on.
//
//   chatml   <|im_start|>ROLE\nCONTENT<|im_end|>\n ...                 (Qwen, SmolLM2, many more)
//   llama2   <s>[INST] <<SYS>>\nSYSTEM\n<</SYS>>\n\nUSER [/INST] ANSWER </s><s>[INST] ...
//   llama3   <|begin_of_text|><|start_header_id|>ROLE<|end_header_id|>\n\nCONTENT<|eot_id|> ...
//   mistral  <s>[INST] SYSTEM\n\nUSER[/INST] ANSWER</s>[INST] ...      (Mistral-7B-Instruct-v0.3)
//
// The output equals that of these families' original Jinja templates byte for byte, trimming
// included, with one exception. Mistral v0.3's template moves the system prompt to the newest user
// turn, which changes earlier turns as a conversation grows, so a training row would not begin like
// the runner's prompt. Here it stays in the first user turn.
//
// A named template is the plain form, without default system prompt or date. A model's Jinja
// template may add these, and Match() preserves them: the built-in system prompt of some chatml
// templates (Qwen2.5), and the preamble of Llama 3.1/3.2 with the template's fallback date (never
// today's, so that the same rows always give the same tokens). A Jinja text whose rendering is not
// known (Qwen3's, which removes and adds <think> sections) is refused.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace retort {

struct Message {
  std::string role;  // "system", "user" or "assistant"
  std::string content;
  // An assistant's turn that is to be learnt. False: it is only read.
  bool learn = true;
};

// A part of a rendered conversation. A reply is what the model has to generate: an assistant's
// content with its end-of-turn token, and nothing else.
struct ChatPiece {
  std::vector<Segment> segments;
  bool reply = false;
};

class ChatTemplate {
 public:
  enum class Style { kChatMl, kLlama2, kLlama3, kMistral };

  static const std::vector<std::string>& Names();
  // Throws Error{kInput} listing the known names.
  static ChatTemplate Named(std::string_view name);
  // The named template with the preamble that an adapter's record gives.
  static ChatTemplate Recorded(std::string_view name, std::string preamble);
  // The template that renders what a model's Jinja text renders (known_jinja.h). Throws
  // Error{kInput}, beginning with `where` ("models/x"), if the text is empty or not known.
  static ChatTemplate Match(std::string_view jinja, const std::string& where);
  // data.template: "auto" matches the tokenizer's Jinja text; anything else is a name.
  static ChatTemplate Resolve(std::string_view name_or_auto, const TokenizerSpec& spec,
                              const std::string& where);

  Style style() const { return style_; }
  std::string_view name() const;
  // Text that the model's template adds to the system prompt (chatml: uses if there is no system
  // prompt). Usually empty.
  const std::string& preamble() const { return preamble_; }

  // The text that ends an assistant's turn: "<|im_end|>", "<|eot_id|>", or the tokenizer's end
  // token.
  std::string EndOfTurn(const TokenizerSpec& spec) const;
  // Returns the id of EndOfTurn(). Throws Error{kInput} if a mark of this template is not a single
  // token of the tokenizer, since a model could then neither learn it nor stop at it.
  int32_t CheckMarks(const Tokenizer& tokenizer, const std::string& where) const;

  // The conversation's pieces, without the first BOS. Content never becomes markup. Rendering a
  // prefix that ends before an assistant's turn, with generation_prompt, gives the pieces with
  // which the whole conversation begins. Throws Error{kInput}, beginning with `where`, on an
  // unknown role, an empty conversation, or an order of roles that the template cannot express.
  std::vector<ChatPiece> Render(const std::vector<Message>& messages, bool generation_prompt,
                                const TokenizerSpec& spec, const std::string& where) const;

  // Whether the template itself writes a BOS (all but chatml).
  bool writes_bos() const { return style_ != Style::kChatMl; }

  // Jinja text that renders the same, preamble included, for the files of a model.
  std::string Jinja() const;
  // Whether this text is known to render every conversation as this template does.
  bool Renders(std::string_view jinja) const;

 private:
  ChatTemplate(Style style, std::string preamble) : style_(style), preamble_(std::move(preamble)) {}

  Style style_;
  std::string preamble_;
};

// Ids of a part of a conversation; parts are split where replies begin and end.
struct EncodedPiece {
  std::vector<int32_t> ids;
  bool reply = false;
};

// One BOS if the template or the tokenizer's files require it; then each piece is encoded
// separately, all but the first as continuations. Both trainer and runner use this function, so at
// every turn a training row begins with exactly the ids of the runner's prompt.
std::optional<std::vector<EncodedPiece>> EncodeChatPiecesAtMost(
    const Tokenizer& tokenizer, const ChatTemplate& chat, const std::vector<Message>& messages,
    bool generation_prompt, size_t limit, const std::string& where);
std::vector<EncodedPiece> EncodeChatPieces(const Tokenizer& tokenizer, const ChatTemplate& chat,
                                           const std::vector<Message>& messages,
                                           bool generation_prompt, const std::string& where);
// The same ids, concatenated; nullopt if there are more than `limit` (Tokenizer::EncodeAtMost).
std::optional<std::vector<int32_t>> EncodeChatAtMost(const Tokenizer& tokenizer,
                                                     const ChatTemplate& chat,
                                                     const std::vector<Message>& messages,
                                                     bool generation_prompt, size_t limit,
                                                     const std::string& where);
std::vector<int32_t> EncodeChat(const Tokenizer& tokenizer, const ChatTemplate& chat,
                                const std::vector<Message>& messages, bool generation_prompt,
                                const std::string& where);

}  // namespace retort
