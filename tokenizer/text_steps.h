// SPDX-License-Identifier: Apache-2.0
// The steps before merging, as in tokenizer.json: normalisers rewrite a run of text, pre-tokenizers
// rewrite it once more and split it into words. The steps are plain data, so that they can be
// compared with those of known tokenizers.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/regex.h"

namespace retort {

struct NormalizerSpec {
  enum class Kind {
    kPrepend,
    kReplaceText,
    kReplaceRegex,
    kNfc,
    kNfd,
    kNfkc,
    kNfkd,
    kStripLeft,  // white space
    kStripRight,
    kStripAccents,  // marks
    kLowercase,     // each character by itself
    kNmt,           // control characters, and several spaces to one kind
    kPrecompiled    // SentencePiece's table
  };
  enum class Where { kEveryRun, kFirstRun };
  Kind kind;
  // kReplace...: the text or expression to replace; kPrecompiled: the table
  std::string pattern;
  std::string content;             // the replacement, or for kPrepend the prefix
  bool unless_there = false;       // kPrepend: not if the text already begins with it
  Where where = Where::kEveryRun;  // kPrepend: to every run, or only to the first of the text
  bool operator==(const NormalizerSpec&) const = default;
};

struct SplitSpec {
  enum class Behavior { kIsolated, kRemoved, kMergedWithPrevious, kMergedWithNext, kContiguous };
  std::string pattern;
  bool literal = false;  // the pattern is plain text, not an expression
  Behavior behavior = Behavior::kIsolated;
  bool invert = false;
  // The pattern is matched with the text's bytes in GPT-2's alphabet, as steps after "ByteLevel" are:
  // words may end within a character.
  bool on_letters = false;
  bool operator==(const SplitSpec&) const = default;
};

// One part of a pre-tokenizer: changes to each word of the part before (at first, each run of text
// between added tokens), then splits of the result.
struct TextStage {
  std::vector<NormalizerSpec> rewrites;
  std::vector<SplitSpec> splits;
  bool operator==(const TextStage&) const = default;
};

// What the steps may spend on one text, so that no file can make a text's size or work grow without
// bound. Unicode's forms make at most eleven bytes of one, a mark for a space three.
struct TextBudget {
  explicit TextBudget(size_t text_bytes)
      : bytes(text_bytes),
        growth((64 << 10) + 32 * uint64_t{text_bytes}),
        matching(Regex::BudgetFor(text_bytes)) {}
  size_t bytes;
  WorkBudget growth;    // bytes that normalisers add
  WorkBudget matching;  // of all expressions
};

class Normalizer {
 public:
  Normalizer(const std::vector<NormalizerSpec>& steps, const std::string& where);
  bool empty() const { return steps_.empty(); }
  // `first`: `text` is the beginning of the whole text. `prefix`: whether Prepend steps apply.
  // Empty text stays empty. Invalid UTF-8 bytes are kept unchanged. Throws Error{kInput} if the
  // budget does not suffice.
  std::string Apply(std::string_view text, bool first, bool prefix, Regex::Scratch* scratch,
                    TextBudget* budget) const;
  // How many bytes of text one byte of the result may stand for; 0: there is no bound.
  size_t Shrinks() const;

 private:
  struct Step {
    NormalizerSpec spec;
    std::optional<Regex> regex;
  };
  std::vector<Step> steps_;
};

class PreTokenizer {
 public:
  struct Range {
    size_t begin, end;
  };
  PreTokenizer(const std::vector<SplitSpec>& steps, const std::string& where);
  // Returns in `words` the words of text, in order, without text that the steps remove. Invalid
  // UTF-8 bytes are separate words. Throws Error{kInput} if the budget does not suffice.
  void Apply(std::string_view text, Regex::Scratch* scratch, TextBudget* budget,
             std::vector<Range>* words) const;
  // Whether a step removes text.
  bool Removes() const;

 private:
  struct Step {
    SplitSpec spec;
    std::optional<Regex> regex;
  };
  void Split(const Step& step, std::string_view text, size_t offset, Regex::Scratch* scratch,
             TextBudget* budget, std::vector<Range>* out) const;
  // Appends the words of text[begin, end), which must be valid UTF-8.
  void SplitValid(std::string_view text, size_t begin, size_t end, Regex::Scratch* scratch,
                  TextBudget* budget, std::vector<Range>* words) const;

  std::vector<Step> steps_;                                          // used if word_end_ is null
  size_t (*word_end_)(std::string_view text, size_t pos) = nullptr;  // word_ends.h
};

}  // namespace retort
