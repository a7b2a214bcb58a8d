// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>

#include "base/error.h"
#include "base/text.h"
#include "tokenizer/regex_syntax.h"
#include "tokenizer/unicode.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

constexpr size_t kJitStackStart = 64 << 10, kJitStackMax = 16 << 20;
constexpr uint32_t kHeapKiB = 64 << 10;  // where there is no JIT

// A search sees at most kWindow bytes and takes at most kSteps steps from any one character, which
// suffices for nearly all words. What needs more is matched character by character with windows and
// steps that double, paid from the text's budget. So an expression that runs to the end of the text
// from every character, or tries all ways to cut a word, is found out before it has cost much.
constexpr size_t kWindow = 512;
constexpr uint32_t kSteps = 128;

// WholeRegex: steps that each text has, and those that all texts have together beyond them.
constexpr uint32_t kNameSteps = 4096;
constexpr uint64_t kAllNameSteps = 1 << 24;

std::string MessageOf(int error) {
  PCRE2_UCHAR text[256] = {};
  pcre2_get_error_message(error, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

}  // namespace

struct Regex::Scratch::Data {
  pcre2_match_data* match = pcre2_match_data_create(1, nullptr);
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  pcre2_jit_stack* stack = pcre2_jit_stack_create(kJitStackStart, kJitStackMax, nullptr);
  Data() {
    if (context) pcre2_set_heap_limit(context, kHeapKiB);
    if (context && stack) pcre2_jit_stack_assign(context, nullptr, stack);
  }
  ~Data() {
    pcre2_jit_stack_free(stack);
    pcre2_match_context_free(context);
    pcre2_match_data_free(match);
  }
};

Regex::Scratch::Scratch() : data_(std::make_unique<Data>()) {
  if (!data_->match || !data_->context) throw Failure("out of memory for matching text");
}
Regex::Scratch::~Scratch() = default;

namespace {

pcre2_code* Compile(std::string_view pattern, const std::string& translated, uint32_t options,
                    const std::string& where) {
  int error = 0;
  PCRE2_SIZE at = 0;
  pcre2_code* code = pcre2_compile(
      reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
      PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C | options, &error, &at, nullptr);
  if (!code) {
    throw InputError(where, ": the expression ", Quoted(pattern),
                     " is not understood: ", MessageOf(error));
  }
  return code;
}

// The characters of ChangedSinceUnicode14() that PCRE2 counts as of a category.
CodeSet ChangedCharsOf(const std::string& category) {
  const std::string pattern = Cat("\\p{", category, "}");
  pcre2_code* const code = Compile(pattern, pattern, PCRE2_ANCHORED, "categories");
  pcre2_match_data* const match = pcre2_match_data_create(1, nullptr);
  if (!match) throw Failure("out of memory for matching text");
  std::vector<CodeRange> ranges;
  for (const CodeRange range : ChangedSinceUnicode14().ranges()) {
    for (char32_t c = range.first; c <= range.last; ++c) {
      std::string text;
      AppendUtf8(c, &text);
      if (pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), 0, 0, match,
                      nullptr) >= 0)
        ranges.push_back({c, c});
    }
  }
  pcre2_match_data_free(match);
  pcre2_code_free(code);
  return CodeSet(std::move(ranges));
}

// Whether PCRE2 knows a version of Unicode from 14 to 16, and so differs from our tables only in
// characters that have changed since.
bool DiffersOnlyInChanges() {
  char version[32] = {};
  if (pcre2_config(PCRE2_CONFIG_UNICODE_VERSION, version) < 0) return false;
  const int major = std::atoi(version);
  return major >= 14 && major <= 16;
}

// \p{...} and the characters that PCRE2's version of Unicode lacks: faster than all ranges of a
// category, which PCRE2 compares one by one.
std::string CategoryText(const std::string& category, const CodeSet& set) {
  if (!DiffersOnlyInChanges()) return "";
  const CodeSet theirs = ChangedCharsOf(category);
  if (!theirs.Without(set).ranges().empty()) return "";
  return Cat("\\p{", category, "}",
             BracketsOf(set.Intersection(ChangedSinceUnicode14()).Without(theirs)));
}

// The translation of a tokenizer's expression.
std::string Translated(std::string_view pattern, const std::string& where) {
  static std::mutex mutex;
  static std::map<std::string, std::string, std::less<>> texts;  // of categories
  return ToPcre2(pattern, where, [&](std::string_view category, const CodeSet& set) {
    const std::lock_guard lock(mutex);
    const auto known = texts.find(category);
    if (known != texts.end()) return known->second;
    return texts.emplace(category, CategoryText(std::string(category), set)).first->second;
  });
}

void CheckSize(std::string_view pattern, const std::string& where) {
  if (pattern.size() <= Regex::kMaxBytes) return;
  throw InputError(where, ": the expression ", Quoted(pattern), " has ", pattern.size(),
                   " bytes; at most ", Regex::kMaxBytes, " are read");
}

// The end of at most `bytes` bytes of text after `from`, between two characters.
size_t WindowEnd(std::string_view text, size_t from, size_t bytes) {
  if (text.size() - from <= bytes) return text.size();
  return Utf8Begin(text, from + bytes);
}

// Whether the match was given up for its cost. Without JIT, steps and memory are counted apart.
bool IsCostly(int found) {
  return found == PCRE2_ERROR_MATCHLIMIT || found == PCRE2_ERROR_DEPTHLIMIT;
}

Error TooCostly() {
  return InputError(
      "this text cannot be split into words: the tokenizer's regular expression takes too long on it");
}

}  // namespace

