// SPDX-License-Identifier: Apache-2.0
#include "recipes/key_lines.h"

#include <algorithm>
#include <vector>

#include "base/error.h"

namespace retort {
namespace {

class Scanner {
 public:
  Scanner(std::string_view text, const std::string& where) : text_(text), where_(where) {}

  std::map<std::string, int> Run() {
    while (at_ < text_.size()) Step();
    return std::move(lines_);
  }

 private:
  void Step() {
    switch (text_[at_]) {
      case '"':
        return String();
      case '/':
        return Comment();
      case '{':
      case '[':
        Open(text_[at_] == '[');
        break;
      case '}':
      case ']':
        open_.pop_back();
        break;
      case '\n':
        ++line_;
        break;
    }
    ++at_;
  }

  // Objects and arrays inside an array have the array's name.
  void Open(bool array) {
    const bool in_array = !open_.empty() && open_.back().array;
    open_.push_back({in_array ? open_.back().name : name_, array, array || in_array});
  }

  void Comment() {
    const bool block = text_.substr(at_, 2) == "/*";
    const std::string_view end = block ? "*/" : "\n";
    const size_t stop = std::min(text_.find(end, at_ + 2), text_.size());
    for (; at_ < stop; ++at_) line_ += text_[at_] == '\n';
    if (block) at_ += end.size();
  }

  void String() {
    const size_t begin = ++at_;
    while (text_[at_] != '"') at_ += text_[at_] == '\\' ? 2 : 1;
    const std::string_view string = text_.substr(begin, at_++ - begin);
    const int line = line_;
    SkipToNext();
    if (at_ < text_.size() && text_[at_] == ':') Key(string, line);
  }

  void SkipToNext() {
    while (at_ < text_.size()) {
      if (text_[at_] == '/')
        Comment();
      else if (std::string_view(" \t\r\n").find(text_[at_]) == std::string_view::npos)
        return;
      else
        line_ += text_[at_++] == '\n';
    }
  }

  void Key(std::string_view key, int line) {
    const Level& level = open_.back();
    name_ = level.name.empty() ? std::string(key) : Cat(level.name, ".", key);
    const auto [entry, is_new] = lines_.emplace(name_, line);
    if (!is_new && !level.in_array) {
      throw InputError(where_, ":", line, ": key '", name_, "' was already given in line ",
                       entry->second, "; keep one of them");
    }
  }

  struct Level {
    std::string name;
    bool array, in_array;
  };

  std::string_view text_;
  const std::string& where_;
  size_t at_ = 0;
  int line_ = 1;
  std::string name_;  // of the last key read; the next { or [ belongs to it
  std::vector<Level> open_;
  std::map<std::string, int> lines_;
};

}  // namespace

std::map<std::string, int> KeyLines(std::string_view text, const std::string& where) {
  return Scanner(text, where).Run();
}

}  // namespace retort
