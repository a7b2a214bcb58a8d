// SPDX-License-Identifier: Apache-2.0
#include <sentencepiece_trainer.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/error.h"
#include "base/json.h"
#include "tokenizer/sentencepiece_file.h"
#include "tokenizer/tokenizer.h"

namespace retort {
namespace {

constexpr int kReservedPieces = 3 + 256;  // <unk>, <s>, </s> and the bytes
constexpr int kDigitPairs = 100;

// Iterates over the lines of texts for the library.
class Lines : public sentencepiece::SentenceIterator {
 public:
  explicit Lines(const std::vector<std::string>& texts) : texts_(texts) { Next(); }
  bool done() const override { return done_; }
  const std::string& value() const override { return line_; }
  sentencepiece::util::Status status() const override { return {}; }

  void Next() override {
    for (; text_ < texts_.size(); ++text_, pos_ = 0) {
      const std::string& text = texts_[text_];
      while (pos_ < text.size()) {
        const size_t end = std::min(text.find('\n', pos_), text.size());
        line_.assign(text, pos_, end - pos_);
        pos_ = end + 1;
        if (!line_.empty()) return;
      }
    }
    done_ = true;
  }

 private:
  const std::vector<std::string>& texts_;
  size_t text_ = 0, pos_ = 0;
  std::string line_;
  bool done_ = false;
};

// A comma-separated list in the library's format; symbols are quoted if necessary.
std::string List(const std::vector<std::string>& symbols) {
  std::vector<std::string> quoted;
  for (const std::string& symbol : symbols) {
    if (symbol.empty()) throw InputError("tokenizer train: a symbol is empty");
    quoted.push_back(symbol.find_first_of(",\"") == symbol.npos
                         ? symbol
                         : Cat("\"", ReplaceAll(symbol, "\"", "\"\""), "\""));
  }
  return Join(quoted, ",");
}

std::unordered_map<std::string, std::string> Settings(const SentencePieceTraining& options,
                                                      size_t longest_line) {
  std::unordered_map<std::string, std::string> settings = {
      {"model_type", options.bpe ? "bpe" : "unigram"},
      {"vocab_size", Cat(options.vocab - (options.digits == 2 ? kDigitPairs : 0))},
      {"hard_vocab_limit", "true"},
      {"byte_fallback", "true"},
      {"split_digits", "true"},
      {"allow_whitespace_only_pieces", "true"},
      {"normalization_rule_name", "identity"},
      {"remove_extra_whitespaces", "false"},
      {"add_dummy_prefix", "true"},
      {"unk_id", "0"},
      {"bos_id", "1"},
      {"eos_id", "2"},
      {"pad_id", "-1"},
      // Deterministic: all lines, in order, in one thread.
      {"num_threads", "1"},
      {"shuffle_input_sentence", "false"},
      {"input_sentence_size", "0"},
      {"max_sentence_length", Cat(longest_line + 1)},
      {"minloglevel", "4"},
  };
  if (!options.control_symbols.empty()) settings["control_symbols"] = List(options.control_symbols);
  if (!options.user_symbols.empty()) settings["user_defined_symbols"] = List(options.user_symbols);
  return settings;
}

Json TokenizerConfig() {
  return {{"add_bos_token", true},
          {"add_eos_token", false},
          {"bos_token", "<s>"},
          {"eos_token", "</s>"},
          {"unk_token", "<unk>"},
          {"legacy", false},
          {"tokenizer_class", "LlamaTokenizer"}};
}

// Appends the pairs 00 ... 99 to the vocabulary. The trainer never joins digits with other
// characters, so no other piece competes with them. With equal scores the leftmost pair is merged
// first, as in llama.cpp.
std::string WithDigitPairs(TokenizerSpec spec) {
  double least = 0;
  for (const auto& piece : spec.pieces) least = std::min(least, piece.score);
  for (int pair = 0; pair < kDigitPairs; ++pair) {
    spec.pieces.push_back(
        {Cat(pair / 10, pair % 10), least - 1, TokenizerSpec::PieceType::kNormal});
  }
  return WriteSentencePieceModel(spec, /*add_dummy_prefix=*/true);
}

// The useful end of "./src/trainer_interface.cc(660) [condition] Message for the user."
std::string_view Advice(std::string_view message) {
  const size_t at = message.rfind("] ");
  return at == message.npos || at + 2 == message.size() ? message : message.substr(at + 2);
}

}  // namespace

void TrainSentencePiece(const std::vector<std::string>& texts, const SentencePieceTraining& options,
                        const Path& folder) {
  if (options.digits != 1 && !(options.digits == 2 && options.bpe)) {
    throw InputError("tokenizer train: digits are 1, or 2 in a bpe vocabulary");
  }
  const size_t reserved = kReservedPieces + options.control_symbols.size() +
                          options.user_symbols.size() + (options.digits == 2 ? kDigitPairs : 0);
  if (options.vocab < 0 || static_cast<size_t>(options.vocab) <= reserved) {
    throw InputError("tokenizer train: vocab ", options.vocab, " leaves no room beside the ",
                     reserved, " bytes and marks");
  }
  size_t longest = 0;
  for (Lines lines(texts); !lines.done(); lines.Next())
    longest = std::max(longest, lines.value().size());
  if (longest == 0) throw InputError("tokenizer train: there is no text to learn from");

  Lines lines(texts);
  std::string model;
  const auto status =
      sentencepiece::SentencePieceTrainer::Train(Settings(options, longest), &lines, &model);
  if (!status.ok()) throw InputError("tokenizer train: ", Advice(status.message()));
  if (options.digits == 2)
    model = WithDigitPairs(ParseSentencePieceModel(model, "the trained model"));
  const TokenizerSpec spec = ParseSentencePieceModel(model, "the trained model");
  if (static_cast<int>(spec.pieces.size()) != options.vocab) {
    throw InputError("tokenizer train: the text yields ", spec.pieces.size(), " pieces, not ",
                     options.vocab, "; ask for fewer or give more text");
  }
  WriteTextAtomically(folder / "tokenizer.model", model);
  WriteTextAtomically(folder / "tokenizer_config.json", DumpJson(TokenizerConfig(), 2) + "\n");
}

}  // namespace retort
