// SPDX-License-Identifier: Apache-2.0
#include "template/jinja/splitting.h"

#include <algorithm>

#include "template/jinja/characters.h"
#include "tokenizer/utf8.h"

namespace retort::jinja {
namespace {

bool IsLineEnd(char32_t c) {
  return (c >= 10 && c <= 13) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 ||
         c == 0x2029;
}

struct Span {
  size_t begin, end;
};

std::vector<Span> Words(std::string_view text) {
  std::vector<Span> words;
  bool within = false;
  for (size_t at = 0; at < text.size();) {
    const Utf8Char c = DecodeUtf8(text, at);
    const size_t size = c.valid ? static_cast<size_t>(c.size) : 1;
    if (c.valid && IsPythonSpace(c.code)) {
      within = false;
    } else if (!within) {
      words.push_back({at, at + size});
      within = true;
    } else {
      words.back().end = at + size;
    }
    at += size;
  }
  return words;
}

std::vector<Text> Parts(const Text& text, const std::vector<Span>& spans) {
  std::vector<Text> parts;
  parts.reserve(spans.size());
  for (const Span& span : spans) parts.push_back(text.Sub(span.begin, span.end));
  return parts;
}

}  // namespace

std::vector<Text> SplitAtSpaces(const Text& text, int64_t most) {
  std::vector<Span> words = Words(text.view());
  if (most >= 0 && words.size() > static_cast<size_t>(most)) {
    words.resize(static_cast<size_t>(most) + 1);
    words.back().end = text.size();
  }
  return Parts(text, words);
}

std::vector<Text> SplitAtSpacesFromRight(const Text& text, int64_t most) {
  std::vector<Span> words = Words(text.view());
  if (most >= 0 && words.size() > static_cast<size_t>(most)) {
    const size_t joined = words.size() - static_cast<size_t>(most);
    words[joined - 1].begin = 0;  // the rest keeps its white space, as in Python
    words.erase(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(joined) - 1);
  }
  return Parts(text, words);
}

std::vector<Text> SplitAt(const Text& text, std::string_view separator, int64_t most) {
  std::vector<Span> spans;
  size_t from = 0;
  for (size_t at = text.view().find(separator); at != std::string_view::npos && most != 0;
       at = text.view().find(separator, from), --most) {
    spans.push_back({from, at});
    from = at + separator.size();
  }
  spans.push_back({from, text.size()});
  return Parts(text, spans);
}

std::vector<Text> SplitAtFromRight(const Text& text, std::string_view separator, int64_t most) {
  std::vector<Span> spans;
  size_t to = text.size();
  while (most != 0 && to >= separator.size()) {
    const size_t at = text.view().substr(0, to).rfind(separator);
    if (at == std::string_view::npos) break;
    spans.push_back({at + separator.size(), to});
    to = at;
    --most;
  }
  spans.push_back({0, to});
  std::ranges::reverse(spans);
  return Parts(text, spans);
}

std::vector<Text> SplitLines(const Text& text, bool keep_ends) {
  std::vector<Span> spans;
  const std::string_view view = text.view();
  size_t from = 0;
  for (size_t at = 0; at < view.size();) {
    const Utf8Char c = DecodeUtf8(view, at);
    size_t size = c.valid ? static_cast<size_t>(c.size) : 1;
    if (c.valid && IsLineEnd(c.code)) {
      if (c.code == '\r' && at + 1 < view.size() && view[at + 1] == '\n') size = 2;
      spans.push_back({from, keep_ends ? at + size : at});
      from = at + size;
    }
    at += size;
  }
  if (from < view.size()) spans.push_back({from, view.size()});
  return Parts(text, spans);
}

Text Replaced(const Text& text, std::string_view from, const Text& to, int64_t most) {
  Text out;
  if (from.empty()) {
    const std::vector<size_t> starts = CharacterStarts(text.view());
    size_t done = 0;
    for (const size_t start : starts) {
      out.Append(text, done, start);
      done = start;
      if (most != 0) out.Append(to);
      if (most > 0) --most;
    }
    return out;
  }
  size_t done = 0;
  for (size_t at = text.view().find(from); at != std::string_view::npos && most != 0;
       at = text.view().find(from, done), --most) {
    out.Append(text, done, at).Append(to);
    done = at + from.size();
  }
  return out.Append(text, done, text.size());
}

int64_t Occurrences(std::string_view text, std::string_view part) {
  if (part.empty()) return CountCharacters(text) + 1;
  int64_t count = 0;
  for (size_t at = text.find(part); at != std::string_view::npos;
       at = text.find(part, at + part.size()))
    ++count;
  return count;
}

}  // namespace retort::jinja
