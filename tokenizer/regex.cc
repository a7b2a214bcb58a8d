// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/error.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

constexpr size_t kJitStackStart = 64 << 10, kJitStackMax = 16 << 20;

std::string MessageOf(int error) {
  PCRE2_UCHAR text[256] = {};
  pcre2_get_error_message(error, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

// PCRE2's \s includes U+180E, which Unicode no longer counts as a space. Otherwise this class
// equals \s.
std::string WithUnicodeSpaces(std::string_view pattern) {
  static constexpr std::string_view kSpaces = "\\t-\\r\\x{85}\\p{Z}";
  std::string out;
  bool in_class = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '\\' && i + 1 < pattern.size()) {
      const char escaped = pattern[++i];
      if (escaped == 's') {
        out += in_class ? std::string(kSpaces) : Cat("[", kSpaces, "]");
      } else if (escaped == 'S' && !in_class) {
        out += Cat("[^", kSpaces, "]");
      } else {
        out += {c, escaped};
      }
      continue;
    }
    if (c == '[' && !in_class) {
      in_class = true;
    } else if (c == ']') {
      in_class = false;
    }
    out += c;
  }
  return out;
}

}  // namespace

struct Regex::Scratch::Data {
  pcre2_match_data* match = pcre2_match_data_create(1, nullptr);
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  pcre2_jit_stack* stack = pcre2_jit_stack_create(kJitStackStart, kJitStackMax, nullptr);
  Data() {
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

struct Regex::Code {
  pcre2_code* code = nullptr;
  bool jit = false;
  ~Code() { pcre2_code_free(code); }
};

Regex::Regex(std::string_view pattern, const std::string& where) : code_(std::make_unique<Code>()) {
  int error = 0;
  PCRE2_SIZE at = 0;
  const std::string text = WithUnicodeSpaces(pattern);
  code_->code =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                    PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &at, nullptr);
  if (!code_->code) {
    throw InputError(where, ": the expression '", pattern,
                     "' is not understood: ", MessageOf(error));
  }
  code_->jit = pcre2_jit_compile(code_->code, PCRE2_JIT_COMPLETE) == 0;
}
Regex::~Regex() = default;
Regex::Regex(Regex&&) noexcept = default;

bool Regex::Find(std::string_view text, size_t from, Scratch* scratch, Match* match) const {
  Scratch::Data& data = *scratch->data_;
  const auto subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  while (from < text.size()) {
    const int found = code_->jit ? pcre2_jit_match(code_->code, subject, text.size(), from,
                                                   PCRE2_NO_UTF_CHECK, data.match, data.context)
                                 : pcre2_match(code_->code, subject, text.size(), from,
                                               PCRE2_NO_UTF_CHECK, data.match, data.context);
    if (found == PCRE2_ERROR_NOMATCH) return false;
    if (found < 0) throw Failure("text cannot be split into words: ", MessageOf(found));
    const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(data.match);
    if (ends[1] > ends[0]) {
      *match = {ends[0], ends[1]};
      return true;
    }
    // An empty match, or \K moved its start past its end: continue after it.
    from = std::max<size_t>(from, ends[1]);
    if (from >= text.size()) return false;
    from += DecodeUtf8(text, from).size;
  }
  return false;
}

}  // namespace retort
