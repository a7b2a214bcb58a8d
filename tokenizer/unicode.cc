// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/unicode.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <span>
#include <string>

namespace retort {
namespace {

struct CaseRun {
  char32_t first, last;
  int step, distance;
};

#include "tokenizer/unicode_tables.inc"

constexpr char32_t kLastCode = 0x10FFFF;
constexpr size_t kCategoryCount = 30;

struct CategoryNames {
  const char* shortest;
  const char* longest;
};
constexpr CategoryNames kCategoryNames[kCategoryCount] = {{"Cn", "Unassigned"},
                                                          {"Cc", "Control"},
                                                          {"Cf", "Format"},
                                                          {"Co", "PrivateUse"},
                                                          {"Cs", "Surrogate"},
                                                          {"Lu", "UppercaseLetter"},
                                                          {"Ll", "LowercaseLetter"},
                                                          {"Lt", "TitlecaseLetter"},
                                                          {"Lm", "ModifierLetter"},
                                                          {"Lo", "OtherLetter"},
                                                          {"Mn", "NonspacingMark"},
                                                          {"Mc", "SpacingMark"},
                                                          {"Me", "EnclosingMark"},
                                                          {"Nd", "DecimalNumber"},
                                                          {"Nl", "LetterNumber"},
                                                          {"No", "OtherNumber"},
                                                          {"Pc", "ConnectorPunctuation"},
                                                          {"Pd", "DashPunctuation"},
                                                          {"Ps", "OpenPunctuation"},
                                                          {"Pe", "ClosePunctuation"},
                                                          {"Pi", "InitialPunctuation"},
                                                          {"Pf", "FinalPunctuation"},
                                                          {"Po", "OtherPunctuation"},
                                                          {"Sm", "MathSymbol"},
                                                          {"Sc", "CurrencySymbol"},
                                                          {"Sk", "ModifierSymbol"},
                                                          {"So", "OtherSymbol"},
                                                          {"Zs", "SpaceSeparator"},
                                                          {"Zl", "LineSeparator"},
                                                          {"Zp", "ParagraphSeparator"}};
constexpr CategoryNames kGroupNames[] = {{"C", "Other"},    {"L", "Letter"},      {"M", "Mark"},
                                         {"N", "Number"},   {"P", "Punctuation"}, {"S", "Symbol"},
                                         {"Z", "Separator"}};

template <size_t kCount>
CodeSet SetOf(const CodeRange (&ranges)[kCount]) {
  return CodeSet(std::vector<CodeRange>(ranges, ranges + kCount));
}

// The codes of those of a table's runs whose value `is` true for.
template <size_t kCount, typename Is>
CodeSet SetOfRuns(const uint32_t (&runs)[kCount], int bits, Is is) {
  std::vector<CodeRange> ranges;
  for (size_t i = 0; i < kCount; ++i) {
    if (!is(runs[i] & ((1u << bits) - 1))) continue;
    const char32_t end = i + 1 < kCount ? runs[i + 1] >> bits : kLastCode + 1;
    ranges.push_back({runs[i] >> bits, end - 1});
  }
  return CodeSet(std::move(ranges));
}

CodeSet SetOfCategories(std::string_view begin) {
  return SetOfRuns(kCategoryRuns, 5, [&](uint32_t category) {
    return std::string_view(kCategoryNames[category].shortest).starts_with(begin);
  });
}

std::string Folded(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c == ' ' || c == '_' || c == '-') continue;
    out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out;
}

std::map<std::string, CodeSet, std::less<>> AllProperties() {
  std::map<std::string, CodeSet, std::less<>> sets;
  for (const auto& names : {std::span<const CategoryNames>(kCategoryNames),
                            std::span<const CategoryNames>(kGroupNames)}) {
    for (const CategoryNames& name : names) {
      CodeSet set = SetOfCategories(name.shortest);
      sets.emplace(Folded(name.longest), set);
      sets.emplace(Folded(name.shortest), std::move(set));
    }
  }
  for (uint32_t i = 1; i < std::size(kScriptNames); ++i) {
    sets.emplace(Folded(kScriptNames[i]),
                 SetOfRuns(kScriptRuns, 8, [&](uint32_t script) { return script == i; }));
  }
  sets.emplace(
      "whitespace",
      CodeSet(std::vector<CodeRange>{{0x09, 0x0D}, {0x85, 0x85}}).Union(sets.find("z")->second));
  sets.emplace(
      "alphabetic",
      sets.find("l")->second.Union(sets.find("nl")->second).Union(SetOf(kOtherAlphabetic)));
  sets.emplace("any", CodeSet(std::vector<CodeRange>{{0, kLastCode}}));
  return sets;
}

CodeSet WordChars() {
  return PropertySet("Alphabetic")
      ->Union(*PropertySet("M"))
      .Union(*PropertySet("Nd"))
      .Union(*PropertySet("Pc"));
}

}  // namespace

