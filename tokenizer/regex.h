// SPDX-License-Identifier: Apache-2.0
// Regular expressions for pre-tokenizers: PCRE2 on UTF-8 with Unicode classes, JIT-compiled if the
// processor supports it.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace retort {

class Regex {
 public:
  // Workspace of Find(); one per thread, for any number of expressions.
  class Scratch {
   public:
    Scratch();
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

   private:
    friend class Regex;
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

  // Finds the first non-empty match at or after `from` in `text`, which must be valid UTF-8.
  // Lookbehind sees the text before `from`. Returns false if there is none.
  bool Find(std::string_view text, size_t from, Scratch* scratch, Match* match) const;

 private:
  struct Code;
  std::unique_ptr<Code> code_;
};

}  // namespace retort
