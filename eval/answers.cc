// SPDX-License-Identifier: Apache-2.0
#include "eval/answers.h"

#include "base/error.h"

namespace retort {
namespace {

Answer AnswerOf(const Row& row) {
  if (row.wanted == false)
    throw InputError(row.where, ": its answer is one not to be given, so nothing can equal it");
  if (row.kind == RowFormat::kPromptCompletion) return {row.where, {}, row.completion, false};
  if (row.kind != RowFormat::kMessages) {
    throw InputError(row.where,
                     ": this metric needs rows of prompt and completion, or of messages");
  }
  if (row.messages.empty() || row.messages.back().role != "assistant") {
    throw InputError(
        row.where,
        ": the conversation does not end with the assistant, so there is no answer to compare with");
  }
  return {row.where, {}, row.messages.back().content, true};
}

// The ids that the model has to write for the conversation's last turn, behind the prompt.
std::vector<int32_t> LastTurn(const Row& row, const Tokenizer& tokenizer, const ChatTemplate& chat,
                              size_t prompt) {
  const EncodedChat encoded =
      EncodeChatPieces(tokenizer, chat, ConversationOf(row, row.messages.size()), false, row.where);
  size_t before = 0;
  for (const EncodedPiece& piece : encoded.pieces) {
    if (piece.reply && before == prompt) return piece.ids;
    before += piece.ids.size();
  }
  throw InputError(row.where,
                   ": the chat template writes the last turn otherwise than the model would, so "
                   "there is no answer to compare with");
}

void TakeWholeTurn(const Row& row, const Tokenizer& tokenizer, const ChatTemplate& chat,
                   Answer& answer) {
  std::vector<int32_t> turn = LastTurn(row, tokenizer, chat, answer.prompt.size());
  std::string text = tokenizer.Decode(turn);
  if (Strip(text) == Strip(answer.text)) return;
  answer.turn = std::move(turn);
  answer.text = std::move(text);
}

}  // namespace

std::vector<Answer> ReadAnswers(const Rows& rows, const Tokenizer& tokenizer,
                                const ChatTemplate* chat) {
  std::vector<Answer> answers;
  for (int64_t i = 0; i < rows.size(); ++i) {
    const Row row = rows.Read(i);
    Answer& answer = answers.emplace_back(AnswerOf(row));
    answer.prompt = EncodeRowPrompt(row, tokenizer, chat);
    if (answer.chat && !row.messages.back().more.empty())
      TakeWholeTurn(row, tokenizer, *chat, answer);
    if (answer.prompt.empty())
      throw InputError(row.where, ": the prompt is empty and the tokenizer adds no BOS");
  }
  return answers;
}

std::vector<int32_t> EncodeAnswer(const Answer& like, const std::string& text,
                                  const Tokenizer& tokenizer, const ChatTemplate* chat,
                                  bool add_eos) {
  if (!like.chat) return EncodeCompletion(tokenizer, text, add_eos);
  if (!like.turn.empty() && text == like.text) return like.turn;
  // A reply's ids do not depend on the question (EncodeChatPieces), so any question works.
  const std::vector<Message> messages = {{"user", "?"}, {"assistant", text}};
  std::vector<int32_t> ids;
  const EncodedChat encoded = EncodeChatPieces(tokenizer, *chat, messages, false, like.where);
  for (const EncodedPiece& piece : encoded.pieces) {
    if (piece.reply) ids = piece.ids;
  }
  return ids;
}

bool AnswerFits(const Answer& answer, int64_t answer_tokens, int64_t max_tokens,
                OverLength over_length) {
  const int64_t size = static_cast<int64_t>(answer.prompt.size()) + answer_tokens;
  if (size <= max_tokens) return true;
  if (over_length == OverLength::kDrop) return false;
  throw InputError(answer.where, ": prompt and answer have ", size, " tokens, over the limit of ",
                   max_tokens, "; raise --max-tokens or use --over-length drop");
}

SamplingOptions GreedyAnswers(const ChatTemplate* chat, const Tokenizer& tokenizer) {
  SamplingOptions sampling;
  if (chat) sampling.stop_ids.push_back(chat->CheckMarks(tokenizer, "the chat template"));
  return sampling;
}

}  // namespace retort
