// SPDX-License-Identifier: Apache-2.0
// Regular expressions as pre-tokenizers use them: PCRE2 on UTF-8 with Unicode classes, compiled to
// machine code where the processor allows it.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace retort {

class Regex {
 public:
  // What a match writes to; one per thread, for any number of expressions.
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

  // The first match in `text`, which must be valid UTF-8, at or after `from`, with what lies before
  // `from` as its context. Empty matches are passed over. False when there is none.
  bool Find(std::string_view text, size_t from, Scratch* scratch, Match* match) const;

 private:
  struct Code;
  std::unique_ptr<Code> code_;
};

}  // namespace retort