struct Regex::Code {
  pcre2_code* code;
  bool jit;

  Code(std::string_view pattern, const std::string& translated, uint32_t options,
       const std::string& where)
      : code(Compile(pattern, translated, options, where)),
        jit(pcre2_jit_compile(code, PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_HARD) == 0) {}
  ~Code() { pcre2_code_free(code); }
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;

  // Matches in text.substr(0, end), from `from` on. PCRE2_ERROR_PARTIAL: what follows matters.
  int Run(std::string_view text, size_t from, size_t end, uint32_t steps,
          Scratch::Data& scratch) const;
};

int Regex::Code::Run(std::string_view text, size_t from, size_t end, uint32_t steps,
                     Scratch::Data& scratch) const {
  const uint32_t options =
      PCRE2_NO_UTF_CHECK | (end < text.size() ? uint32_t{PCRE2_PARTIAL_HARD} : 0);
  pcre2_set_match_limit(scratch.context, steps);
  const auto subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  const int found = (jit ? pcre2_jit_match : pcre2_match)(code, subject, end, from, options,
                                                          scratch.match, scratch.context);
  if (found == PCRE2_ERROR_JIT_STACKLIMIT || found == PCRE2_ERROR_HEAPLIMIT) throw TooCostly();
  if (found >= 0 || found == PCRE2_ERROR_NOMATCH || found == PCRE2_ERROR_PARTIAL || IsCostly(found))
    return found;
  throw Failure("text cannot be split into words: ", MessageOf(found));
}

Regex::Regex(std::string_view pattern, const std::string& where) {
  CheckSize(pattern, where);
  const std::string translated = Translated(pattern, where);
  // In Ruby's syntax, ^ and $ are the ends of lines.
  search_ = std::make_unique<Code>(pattern, translated, PCRE2_MULTILINE, where);
  anchored_ = std::make_unique<Code>(pattern, translated, PCRE2_MULTILINE | PCRE2_ANCHORED, where);
}
Regex::~Regex() = default;
Regex::Regex(Regex&&) noexcept = default;

bool Regex::FindAt(std::string_view text, size_t at, Scratch* scratch, WorkBudget* budget,
                   Match* match) const {
  Scratch::Data& data = *scratch->data_;
  size_t window = kWindow;
  uint32_t steps = kSteps;
  for (;;) {
    const size_t end = WindowEnd(text, at, window);
    if (!budget->Take(steps + (end - at) / 8)) throw TooCostly();
    const int found = anchored_->Run(text, at, end, steps, data);
    if (found == PCRE2_ERROR_PARTIAL) {
      window *= 2;
    } else if (IsCostly(found)) {
      steps *= 2;
    } else if (found == PCRE2_ERROR_NOMATCH) {
      return false;
    } else {
      const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(data.match);
      *match = {ends[0], ends[1]};
      return ends[1] > ends[0];
    }
  }
}

bool Regex::Find(std::string_view text, size_t from, Scratch* scratch, WorkBudget* budget,
                 Match* match) const {
  Scratch::Data& data = *scratch->data_;
  const auto next = [&](size_t at) { return at + static_cast<size_t>(DecodeUtf8(text, at).size); };
  while (from < text.size()) {
    const size_t end = WindowEnd(text, from, kWindow);
    const int found = search_->Run(text, from, end, kSteps, data);
    if (IsCostly(found)) {
      for (; from < end; from = next(from)) {
        if (FindAt(text, from, scratch, budget, match)) return true;
      }
      continue;
    }
    const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(data.match);
    if (found == PCRE2_ERROR_NOMATCH || (end < text.size() && ends[0] >= end)) {
      from = end;
    } else if (found == PCRE2_ERROR_PARTIAL) {
      from = std::max<size_t>(from, ends[0]);
      if (FindAt(text, from, scratch, budget, match)) return true;
      from = next(from);
    } else if (ends[1] > ends[0]) {
      *match = {ends[0], ends[1]};
      return true;
    } else {
      // An empty match, or \K moved its start past its end: continue after it.
      from = std::max<size_t>(from, ends[1]);
      if (from < text.size()) from = next(from);
    }
  }
  return false;
}

struct WholeRegex::State {
  Regex::Code code;
  Regex::Scratch scratch;
  WorkBudget budget{kAllNameSteps};
};

WholeRegex::WholeRegex(std::string_view pattern, const std::string& where)
    : pattern_(pattern),
      where_(where),
      state_(new State{{(CheckSize(pattern, where), pattern), std::string(pattern),
                        PCRE2_ANCHORED | PCRE2_ENDANCHORED, where},
                       {}}) {}
WholeRegex::~WholeRegex() = default;
WholeRegex::WholeRegex(WholeRegex&&) noexcept = default;

bool WholeRegex::Matches(std::string_view text) { return MatchesWithin(state_->budget, text); }

bool WholeRegex::MatchesText(std::string_view text) {
  WorkBudget budget = Regex::BudgetFor(text.size());
  return MatchesWithin(budget, text);
}

bool WholeRegex::MatchesWithin(WorkBudget& budget, std::string_view text) {
  for (uint32_t steps = kNameSteps;; steps *= 2) {
    if (steps > kNameSteps && !budget.Take(steps)) {
      throw InputError(where_, ": the expression ", Quoted(pattern_), " takes too long on ",
                       Quoted(text));
    }
    const int found = state_->code.Run(text, 0, text.size(), steps, *state_->scratch.data_);
    if (!IsCostly(found)) return found >= 0;
  }
}

}  // namespace retort
