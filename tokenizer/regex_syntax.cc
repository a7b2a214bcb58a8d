// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/regex_syntax.h"

#include <vector>

#include "base/ascii.h"
#include "base/error.h"
#include "base/text.h"
#include "tokenizer/regex_classes.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

constexpr size_t kMaxTranslatedBytes = 1 << 20;  // of a translation

class Translator : private ClassReader {
 public:
  Translator(std::string_view pattern, const std::string& where, const CategoryItems& items)
      : ClassReader(pattern, where, items) {}

  std::string Run() {
    while (pos_ < in_.size()) {
      if (out_.size() > kMaxTranslatedBytes)
        throw InputError(where_, ": the expression ", Quoted(in_), " has too many classes");
      const char c = in_[pos_];
      if (c == '\\' && pos_ + 1 < in_.size()) {
        Escape();
      } else if (c == '[') {
        Atom(Bracket());
      } else if (c == '(') {
        Open();
      } else if (c == ')') {
        if (!groups_.empty()) atom_ = groups_.back(), groups_.pop_back();
        out_ += in_[pos_++];
      } else if (c == '{') {
        Interval();
      } else if (c == '?' || c == '*' || c == '+') {
        out_ += in_[pos_++];
      } else {
        const auto size = static_cast<size_t>(DecodeUtf8(in_, pos_).size);
        Atom(std::string(in_.substr(pos_, size)));
        pos_ += size;
      }
    }
    return std::move(out_);
  }

 private:
  void Atom(std::string_view text) {
    atom_ = out_.size();
    out_ += text;
  }

  void Escape() {
    const char c = in_[pos_ + 1];
    if (c == 'b' || c == 'B') {
      pos_ += 2;
      const std::string word = Cat("[", WordItems(), "]");
      Atom(c == 'b' ? Cat("(?(?<=", word, ")(?!", word, ")|(?=", word, "))")
                    : Cat("(?(?<=", word, ")(?=", word, ")|(?!", word, "))"));
    } else if (const auto of = ClassEscape()) {
      Atom(InBrackets(*of));
    } else if (const auto code = CodeEscape()) {
      std::string text;
      AppendCode(*code, &text);
      Atom(text);
    } else {
      const auto size = static_cast<size_t>(DecodeUtf8(in_, pos_ + 1).size);
      const bool braces = c == 'x' && pos_ + 2 < in_.size() && in_[pos_ + 2] == '{';
      const size_t close = braces ? in_.find('}', pos_) : in_.npos;
      const size_t end = close == in_.npos ? pos_ + 1 + size : close + 1;
      Atom(in_.substr(pos_, end - pos_));
      pos_ = end;
    }
  }

  // Ruby's flag m is what others call s.
  void Open() {
    groups_.push_back(out_.size());
    out_ += in_[pos_++];
    if (pos_ >= in_.size() || in_[pos_] != '?') return;
    const size_t end = in_.find_first_not_of("imx-", pos_ + 1);
    if (end == in_.npos || (in_[end] != ':' && in_[end] != ')')) {
      // What follows is no quantifier's: (?= (?! (?<= (?> (?<name>
      do out_ += in_[pos_++];
      while (pos_ < in_.size() && (in_[pos_] == '<' || in_[pos_] == '=' || in_[pos_] == '!' ||
                                   in_[pos_] == '>' || in_[pos_] == ':'));
      return;
    }
    for (; pos_ < end; ++pos_) out_ += in_[pos_] == 'm' ? 's' : in_[pos_];
    if (in_[pos_] == ':') out_ += in_[pos_++];
  }

  // {n}, {n,}, {n,m}, {,m}; any other brace is a character.
  void Interval() {
    size_t end = pos_ + 1;
    const auto digits = [&] {
      const size_t begin = end;
      while (end < in_.size() && IsDigit(in_[end])) ++end;
      return end > begin;
    };
    const bool least = digits();
    const bool comma = end < in_.size() && in_[end] == ',';
    const bool most = comma && (++end, digits());
    if ((!least && !most) || end >= in_.size() || in_[end] != '}') {
      Atom(in_.substr(pos_++, 1));
      return;
    }
    ++end;
    if (end < in_.size() && in_[end] == '+') {
      out_.insert(atom_, "(?:");
      out_ +=
          least ? in_.substr(pos_, end - pos_) : Cat("{0", in_.substr(pos_ + 1, end - pos_ - 1));
      out_ += ')';
    } else {
      out_ +=
          least ? in_.substr(pos_, end - pos_) : Cat("{0", in_.substr(pos_ + 1, end - pos_ - 1));
    }
    pos_ = end;
  }

  std::string out_;
  size_t atom_ = 0;             // where the last atom begins in out_
  std::vector<size_t> groups_;  // where the open groups begin in out_
};

}  // namespace

std::string ToPcre2(std::string_view pattern, const std::string& where,
                    const CategoryItems& items) {
  return Translator(pattern, where, items).Run();
}

}  // namespace retort
