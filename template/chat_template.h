// SPDX-License-Identifier: Apache-2.0
// Named chat templates: how a conversation becomes the text that a model was made for.
//
//   chatml   <|im_start|>ROLE\nCONTENT<|im_end|>\n ...                 (Qwen, SmolLM2 and many
//   more) llama2   <s>[INST] <<SYS>>\nSYSTEM\n<</SYS>>\n\nUSER [/INST] ANSWER </s><s>[INST] ...
//   llama3   <|begin_of_text|><|start_header_id|>ROLE<|end_header_id|>\n\nCONTENT<|eot_id|> ...
//   mistral  <s>[INST] SYSTEM\n\nUSER[/INST] ANSWER</s>[INST] ...      (Mistral-7B-Instruct-v0.3)
//
// They render byte for byte what the stock Jinja texts of these families render, trimming included,
// with one exception: v0.3's own text moves the system prompt to the newest user turn, so that a
// conversation changes behind its own back and a training row could not begin as the runner's
// prompt does; ours stays in the first user turn.
//
// A named template is the plain one: no default system prompt, no date. A model's own Jinja text
// may add one, and Match() keeps it: chatml texts with a built-in system prompt (Qwen2.5's), and
// Llama 3.1/3.2's preamble with the date that their text falls back to (never today's: the same
// rows give the same tokens on every day).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace retort {

struct Message {
  std::string role;  // "system", "user" or "assistant"
  std::string content;
};

// A stretch of a rendered conversation. A reply is what the model has to say itself: an assistant's
// content with its end-of-turn token, and nothing else.
struct ChatPiece {
  std::vector<Segment> segments;
  bool reply = false;
};

class ChatTemplate {
 public:
  enum class Style { kChatMl, kLlama2, kLlama3, kMistral };

  static const std::vector<std::string>& Names();
  // Throws Error{kInput} naming the known ones.
  static ChatTemplate Named(std::string_view name);
  // The template that a model's own Jinja text is, told by its characteristic marks. `where` begins
  // the error ("models/x"). Throws Error{kInput} when there is no text or it is not a known one.
  static ChatTemplate Match(std::string_view jinja, const std::string& where);
  // data.template: "auto" matches the tokenizer's own text, anything else is a name.
  static ChatTemplate Resolve(std::string_view name_or_auto, const TokenizerSpec& spec,
                              const std::string& where);

  Style style() const { return style_; }
  std::string_view name() const;
  // What the model's own text puts into (chatml: in place of an absent) system prompt; mostly
  // empty.
  const std::string& preamble() const { return preamble_; }

  // Text that ends an assistant's turn: "<|im_end|>", "<|eot_id|>", or the tokenizer's end token.
  std::string EndOfTurn(const TokenizerSpec& spec) const;
  // Throws Error{kInput} where the tokenizer lacks a mark of this template as one token, so that it
  // could neither learn nor stop at it. Returns the id of EndOfTurn().
  int32_t CheckMarks(const Tokenizer& tokenizer, const std::string& where) const;

  // The conversation's pieces, without the first BOS. Content never becomes markup. Rendering a
  // prefix that ends before an assistant's turn, with generation_prompt, gives the pieces that the
  // whole conversation begins with. Throws Error{kInput} beginning with `where` on an unknown role,
  // an empty conversation, or an order of roles that the template cannot express.
  std::vector<ChatPiece> Render(const std::vector<Message>& messages, bool generation_prompt,
                                const TokenizerSpec& spec, const std::string& where) const;

  // Whether the template itself writes a BOS (all but chatml).
  bool writes_bos() const { return style_ != Style::kChatMl; }

  // Jinja text that renders as the plain template does, for a file whose model had none.
  std::string_view Jinja() const;

 private:
  ChatTemplate(Style style, std::string preamble) : style_(style), preamble_(std::move(preamble)) {}

  Style style_;
  std::string preamble_;
};

// A conversation as ids, cut where replies begin and end.
struct EncodedPiece {
  std::vector<int32_t> ids;
  bool reply = false;
};

// BOS where the template or the tokenizer's own files want one, once; then each piece by itself,
// the later ones as continuations. Trainer and runner both come through here, so a training row
// begins with exactly the ids that the runner makes of its prompt, at every turn.
std::vector<EncodedPiece> EncodeChatPieces(const Tokenizer& tokenizer, const ChatTemplate& chat,
                                           const std::vector<Message>& messages,
                                           bool generation_prompt, const std::string& where);
// The same, laid end to end.
std::vector<int32_t> EncodeChat(const Tokenizer& tokenizer, const ChatTemplate& chat,
                                const std::vector<Message>& messages, bool generation_prompt,
                                const std::string& where);

}  // namespace retort
