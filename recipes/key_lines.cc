// SPDX-License-Identifier: Apache-2.0
#include "recipes/key_lines.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/text.h"

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
  // An open object or array.
  struct Level {
    std::string_view key;  // what it is the value of; empty for a part of an array
    bool array;
    std::map<std::string_view, int> keys;  // of an object, with their lines
  };

  void Step() {
    switch (text_[at_]) {
      case '"':
        return String();
      case '/':
        return Comment();
      case '{':
      case '[':
        open_.push_back({std::exchange(key_, {}), text_[at_] == '[', {}});
        break;
      case '}':
      case ']':
        if (!open_.empty()) open_.pop_back();
        break;
      case ',':
        key_ = {};
        break;
      case '\n':
        ++line_;
        break;
    }
    ++at_;
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
    while (at_ < text_.size() && text_[at_] != '"') at_ += text_[at_] == '\\' ? 2 : 1;
    const size_t end = std::min(at_, text_.size());
    const int line = line_;
    ++at_;
    SkipToNext();
    if (at_ < text_.size() && text_[at_] == ':') Key(text_.substr(begin, end - begin), line);
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
    if (open_.empty()) return;
    const auto [entry, is_new] = open_.back().keys.emplace(key, line);
    if (!is_new) {
      throw InputError(where_, ":", line, ": key ", Quoted(NameOf(key)),
                       " was already given in line ", entry->second, "; keep one of them");
    }
    key_ = key;
    // A recipe's own names have two short parts, and no part of an array has a name.
    const bool named = open_.size() <= 2 && std::ranges::none_of(open_, &Level::array);
    if (named && key.size() + open_.back().key.size() <= kLongestName)
      lines_.emplace(NameOf(key), line);
  }

  // "train.lr" for the key lr in the open object train.
  std::string NameOf(std::string_view key) const {
    std::string name;
    for (const Level& level : open_) {
      if (!level.key.empty()) name += Cat(level.key, ".");
    }
    return Cat(name, key);
  }

  std::string_view text_;
  const std::string& where_;
  size_t at_ = 0;
  int line_ = 1;
  std::string_view key_;  // the last one read; the next { or [ is its value
  std::vector<Level> open_;
  std::map<std::string, int> lines_;
};

}  // namespace

std::map<std::string, int> KeyLines(std::string_view text, const std::string& where) {
  return Scanner(text, where).Run();
}

}  // namespace retort
