// SPDX-License-Identifier: Apache-2.0
#include "template/jinja/lexer.h"

#include <algorithm>
#include <charconv>

#include "base/ascii.h"
#include "base/text.h"
#include "template/jinja/characters.h"
#include "template/jinja/literals.h"
#include "tokenizer/utf8.h"

namespace retort::jinja {
namespace {

// With "\n" as the only line end, and one at the end of the text dropped.
std::string WithPlainLines(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out += '\n';
      i += i + 1 < source.size() && source[i + 1] == '\n';
    } else {
      out += source[i];
    }
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

bool IsWordCharacter(char32_t c) {
  return c == '_' || IsLetter(c) || IsNumeric(c) || c == 0xb7 || (c >= 0x300 && c <= 0x36f);
}

// The bytes of white space that a text begins with.
size_t LeadingSpace(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const Utf8Char c = DecodeUtf8(text, at);
    if (!c.valid || !IsPythonSpace(c.code)) break;
    at += static_cast<size_t>(c.size);
  }
  return at;
}

constexpr std::string_view kSigns[] = {"**", "//", "==", "!=", ">=", "<=", "+", "-", "/",
                                       "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                       ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};

class Lexer {
 public:
  Lexer(std::string_view source, const std::string& where)
      : text_(WithPlainLines(source)), where_(where) {}

  std::vector<Token> Run() {
    while (at_ < text_.size()) {
      const size_t tag = NextTag();
      const std::string_view data = std::string_view(text_).substr(at_, tag - at_);
      if (tag == text_.size()) {
        PutText(data);
        Advance(tag);
        break;
      }
      const char kind = text_[tag + 1];
      const char sign = tag + 2 < text_.size() ? text_[tag + 2] : '\0';
      PutText(BeforeTag(data, kind, sign));
      Advance(tag + 2 + (sign == '-' || sign == '+'));
      if (kind == '#')
        SkipComment();
      else if (kind == '%' && AtRaw())
        PutRaw();
      else
        Tag(kind);
    }
    Put(Token::Kind::kEnd);
    return std::move(out_);
  }

 private:
  Error Fault(std::string_view message) const { return SyntaxFault(where_, line_, message); }
  std::string_view Rest() const { return std::string_view(text_).substr(at_); }
  bool Begins(std::string_view with) const { return Rest().starts_with(with); }

  void Advance(size_t to) {
    line_ += static_cast<int>(std::count(text_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         text_.begin() + static_cast<std::ptrdiff_t>(to), '\n'));
    if (to > at_) line_start_ = text_[to - 1] == '\n';
    at_ = to;
  }

  size_t NextTag() const {
    for (size_t at = text_.find('{', at_); at != std::string::npos; at = text_.find('{', at + 1)) {
      if (at + 1 < text_.size() && std::string_view("{%#").find(text_[at + 1]) != std::string::npos)
        return at;
    }
    return text_.size();
  }

  // The text before a tag, without what the tag takes away.
  std::string_view BeforeTag(std::string_view data, char kind, char sign) const {
    if (sign == '-') {
      return data.substr(0, Stripped(Text(std::string(data)), Side::kRight).size());
    }
    if (sign == '+' || kind == '{') return data;
    const size_t line = data.rfind('\n') + 1;  // 0 if there is none
    if (line == 0 && !line_start_) return data;
    const Text spaces(std::string(data.substr(line)));
    return !spaces.empty() && Stripped(spaces, Side::kBoth).empty() ? data.substr(0, line) : data;
  }

  // Takes a tag's end, "-%}" or "+%}" or "%}", if it stands here, and the white space that it eats.
  bool TakeEnd(std::string_view end, bool trims) {
    const bool minus = Begins("-") && Rest().substr(1).starts_with(end);
    const bool plus = trims && Begins("+") && Rest().substr(1).starts_with(end);
    if (!minus && !plus && !Begins(end)) return false;
    Advance(at_ + end.size() + (minus || plus));
    if (minus)
      SkipSpace();
    else if (!plus && trims && Begins("\n"))
      Advance(at_ + 1);
    return true;
  }

  void SkipSpace() { Advance(at_ + LeadingSpace(Rest())); }

  void SkipComment() {
    size_t end = text_.find("#}", at_);
    if (end == std::string::npos) throw Fault("a comment {# is not closed");
    if (end > at_ && (text_[end - 1] == '-' || text_[end - 1] == '+')) --end;
    Advance(end);
    TakeEnd("#}", true);
  }

  bool AtRaw() const {
    const std::string_view rest = Rest().substr(LeadingSpace(Rest()));
    if (!rest.starts_with("raw")) return false;
    const std::string_view behind = rest.substr(3 + LeadingSpace(rest.substr(3)));
    return behind.starts_with("%}") || behind.starts_with("-%}");
  }

  void PutRaw() {
    SkipSpace();
    Advance(at_ + 3);
    SkipSpace();
    TakeEnd("%}", false);
    for (size_t end = text_.find("{%", at_); end != std::string::npos;
         end = text_.find("{%", end + 2)) {
      const char sign = end + 2 < text_.size() ? text_[end + 2] : '\0';
      const std::string_view all = text_;
      size_t word = end + 2 + (sign == '-' || sign == '+');
      word += LeadingSpace(all.substr(word));
      if (!all.substr(word).starts_with("endraw")) continue;
      PutText(BeforeTag(all.substr(at_, end - at_), '%', sign));
      Advance(word + 6);
      SkipSpace();
      if (!TakeEnd("%}", true)) throw Fault("the tag endraw is not closed");
      return;
    }
    throw Fault("a raw block has no endraw");
  }

  void Tag(char kind) {
    const bool print = kind == '{';
    Put(print ? Token::Kind::kPrint : Token::Kind::kBlock);
    const int opened = line_;
    std::string open;  // brackets
    while (true) {
      SkipSpace();
      if (at_ >= text_.size()) throw SyntaxFault(where_, opened, "a tag is not closed");
      const int line = line_;
      if (open.empty() && TakeEnd(print ? "}}" : "%}", !print)) {
        Put(print ? Token::Kind::kPrintEnd : Token::Kind::kBlockEnd);
        out_.back().line = line;
        return;
      }
      Word(open);
    }
  }

  void Word(std::string& open) {
    const char c = text_[at_];
    if (c == '\'' || c == '"') return PutString(c);
    if (IsDigit(c)) return PutNumber();
    const Utf8Char first = DecodeUtf8(text_, at_);
    if (first.valid && IsWordCharacter(first.code)) {
      size_t end = at_;
      while (end < text_.size()) {
        const Utf8Char next = DecodeUtf8(text_, end);
        if (!next.valid || !IsWordCharacter(next.code)) break;
        end += static_cast<size_t>(next.size);
      }
      return Put(Token::Kind::kName, end);
    }
    for (const std::string_view sign : kSigns) {
      if (!Begins(sign)) continue;
      Balance(sign[0], open);
      return Put(Token::Kind::kSign, at_ + sign.size());
    }
    throw Fault(
        Cat("unexpected character ", Quoted(text_.substr(at_, static_cast<size_t>(first.size)))));
  }

  void Balance(char c, std::string& open) const {
    if (c == '(') open += ')';
    if (c == '[') open += ']';
    if (c == '{') open += '}';
    if (c != ')' && c != ']' && c != '}') return;
    if (open.empty() || open.back() != c) throw Fault(Cat("'", c, "' closes nothing that is open"));
    open.pop_back();
  }

  void PutString(char quote) {
    size_t end = at_ + 1;
    while (end < text_.size() && text_[end] != quote) end += text_[end] == '\\' ? 2 : 1;
    if (end >= text_.size()) throw Fault("a text in quotes is not closed");
    const std::string_view inner = std::string_view(text_).substr(at_ + 1, end - at_ - 1);
    auto text = Unescaped(inner);
    if (!text) throw Fault("a text in quotes has an unknown escape");
    Put(Token::Kind::kString);
    out_.back().text = *std::move(text);
    Advance(end + 1);
  }

  void PutNumber() {
    const NumberLiteral number = ReadNumber(Rest());
    if (number.size == 0) throw Fault("a number is beyond 64 bits, or not one");
    Put(number.whole ? Token::Kind::kInt : Token::Kind::kFloat, at_ + number.size);
    out_.back().integer = number.integer;
    out_.back().number = number.real;
  }

  void PutText(std::string_view text) {
    if (text.empty()) return;
    Put(Token::Kind::kText);
    out_.back().text = text;
  }

  void Put(Token::Kind kind) { out_.push_back({kind, {}, line_, 0, 0}); }
  void Put(Token::Kind kind, size_t end) {
    Put(kind);
    out_.back().text = text_.substr(at_, end - at_);
    Advance(end);
  }

  const std::string text_;
  const std::string& where_;
  size_t at_ = 0;
  int line_ = 1;
  bool line_start_ = true;  // what was read last ended a line
  std::vector<Token> out_;
};

}  // namespace

Error SyntaxFault(const std::string& where, int line, std::string_view message) {
  return InputError(where, ": chat template, line ", line, ": ", message);
}

std::vector<Token> Tokenize(std::string_view source, const std::string& where) {
  if (source.size() > kLongestTemplate) {
    throw InputError(where, ": chat template: has ", source.size(), " bytes, more than ",
                     kLongestTemplate);
  }
  if (ValidUtf8End(source, 0) != source.size())
    throw InputError(where, ": chat template: is not UTF-8");
  return Lexer(source, where).Run();
}

}  // namespace retort::jinja
