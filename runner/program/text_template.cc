// SPDX-License-Identifier: Apache-2.0
#include "runner/program/text_template.h"

#include <algorithm>
#include <utility>

#include "base/ascii.h"
#include "base/error.h"

namespace retort {
namespace {

constexpr size_t kMostRendered = 4 << 20;  // as much as a request's body
constexpr size_t kMostName = 64;           // bytes
constexpr size_t kMostReference = 1024;    // bytes: a name within branches within branches

bool BeginsName(char c) { return IsLetter(c) || c == '_'; }
bool GoesOnInName(char c) { return BeginsName(c) || IsDigit(c); }

// Names of what branches have made have dots: "checks.0.verdict".
bool IsReference(std::string_view name) {
  return !name.empty() && name.size() <= kMostReference && BeginsName(name.front()) &&
         std::ranges::all_of(name, [](char c) { return GoesOnInName(c) || c == '.'; });
}

}  // namespace

bool IsVariableName(std::string_view name) {
  return IsReference(name) && name.size() <= kMostName && name.find('.') == std::string_view::npos;
}

TextTemplate::TextTemplate(std::string_view text) {
  std::string own;
  for (size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (c != '{' && c != '}') {
      own += c;
      ++at;
      continue;
    }
    if (at + 1 < text.size() && text[at + 1] == c) {
      own += c;
      at += 2;
      continue;
    }
    if (c == '}') throw InputError("'}' at byte ", at, " closes nothing; '}}' stands for a brace");
    const size_t end = text.find('}', at);
    if (end == std::string_view::npos)
      throw InputError("'{' at byte ", at, " is not closed; '{{' stands for a brace");
    const std::string_view name = text.substr(at + 1, end - at - 1);
    if (!IsReference(name))
      throw InputError("'{' at byte ", at, " begins no variable's name; '{{' stands for a brace");
    if (!own.empty()) pieces_.push_back({std::exchange(own, ""), false});
    pieces_.push_back({std::string(name), true});
    at = end + 1;
  }
  if (!own.empty()) pieces_.push_back({std::move(own), false});
}

std::set<std::string> TextTemplate::Names() const {
  std::set<std::string> names;
  for (const Piece& piece : pieces_) {
    if (piece.is_name) names.insert(piece.text);
  }
  return names;
}

int64_t TextTemplate::references() const { return std::ranges::count_if(pieces_, &Piece::is_name); }

std::vector<Segment> TextTemplate::Render(
    const std::function<const std::string&(const std::string& name)>& value_of) const {
  std::vector<Segment> segments;
  segments.reserve(pieces_.size());
  size_t bytes = 0;
  for (const auto& [text, is_name] : pieces_) {
    segments.push_back({is_name ? value_of(text) : text, !is_name});
    bytes += segments.back().text.size();
    if (bytes > kMostRendered)
      throw InputError("the text with its variables has more than ", kMostRendered, " bytes");
  }
  return segments;
}

}  // namespace retort
