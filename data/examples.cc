// SPDX-License-Identifier: Apache-2.0
#include "data/examples.h"

#include <algorithm>

#include "base/error.h"
#include "data/audit.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

template <class Enum, size_t N>
Enum ParseName(std::string_view what, std::string_view name,
               const std::pair<std::string_view, Enum> (&known)[N]) {
  std::vector<std::string> names;
  for (const auto& [text, value] : known) {
    if (text == name) return value;
    names.emplace_back(text);
  }
  throw InputError(what, " '", name, "' is not known; use one of ", Join(names, ", "));
}

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

// Every template writes one reply for each of the assistant's messages, in their order.
void AppendConversation(const Row& row, const Tokenizer& tokenizer, const ChatTemplate& chat,
                        bool all, Example& out) {
  std::vector<bool> learn;
  for (const Message& m : row.messages) {
    if (m.role == "assistant") {
      learn.push_back(m.learn);
    } else if (all && !m.learn) {
      throw InputError(row.where,
                       ": with loss_on all, only an assistant's turn can be left out of the loss, "
                       "not one by '",
                       m.role, "'");
    }
  }
  size_t reply = 0;
  for (const EncodedPiece& piece :
       EncodeChatPieces(tokenizer, chat, row.messages, false, row.where)) {
    if (piece.reply) RETORT_CHECK(reply < learn.size(), "more replies than assistant turns");
    Append(out, piece.ids, piece.reply ? learn[reply++] : all);
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

// Applies max_tokens to a row; returns its parts, none if the row is dropped.
std::vector<Example> Fit(Example example, const std::string& where, const ExampleOptions& options,
                         ExampleSet& set) {
  const int64_t limit = options.max_tokens;
  if (example.size() <= limit) return {std::move(example)};
  switch (options.over_length) {
    case OverLength::kError:
      throw InputError(where, ": has ", example.size(), " tokens, over the limit of ", limit,
                       options.model_limit ? ", the model's positions; "
                                           : Cat("; raise ", options.max_tokens_name, " or "),
                       "set ", options.over_length_name, " to drop, truncate or split");
    case OverLength::kDrop:
      ++set.dropped;
      return {};
    case OverLength::kTruncate:
      ++set.truncated;
      example.ids.resize(limit);
      example.labels.resize(limit);
      return {std::move(example)};
    case OverLength::kSplit:
      break;
  }
  ++set.split;
  std::vector<Example> parts;
  for (int64_t begin = 0; begin + 1 < example.size(); begin += limit - 1) {
    const int64_t end = std::min(begin + limit, example.size());
    Example part{example.row,
                 {example.ids.begin() + begin, example.ids.begin() + end},
                 {example.labels.begin() + begin, example.labels.begin() + end}};
    part.labels[0] = kNoLoss;  // predicted in the previous part
    if (part.LossTokens() > 0) parts.push_back(std::move(part));
  }
  // A row without any loss is returned once, so that the caller can report it.
  if (parts.empty()) {
    example.ids.resize(limit);
    example.labels.resize(limit);
    parts.push_back(std::move(example));
  }
  return parts;
}

void AddCounts(ExampleSet& set, int64_t max_tokens) {
  const auto note = [&](int64_t count, std::string_view what) {
    if (count) {
      set.notes.push_back(
          Cat(count, " of ", set.rows, " rows are over ", max_tokens, " tokens and were ", what));
    }
  };
  note(set.dropped, "left out");
  note(set.truncated, "cut short");
  note(set.split, "split");
}

}  // namespace

int64_t Example::LossTokens() const {
  if (labels.empty()) return 0;
  return static_cast<int64_t>(labels.size() - 1) -
         std::count(labels.begin() + 1, labels.end(), kNoLoss);
}

LossOn ParseLossOn(std::string_view name) {
  static constexpr std::pair<std::string_view, LossOn> kKnown[] = {
      {"completion", LossOn::kCompletion}, {"all", LossOn::kAll}};
  return ParseName("loss_on", name, kKnown);
}

OverLength ParseOverLength(std::string_view name) {
  static constexpr std::pair<std::string_view, OverLength> kKnown[] = {
      {"error", OverLength::kError},
      {"drop", OverLength::kDrop},
      {"truncate", OverLength::kTruncate},
      {"split", OverLength::kSplit}};
  return ParseName("over_length", name, kKnown);
}

Audit ParseAudit(std::string_view name) {
  static constexpr std::pair<std::string_view, Audit> kKnown[] = {
      {"stop", Audit::kStop}, {"warn", Audit::kWarn}, {"off", Audit::kOff}};
  return ParseName("audit", name, kKnown);
}

std::vector<int32_t> EncodeCompletion(const Tokenizer& tokenizer, std::string_view completion,
                                      bool add_eos) {
  std::vector<int32_t> ids = tokenizer.Encode(completion, true);
  if (add_eos) ids.push_back(EndToken(tokenizer, "completion"));
  return ids;
}

Example EncodeRow(const Row& row, const Tokenizer& tokenizer, const ChatTemplate* chat,
                  const ExampleOptions& options) {
  Example out;
  const bool all = options.loss_on == LossOn::kAll;
  const auto end = [&] {
    if (options.add_eos) Append(out, {EndToken(tokenizer, row.where)}, true);
  };
  switch (row.kind) {
    case RowFormat::kMessages:
      AppendConversation(row, tokenizer, RequireChat(chat, row), all, out);
      break;
    case RowFormat::kPromptCompletion:
      Append(out, tokenizer.EncodePrompt(row.prompt), all);
      Append(out, EncodeCompletion(tokenizer, row.completion, false), true);
      end();
      break;
    case RowFormat::kText:
      Append(out, tokenizer.EncodePrompt(row.text), true);
      end();
      break;
    case RowFormat::kTokens:
      CheckIds(row, tokenizer.vocab_size());
      out.ids = row.ids;
      out.labels = row.labels;
      break;
    default:
      RETORT_CHECK(false, "a row's kind is never auto or alpaca");
  }
  return out;
}

std::vector<int32_t> EncodeRowPrompt(const Row& row, const Tokenizer& tokenizer,
                                     const ChatTemplate* chat) {
  switch (row.kind) {
    case RowFormat::kPromptCompletion:
      return tokenizer.EncodePrompt(row.prompt);
    case RowFormat::kText:
      return tokenizer.EncodePrompt(row.text);
    case RowFormat::kMessages: {
      std::vector<Message> before = row.messages;
      const auto last = std::find_if(before.rbegin(), before.rend(),
                                     [](const Message& m) { return m.role == "assistant"; });
      if (last != before.rend()) before.erase(last.base() - 1, before.end());
      return EncodeChat(tokenizer, RequireChat(chat, row), before, true, row.where);
    }
    default:
      throw InputError(row.where, ": rows of format tokens have no prompt of their own");
  }
}

ExampleSet MakeExamples(const Rows& rows, const Tokenizer& tokenizer, const ChatTemplate* chat,
                        const ExampleOptions& options) {
  if (options.max_tokens < 2) throw InputError("data.max_tokens must be at least 2");
  ExampleSet set;
  set.rows = rows.size();
  Auditor auditor(tokenizer, options);
  for (int64_t i = 0; i < rows.size(); ++i) {
    const Row row = rows.Read(i);
    Example example = EncodeRow(row, tokenizer, chat, options);
    example.row = i;
    if (example.ids.empty()) throw InputError(row.where, ": the row is empty");
    const bool had_loss = example.LossTokens() > 0;
    auditor.Add(row, example);
    for (Example& part : Fit(std::move(example), row.where, options, set)) {
      const int64_t loss = part.LossTokens();
      if (loss == 0) {
        ++set.without_loss;
        auditor.NoLoss(row, had_loss);
        if (row.kind != RowFormat::kTokens) continue;
      }
      set.tokens += part.size();
      set.loss_tokens += loss;
      set.examples.push_back(std::move(part));
    }
  }
  auditor.Judge(set.notes);
  if (const std::string note = rows.UnreadNote(); !note.empty()) set.notes.push_back(note);
  AddCounts(set, options.max_tokens);
  if (set.examples.empty()) {
    throw InputError(rows.Where(0), ": no row is left to train on: of ", set.rows, ", ",
                     set.dropped, " are over ", options.max_tokens, " tokens and ",
                     set.without_loss, " carry no loss");
  }
  return set;
}

namespace {

// Makes the text valid UTF-8: tokens may end inside a character, and rows of ids may give any
// bytes.
std::string ValidUtf8(std::string_view bytes) {
  std::string out;
  for (size_t at = 0; at < bytes.size();) {
    const Utf8Char c = DecodeUtf8(bytes, at);
    AppendUtf8(c.valid ? c.code : U'\uFFFD', &out);
    at += static_cast<size_t>(c.size);
  }
  return out;
}

}  // namespace

std::string ShowExample(const Example& example, const Tokenizer& tokenizer) {
  std::string out;
  bool marked = false;
  for (size_t i = 0; i < example.ids.size(); ++i) {
    const bool loss = i > 0 && example.labels[i] != kNoLoss;
    if (loss != marked) out += loss ? "⟦" : "⟧";
    marked = loss;
    out += tokenizer.Bytes(example.ids[i], true);
  }
  return ValidUtf8(marked ? out + "⟧" : out);
}

}  // namespace retort
