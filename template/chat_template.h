// SPDX-License-Identifier: Apache-2.0
// Chat templates: format a conversation as the text that a model was trained on. A template is
// Jinja text (template/jinja/program.h): the model's own, or one of those that have a name:
//
//   chatml   <|im_start|>ROLE\nCONTENT<|im_end|>\n ...                 (Qwen, SmolLM2, many more)
//   llama2   <s>[INST] <<SYS>>\nSYSTEM\n<</SYS>>\n\nUSER [/INST] ANSWER </s><s>[INST] ...
//   llama3   <|begin_of_text|><|start_header_id|>ROLE<|end_header_id|>\n\nCONTENT<|eot_id|> ...
//   mistral  <s>[INST] SYSTEM\n\nUSER[/INST] ANSWER</s>[INST] ...      (Mistral-7B-Instruct-v0.3)
//
// The named ones are plain, without default system prompt or date; mistral's system prompt stays in
// the first user turn, where the model's own text moves it to the newest.
//
// A template that asks whether strftime_now is defined is told that it is not, so that it writes
// its own date; any other is always given 26 July 2024. So the same rows always give the same
// tokens.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "template/conversation.h"
#include "template/jinja/program.h"
#include "tokenizer/tokenizer.h"

namespace retort {

// A part of a rendered conversation. A reply is what the model has to generate: an assistant's
// content with its end-of-turn token, and nothing else.
struct ChatPiece {
  std::vector<Segment> segments;
  bool reply = false;
  bool learn = true;  // a reply's: Message::learn
};

struct RenderedChat {
  std::vector<ChatPiece> pieces;  // without the first BOS
  bool bos = false;               // whether the text begins with one
  // The assistant's turns that the template does not write as it would have asked for them (it
  // takes thoughts out of earlier turns, for example). They are no replies.
  int64_t rewritten = 0;
};

class ChatTemplate {
 public:
  static const std::vector<std::string>& Names();
  // Throws Error{kInput} listing the known names.
  static ChatTemplate Named(std::string_view name);
  // A named template with the default system prompt that an adapter's record gives.
  static ChatTemplate Recorded(std::string_view name, const std::string& preamble);
  // A model's own text. Throws Error{kInput}, beginning with `where` ("models/x"), if it is empty,
  // or naming the line and what is not known.
  static ChatTemplate Own(std::string_view jinja, const std::string& where);
  // data.template: "auto" is the tokenizer's Jinja text; anything else is a name.
  static ChatTemplate Resolve(std::string_view name_or_auto, const TokenizerSpec& spec,
                              const std::string& where);

  // "chatml", or "own" for a model's own.
  const std::string& name() const { return name_; }
  // The Jinja text, for the files of a model.
  const std::string& Jinja() const { return jinja_; }

  // The text that ends an assistant's turn, found by rendering one: "<|im_end|>", "</s>". "" if
  // there is none.
  std::string EndOfTurn(const TokenizerSpec& spec) const;
  // What it writes only when there are tools, from there on: how to call them, for instance. "" if
  // nothing.
  std::string ToolInstructions(const TokenizerSpec& spec) const;
  // False: it writes no calls of tools. If its instructions tell how to call, earlier calls are put
  // into the content, as the model writes them (calls/call_writer.h).
  bool MentionsCalls() const;
  // Returns the id of EndOfTurn(). Throws Error{kInput} if that, or a mark of a named template, is
  // not a single token of the tokenizer, since a model could then neither learn it nor stop at it.
  int32_t CheckMarks(const Tokenizer& tokenizer, const std::string& where) const;

  // The conversation's pieces. What a user wrote never becomes markup. Replies are what the
  // template's generation blocks mark; where it has none, an assistant's turn is a reply if the
  // text before it, with a generation prompt, is what the whole text begins with. Throws
  // Error{kInput}, beginning with `where`, on a conversation that is empty or that the template
  // refuses or writes only in part, and if the last of the assistant's turns that are to be learnt
  // is no reply.
  RenderedChat Render(const Conversation& conversation, bool generation_prompt,
                      const TokenizerSpec& spec, const std::string& where) const;
  // Only the text, first BOS included.
  jinja::Text RenderText(const Conversation& conversation, bool generation_prompt,
                         const TokenizerSpec& spec, const std::string& where) const;

 private:
  ChatTemplate(std::string name, std::string jinja, const std::string& where);
  jinja::Text RenderTurns(const class ChatInput& input, size_t count, bool generation_prompt,
                          const std::string& where) const;
  std::string Called() const;
  // What the template writes behind an answer that EndOfTurn() looks for.
  std::optional<std::string> BehindAnswer(const Conversation& turns,
                                          const TokenizerSpec& spec) const;
  // The conversation as this template wants it.
  Conversation Adapted(Conversation conversation, const TokenizerSpec& spec,
                       const std::string& where) const;

  std::string name_, jinja_;
  jinja::Program program_;
};

// Ids of a part of a conversation; parts are split where replies begin and end.
struct EncodedPiece {
  std::vector<int32_t> ids;
  bool reply = false;
  bool learn = true;
};
struct EncodedChat {
  std::vector<EncodedPiece> pieces;
  int64_t rewritten = 0;  // RenderedChat::rewritten
};

// One BOS if the template or the tokenizer's files require it; then each piece is encoded
// separately, all but the first as continuations. Both trainer and runner use this function, so at
// every turn that is a reply a training row begins with exactly the ids of the runner's prompt.
std::optional<EncodedChat> EncodeChatPiecesAtMost(const Tokenizer& tokenizer,
                                                  const ChatTemplate& chat,
                                                  const Conversation& conversation,
                                                  bool generation_prompt, size_t limit,
                                                  const std::string& where);
EncodedChat EncodeChatPieces(const Tokenizer& tokenizer, const ChatTemplate& chat,
                             const Conversation& conversation, bool generation_prompt,
                             const std::string& where);
// The same ids, concatenated; nullopt if there are more than `limit` (Tokenizer::EncodeAtMost).
std::optional<std::vector<int32_t>> EncodeChatAtMost(const Tokenizer& tokenizer,
                                                     const ChatTemplate& chat,
                                                     const Conversation& conversation,
                                                     bool generation_prompt, size_t limit,
                                                     const std::string& where);
std::vector<int32_t> EncodeChat(const Tokenizer& tokenizer, const ChatTemplate& chat,
                                const Conversation& conversation, bool generation_prompt,
                                const std::string& where);

}  // namespace retort
