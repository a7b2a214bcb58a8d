// SPDX-License-Identifier: Apache-2.0
// What is done to a stretch of text before it is cut into words (normalisers), and the cutting
// (pre-tokenizers), as tokenizer.json describes them. The steps are plain data, so that they can be
// compared with those of known tokenizers.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/regex.h"

namespace retort {

struct NormalizerSpec {
  enum class Kind { kPrepend, kReplaceText, kReplaceRegex, kNfc, kNfd, kNfkc, kNfkd };
  enum class Where { kEveryRun, kFirstRun };
  Kind kind;
  std::string pattern;             // kReplace...: what is replaced
  std::string content;             // what is put there, or before the text
  bool unless_there = false;       // kPrepend: not where the text begins with it already
  Where where = Where::kEveryRun;  // kPrepend: only where the whole text begins, or in each run
  bool operator==(const NormalizerSpec&) const = default;
};

struct SplitSpec {
  enum class Behavior { kIsolated, kRemoved, kMergedWithPrevious, kMergedWithNext, kContiguous };
  std::string pattern;
  bool literal = false;  // the pattern is text, not an expression
  Behavior behavior = Behavior::kIsolated;
  bool invert = false;
  bool operator==(const SplitSpec&) const = default;
};

class Normalizer {
 public:
  Normalizer(const std::vector<NormalizerSpec>& steps, const std::string& where);
  bool empty() const { return steps_.empty(); }
  // `first`: the whole text begins here. `prefix`: whether Prepend steps apply. Empty text stays
  // empty. Bytes that are no UTF-8 stay as they are.
  std::string Apply(std::string_view text, bool first, bool prefix, Regex::Scratch* scratch) const;

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
  // The words of text, in order; what the steps remove is in none of them. Bytes that are no
  // UTF-8 are words of their own.
  void Apply(std::string_view text, Regex::Scratch* scratch, std::vector<Range>* words) const;

 private:
  struct Step {
    SplitSpec spec;
    std::optional<Regex> regex;
  };
  void Split(const Step& step, std::string_view text, size_t offset, Regex::Scratch* scratch,
             std::vector<Range>* out) const;
  // Appends the words of text[begin, end), which is valid UTF-8.
  void SplitValid(std::string_view text, size_t begin, size_t end, Regex::Scratch* scratch,
                  std::vector<Range>* words) const;

  std::vector<Step> steps_;                                          // where there is no word_end_
  size_t (*word_end_)(std::string_view text, size_t pos) = nullptr;  // word_ends.h
};

}  // namespace retort