CodeSet::CodeSet(std::vector<CodeRange> ranges) {
  std::ranges::sort(ranges, {}, &CodeRange::first);
  for (const CodeRange& range : ranges) {
    if (!ranges_.empty() && range.first <= ranges_.back().last + 1) {
      ranges_.back().last = std::max(ranges_.back().last, range.last);
    } else {
      ranges_.push_back(range);
    }
  }
}

bool CodeSet::Contains(char32_t code) const {
  const auto after = std::ranges::upper_bound(ranges_, code, {}, &CodeRange::first);
  return after != ranges_.begin() && code <= std::prev(after)->last;
}

CodeSet CodeSet::Complement() const {
  CodeSet out;
  char32_t next = 0;
  for (const CodeRange& range : ranges_) {
    if (range.first > next) out.ranges_.push_back({next, range.first - 1});
    next = range.last + 1;
  }
  if (next <= kLastCode) out.ranges_.push_back({next, kLastCode});
  return out;
}

CodeSet CodeSet::Union(const CodeSet& other) const {
  std::vector<CodeRange> all = ranges_;
  all.insert(all.end(), other.ranges_.begin(), other.ranges_.end());
  return CodeSet(std::move(all));
}

CodeSet CodeSet::Intersection(const CodeSet& other) const {
  return Complement().Union(other.Complement()).Complement();
}

bool IsWordChar(char32_t code) {
  if (code < 0x80) {
    return (code >= '0' && code <= '9') || (code >= 'A' && code <= 'Z') ||
           (code >= 'a' && code <= 'z') || code == '_';
  }
  static const CodeSet chars = WordChars().Union(CodeSet(std::vector<CodeRange>{{0x200C, 0x200D}}));
  return chars.Contains(code);
}

bool IsNewerThanUnicode9(char32_t code) {
  static const CodeSet newer = SetOf(kSinceUnicode9);
  return newer.Contains(code);
}

char32_t LowerCase(char32_t code) {
  const auto after = std::upper_bound(std::begin(kLowerCases), std::end(kLowerCases), code,
                                      [](char32_t c, const CaseRun& run) { return c < run.first; });
  if (after == std::begin(kLowerCases)) return code;
  const CaseRun& run = *std::prev(after);
  if (code > run.last || (code - run.first) % static_cast<char32_t>(run.step) != 0) return code;
  return static_cast<char32_t>(static_cast<int>(code) + run.distance);
}

const CodeSet* PropertySet(std::string_view name) {
  static const std::map<std::string, CodeSet, std::less<>> sets = AllProperties();
  const auto set = sets.find(Folded(name));
  return set == sets.end() ? nullptr : &set->second;
}

const CodeSet& ExpressionWordChars() {
  static const CodeSet chars =
      WordChars().Union(CodeSet(std::vector<CodeRange>{{0xB2, 0xB3}, {0xB9, 0xB9}, {0xBC, 0xBE}}));
  return chars;
}

const CodeSet& NumbersOfUnicode17() {
  static const CodeSet numbers = PropertySet("N")->Union(SetOf(kNumbersOfUnicode17));
  return numbers;
}

const CodeSet& PunctuationOfUnicode8() {
  static const CodeSet chars =
      SetOf(kPunctuationOfUnicode8)
          .Union(CodeSet(std::vector<CodeRange>{{'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}}));
  return chars;
}

const CodeSet& MarksOfUnicode9() {
  static const CodeSet marks = SetOf(kMarksOfUnicode9);
  return marks;
}

const CodeSet& ChangedSinceUnicode14() {
  static const CodeSet changed = SetOf(kSinceUnicode14);
  return changed;
}

}  // namespace retort
