// SPDX-License-Identifier: Apache-2.0
// Regular expressions: PCRE2 on UTF-8, JIT-compiled if the processor supports it. Those of
// tokenizers have Ruby's syntax and Unicode 16's classes, as in Hugging Face's library
// (regex_syntax.h). Expressions come from files and recipes, so no expression may take longer than
// its text deserves: each match is limited in steps, and a text has a budget for those that need
// more.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/work_budget.h"

namespace retort {

class Regex {
 public:
  static constexpr size_t kMaxBytes = 32 << 10;  // of an expression

  // Workspace of Find(); one per thread, for any number of expressions.
  class Scratch {
   public:
    Scratch();
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

   private:
    friend class Regex;
    friend class WholeRegex;
    struct Data;
    std::unique_ptr<Data> data_;
  };
  struct Match {
    size_t begin, end;
  };

  // Throws Error{kInput} naming `where`, the expression and what is wrong with it.
  Regex(std::string_view pattern, const std::string& where);
  ~Regex();
  Regex(Regex&&) noexcept;

  // What all matches in a text of so many bytes may cost together.
  static WorkBudget BudgetFor(size_t text_bytes) {
    return WorkBudget((uint64_t{1} << 20) + 256 * uint64_t{text_bytes});
  }

  // Finds the first non-empty match at or after `from` in `text`, which must be valid UTF-8.
  // Lookbehind sees the text before `from`. Returns false if there is none. Throws Error{kInput} if
  // the budget does not suffice.
  bool Find(std::string_view text, size_t from, Scratch* scratch, WorkBudget* budget,
            Match* match) const;

 private:
  friend class WholeRegex;
  struct Code;
  bool FindAt(std::string_view text, size_t at, Scratch* scratch, WorkBudget* budget,
              Match* match) const;

  std::unique_ptr<Code> search_;
  std::unique_ptr<Code> anchored_;  // the same expression, matching only where the search begins
};

// An expression that must match the whole of a text, as Python's re.fullmatch, with PCRE2's own
// classes. The text must be valid UTF-8. One thread.
class WholeRegex {
 public:
  // Throws as Regex does.
  WholeRegex(std::string_view pattern, const std::string& where);
  ~WholeRegex();
  WholeRegex(WholeRegex&&) noexcept;

  const std::string& pattern() const { return pattern_; }
  // Throws Error{kInput} if all calls together take too many steps.
  bool Matches(std::string_view text);
  // The same for one of any number of texts, each with a budget of its own (Regex::BudgetFor).
  bool MatchesText(std::string_view text);

 private:
  struct State;
  bool MatchesWithin(WorkBudget& budget, std::string_view text);

  std::string pattern_, where_;
  std::unique_ptr<State> state_;
};

}  // namespace retort
