// SPDX-License-Identifier: Apache-2.0
// A row's ids and labels.
#include "base/error.h"
#include "data/examples.h"

namespace retort {
namespace {

void Append(Example& example, const std::vector<int32_t>& ids, bool loss) {
  example.ids.insert(example.ids.end(), ids.begin(), ids.end());
  if (loss)
    example.labels.insert(example.labels.end(), ids.begin(), ids.end());
  else
    example.labels.resize(example.ids.size(), kNoLoss);
}

int32_t EndToken(const Tokenizer& tokenizer, const std::string& where) {
  if (tokenizer.spec().eos < 0) {
    throw InputError(where,
                     ": the tokenizer has no end token to put after the row; set "
                     "data.add_eos to false");
  }
  return tokenizer.spec().eos;
}

const ChatTemplate& RequireChat(const ChatTemplate* chat, const Row& row) {
  if (!chat) {
    throw InputError(row.where, ": rows of messages need a chat template; set data.template");
  }
  return *chat;
}

// With loss_on all, every token of a turn that can be left out must be known.
void CheckLearn(const Row& row, int64_t rewritten) {
  for (const Message& m : row.messages) {
    if (m.learn || (m.role == "assistant" && rewritten == 0)) continue;
    throw InputError(row.where,
                     ": with loss_on all, only an assistant's turn can be left out of the loss, ",
                     m.role == "assistant" ? "and none that the chat template rewrites"
                                           : Cat("not one by '", m.role, "'"));
  }
}

void CheckIds(const Row& row, int32_t vocab) {
  for (size_t i = 0; i < row.ids.size(); ++i) {
    if (row.ids[i] < 0 || row.ids[i] >= vocab) {
      throw InputError(row.where, ": 'input_ids' entry ", i + 1, " is ", row.ids[i],
                       ", outside the vocabulary of ", vocab);
    }
    if (row.labels[i] != kNoLoss && (row.labels[i] < 0 || row.labels[i] >= vocab)) {
      throw InputError(row.where, ": 'labels' entry ", i + 1, " is ", row.labels[i], ", neither ",
                       kNoLoss, " nor within the vocabulary of ", vocab);
    }
  }
}

// Collects the parts of a row as long as they fit.
class RowEncoder {
 public:
  RowEncoder(const Tokenizer& tokenizer, size_t limit) : tokenizer_(tokenizer), left_(limit) {}

  // Each returns whether the row still fits.
  bool Prompt(const std::string& text, bool loss) {
    return Add(tokenizer_.EncodePromptAtMost(text, left_), loss);
  }
  bool Answer(const std::string& text) {
    MarkAnswer();
    return Add(tokenizer_.EncodeAtMost(text, true, left_), true);
  }
  bool Add(std::optional<std::vector<int32_t>> ids, bool loss) {
    if (!ids || ids->size() > left_) return false;
    left_ -= ids->size();
    Append(example_, *ids, loss);
    return true;
  }
  // What follows is the first answer, if none was before.
  void MarkAnswer() {
    if (example_.answer == 0) example_.answer = example_.size();
  }
  void NoteRewritten(int64_t turns) { example_.rewritten = turns; }
  Example Take() { return std::move(example_); }
  size_t left() const { return left_; }

 private:
  const Tokenizer& tokenizer_;
  size_t left_;  // tokens
  Example example_;
};

bool AddMessages(const Row& row, const Tokenizer& tokenizer, const ChatTemplate& chat,
                 LossOn loss_on, RowEncoder& out) {
  const bool all = loss_on == LossOn::kAll;
  const auto encoded = EncodeChatPiecesAtMost(
      tokenizer, chat, ConversationOf(row, row.messages.size()), false, out.left(), row.where);
  if (!encoded) return false;
  if (all) CheckLearn(row, encoded->rewritten);
  out.NoteRewritten(encoded->rewritten);
  size_t turns = 0, learnt = 0;  // to be learnt; seen so far
  for (const EncodedPiece& piece : encoded->pieces) turns += piece.reply && piece.learn;
  for (const EncodedPiece& piece : encoded->pieces) {
    bool learn = piece.reply && piece.learn;
    learnt += learn;
    if (loss_on == LossOn::kLast) learn = learn && learnt == turns;
    if (learn) out.MarkAnswer();
    if (!out.Add(piece.ids, piece.reply ? learn : all)) return false;
  }
  return true;
}

}  // namespace

std::vector<int32_t> EncodeCompletion(const Tokenizer& tokenizer, std::string_view completion,
                                      bool add_eos) {
  std::vector<int32_t> ids = tokenizer.Encode(completion, true);
  if (add_eos) ids.push_back(EndToken(tokenizer, "completion"));
  return ids;
}

std::optional<Example> EncodeRowAtMost(const Row& row, const Tokenizer& tokenizer,
                                       const ChatTemplate* chat, const ExampleOptions& options,
                                       size_t limit) {
  RowEncoder out(tokenizer, limit);
  const bool all = options.loss_on == LossOn::kAll;
  const auto end = [&] {
    return !options.add_eos || out.Add({{EndToken(tokenizer, row.where)}}, true);
  };
  bool fits = true;
  switch (row.kind) {
    case RowFormat::kMessages:
      fits = AddMessages(row, tokenizer, RequireChat(chat, row), options.loss_on, out);
      break;
    case RowFormat::kPromptCompletion:
      fits = out.Prompt(row.prompt, all) && out.Answer(row.completion) && end();
      break;
    case RowFormat::kText:
      fits = out.Prompt(row.text, true) && end();
      break;
    case RowFormat::kTokens: {
      CheckIds(row, tokenizer.vocab_size());
      if (row.ids.size() > limit) return std::nullopt;
      Example example;
      example.ids = row.ids;
      example.labels = row.labels;
      return example;
    }
    default:
      RETORT_CHECK(false, "a row's kind is never auto or alpaca");
  }
  if (!fits) return std::nullopt;
  Example example = out.Take();
  if (options.loss_on == LossOn::kChoices && row.tools.empty()) {
    RETORT_CHECK(options.answer_check, "loss on choices without a schema");
    options.answer_check->LeaveForced(example);
  }
  return example;
}

Conversation ConversationOf(const Row& row, size_t count) {
  Conversation out(std::vector<Message>(row.messages.begin(),
                                        row.messages.begin() + static_cast<std::ptrdiff_t>(count)));
  out.tools = row.tools;
  out.variables = row.variables;
  return out;
}

Example EncodeRow(const Row& row, const Tokenizer& tokenizer, const ChatTemplate* chat,
                  const ExampleOptions& options) {
  return *EncodeRowAtMost(row, tokenizer, chat, options, kNoLimit);
}

std::vector<int32_t> EncodeRowPrompt(const Row& row, const Tokenizer& tokenizer,
                                     const ChatTemplate* chat) {
  switch (row.kind) {
    case RowFormat::kPromptCompletion:
      return tokenizer.EncodePrompt(row.prompt);
    case RowFormat::kText:
      return tokenizer.EncodePrompt(row.text);
    case RowFormat::kMessages: {
      const bool answered = !row.messages.empty() && row.messages.back().role == "assistant";
      return EncodeChat(tokenizer, RequireChat(chat, row),
                        ConversationOf(row, row.messages.size() - (answered ? 1 : 0)), true,
                        row.where);
    }
    default:
      throw InputError(row.where, ": rows of format tokens have no prompt of their own");
  }
}

}  // namespace retort
