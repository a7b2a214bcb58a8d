// SPDX-License-Identifier: Apache-2.0
#include "template/jinja_tokens.h"

#include <algorithm>
#include <array>

namespace retort {
namespace {

constexpr std::string_view kSpaces = " \t\n\r\f\v";

bool IsNameChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// One pass over the text. `at_` is the next character.
class TagReader {
 public:
  explicit TagReader(std::string_view text) : text_(text) {
    if (text_.ends_with('\n')) text_.remove_suffix(1);
  }

  std::optional<std::vector<JinjaTag>> Read() {
    while (at_ < text_.size()) {
      const size_t open = NextOpen();
      const std::string_view data = text_.substr(at_, open - at_);
      if (open == text_.size()) {
        Text(data);
        break;
      }
      const char kind = text_[open + 1];
      const char control = open + 2 < text_.size() ? text_[open + 2] : '\0';
      Text(control == '-'                  ? StripEnd(data)
           : control != '+' && kind != '{' ? StripIndent(data)
                                           : data);
      at_ = open + 2 + ((control == '-' || control == '+') ? 1 : 0);
      if (!(kind == '#' ? Comment() : Tag(kind))) return std::nullopt;
    }
    return std::move(tags_);
  }

 private:
  size_t NextOpen() const {
    for (size_t i = at_; i + 1 < text_.size(); ++i) {
      if (text_[i] == '{' && (text_[i + 1] == '{' || text_[i + 1] == '%' || text_[i + 1] == '#'))
        return i;
    }
    return text_.size();
  }

  void Text(std::string_view data) {
    if (!data.empty()) tags_.push_back({JinjaTag::Kind::kText, data, {}});
  }

  static std::string_view StripEnd(std::string_view data) {
    return data.substr(0, data.find_last_not_of(kSpaces) + 1);  // npos + 1 is 0
  }
  // lstrip_blocks: without the white space between a line's beginning and a tag.
  std::string_view StripIndent(std::string_view data) const {
    const size_t line = data.rfind('\n') + 1;
    if (line == 0 && !line_begins_) return data;
    return data.find_first_not_of(" \t", line) == std::string_view::npos ? data.substr(0, line)
                                                                         : data;
  }

  bool Comment() {
    const size_t begin = at_, close = text_.find("#}", at_);
    if (close == std::string_view::npos) return false;
    at_ = close + 2;
    AfterTag(close > begin ? text_[close - 1] : '\0', true);
    return true;
  }

  // trim_blocks: the first newline after a statement or comment is not printed.
  void AfterTag(char control, bool trims) {
    const size_t begin = at_;
    if (control == '-') {
      at_ = std::min(text_.find_first_not_of(kSpaces, at_), text_.size());
    } else if (trims && control != '+' && at_ < text_.size() && text_[at_] == '\n') {
      ++at_;
    }
    line_begins_ = at_ > begin && text_[at_ - 1] == '\n';
  }

  bool Tag(char kind) {
    const std::string_view close = kind == '{' ? "}}" : "%}";
    JinjaTag tag{kind == '{' ? JinjaTag::Kind::kOutput : JinjaTag::Kind::kStatement, {}, {}};
    int depth = 0;
    for (;;) {
      at_ = std::min(text_.find_first_not_of(kSpaces, at_), text_.size());
      const std::string_view rest = text_.substr(at_);
      const char control = rest.empty() ? '\0' : rest[0];
      const bool controlled = control == '-' || control == '+';
      if (depth == 0 && rest.substr(controlled ? 1 : 0).starts_with(close)) {
        at_ += close.size() + (controlled ? 1 : 0);
        AfterTag(controlled ? control : '\0', kind == '%');
        tags_.push_back(std::move(tag));
        return true;
      }
      if (rest.empty() || !Token(tag.tokens)) return false;
      depth += tag.tokens.back().Opens() - tag.tokens.back().Closes();
    }
  }

  bool Token(JinjaTokens& out) {
    const char c = text_[at_];
    if (c == '\'' || c == '"') return String(out);
    if (IsNameChar(c)) {
      const size_t begin = at_;
      while (at_ < text_.size() && IsNameChar(text_[at_])) ++at_;
      out.push_back({IsDigit(c) ? JinjaToken::Kind::kNumber : JinjaToken::Kind::kName,
                     std::string(text_.substr(begin, at_ - begin))});
      return true;
    }
    static constexpr std::array<std::string_view, 26> kOperators = {
        "==", "!=", "<=", ">=", "//", "**", "+", "-", "*", "/", "%", "~", "(",
        ")",  "[",  "]",  "{",  "}",  ",",  ".", ":", "|", "<", ">", "=", ";"};
    for (const std::string_view op : kOperators) {
      if (!text_.substr(at_).starts_with(op)) continue;
      out.push_back({JinjaToken::Kind::kOperator, std::string(op)});
      at_ += op.size();
      return true;
    }
    return false;
  }

  bool String(JinjaTokens& out) {
    const char quote = text_[at_++];
    std::string value;
    for (; at_ < text_.size() && text_[at_] != quote; ++at_) {
      if (text_[at_] != '\\') {
        value += text_[at_];
        continue;
      }
      if (++at_ == text_.size()) return false;
      constexpr std::string_view kEscapes = "nrt\\'\"", kMeant = "\n\r\t\\'\"";
      const size_t which = kEscapes.find(text_[at_]);
      if (which == std::string_view::npos) return false;
      value += kMeant[which];
    }
    if (at_++ == text_.size()) return false;
    out.push_back({JinjaToken::Kind::kString, std::move(value)});
    return true;
  }

  std::string_view text_;
  size_t at_ = 0;
  bool line_begins_ = true;
  std::vector<JinjaTag> tags_;
};

}  // namespace

std::string JinjaToken::Written() const {
  if (kind != Kind::kString) return text;
  std::string out = "'";
  for (const char c : text) {
    if (c == '\\' || c == '\'') out += '\\';
    out += c;
  }
  return out + "'";
}

std::optional<std::vector<JinjaTag>> JinjaTags(std::string_view jinja) {
  return TagReader(jinja).Read();
}

}  // namespace retort
