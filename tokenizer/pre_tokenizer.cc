// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "tokenizer/text_steps.h"
#include "tokenizer/utf8.h"
#include "tokenizer/word_ends.h"

namespace retort {
namespace {

using Range = PreTokenizer::Range;
using Behavior = SplitSpec::Behavior;

// Converts the matches of one step and the gaps between them, added in order, to words.
class Joiner {
 public:
  Joiner(const SplitSpec& spec, size_t offset, std::vector<Range>* out)
      : spec_(spec), offset_(offset), first_(out->size()), out_(out) {}

  void Put(size_t begin, size_t end, bool match) {
    if (begin == end) return;
    match ^= spec_.invert;
    const bool join = out_->size() > first_ && Joins(match);
    if (join) {
      out_->back().end = end + offset_;
    } else if (!(match && spec_.behavior == Behavior::kRemoved)) {
      out_->push_back({begin + offset_, end + offset_});
    }
    last_was_match_ = match;
  }

 private:
  // Whether a match (or a gap) is joined to the preceding word.
  bool Joins(bool match) const {
    switch (spec_.behavior) {
      case Behavior::kMergedWithPrevious:
        return match && !last_was_match_;
      case Behavior::kMergedWithNext:
        return !match && last_was_match_;
      case Behavior::kContiguous:
        return match == last_was_match_;
      default:
        return false;
    }
  }

  const SplitSpec& spec_;
  size_t offset_, first_;
  std::vector<Range>* out_;
  bool last_was_match_ = false;
};

// A text's bytes in GPT-2's alphabet, whose letters have one or two bytes.
std::string Letters(std::string_view bytes) {
  std::string letters;
  for (const char byte : bytes) AppendUtf8(ByteToLetter(static_cast<uint8_t>(byte)), &letters);
  return letters;
}

// Turns a position in letters into one in the bytes that they stand for; positions ascend.
class LetterPositions {
 public:
  explicit LetterPositions(std::string_view letters) : letters_(letters) {}
  size_t BytesBefore(size_t position) {
    for (; at_ < position; ++at_) bytes_ += (static_cast<uint8_t>(letters_[at_]) & 0xC0) != 0x80;
    return bytes_;
  }

 private:
  std::string_view letters_;
  size_t at_ = 0, bytes_ = 0;
};

bool FindText(std::string_view text, std::string_view pattern, size_t from, Regex::Match* match) {
  const size_t at = pattern.empty() ? text.npos : text.find(pattern, from);
  if (at == text.npos) return false;
  *match = {at, at + pattern.size()};
  return true;
}

}  // namespace

PreTokenizer::PreTokenizer(const std::vector<SplitSpec>& steps, const std::string& where)
    : word_end_(WordEndOf(steps)) {
  if (word_end_) return;
  for (const SplitSpec& spec : steps) {
    Step& step = steps_.emplace_back(Step{spec, std::nullopt});
    if (!spec.literal) step.regex.emplace(spec.pattern, where);
  }
}

void PreTokenizer::Split(const Step& step, std::string_view text, size_t offset,
                         Regex::Scratch* scratch, TextBudget* budget,
                         std::vector<Range>* out) const {
  std::string letters;
  if (step.spec.on_letters) text = letters = Letters(text);
  const size_t first = out->size();
  Joiner joiner(step.spec, offset, out);
  size_t done = 0;
  for (Regex::Match match;; done = match.end) {
    const bool found = step.regex ? step.regex->Find(text, done, scratch, &budget->matching, &match)
                                  : FindText(text, step.spec.pattern, done, &match);
    if (!found) break;
    joiner.Put(done, match.begin, false);
    joiner.Put(match.begin, match.end, true);
  }
  joiner.Put(done, text.size(), false);
  if (!step.spec.on_letters) return;
  LetterPositions positions(letters);
  for (size_t i = first; i < out->size(); ++i) {
    Range& word = (*out)[i];
    word.begin = offset + positions.BytesBefore(word.begin - offset);
    word.end = offset + positions.BytesBefore(word.end - offset);
  }
}

void PreTokenizer::SplitValid(std::string_view text, size_t begin, size_t end,
                              Regex::Scratch* scratch, TextBudget* budget,
                              std::vector<Range>* words) const {
  if (word_end_) {
    const std::string_view valid = text.substr(0, end);
    for (size_t pos = begin; pos < end; pos = words->back().end) {
      words->push_back({pos, word_end_(valid, pos)});
    }
    return;
  }
  std::vector<Range> now = {{begin, end}}, next;
  for (const Step& step : steps_) {
    next.clear();
    for (const Range& r : now) {
      Split(step, text.substr(r.begin, r.end - r.begin), r.begin, scratch, budget, &next);
    }
    now.swap(next);
  }
  words->insert(words->end(), now.begin(), now.end());
}

void PreTokenizer::Apply(std::string_view text, Regex::Scratch* scratch, TextBudget* budget,
                         std::vector<Range>* words) const {
  words->clear();
  if (steps_.empty() && !word_end_) {
    if (!text.empty()) words->push_back({0, text.size()});
    return;
  }
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = ValidUtf8End(text, begin);
    if (end > begin) SplitValid(text, begin, end, scratch, budget, words);
    begin = end;
    if (begin == text.size()) break;
    const auto size = static_cast<size_t>(DecodeUtf8(text, begin).size);
    words->push_back({begin, begin + size});
    begin += size;
  }
}

bool PreTokenizer::Removes() const {
  return std::ranges::any_of(
      steps_, [](const Step& step) { return step.spec.behavior == Behavior::kRemoved; });
}

}  // namespace retort
