// SPDX-License-Identifier: Apache-2.0
#include "grammar/characters.h"

#include <algorithm>

#include "base/hex.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

// Ranges of bytes, one behind the other: the characters of a range whose encodings are as long.
using ByteRanges = std::vector<std::pair<uint8_t, uint8_t>>;

// Cuts a range of characters with encodings of one length into ByteRanges, in order.
void CutRange(const std::string& first, const std::string& last, std::vector<ByteRanges>& out) {
  const auto byte = [](const std::string& text, size_t i) { return static_cast<uint8_t>(text[i]); };
  const size_t size = first.size();
  size_t same = 0;
  while (same < size && first[same] == last[same]) ++same;
  const auto all_from = [&](const std::string& text, size_t at, uint8_t value) {
    return std::all_of(text.begin() + static_cast<ptrdiff_t>(at), text.end(),
                       [&](char c) { return static_cast<uint8_t>(c) == value; });
  };
  // Below the first differing byte, the ends must be the lowest and the highest.
  if (same + 1 < size && !all_from(first, same + 1, 0x80)) {
    std::string end = first;
    for (size_t i = same + 1; i < size; ++i) end[i] = static_cast<char>(0xBF);
    std::string next = first;
    next[same] = static_cast<char>(byte(first, same) + 1);
    for (size_t i = same + 1; i < size; ++i) next[i] = static_cast<char>(0x80);
    CutRange(first, end, out);
    CutRange(next, last, out);
    return;
  }
  if (same + 1 < size && !all_from(last, same + 1, 0xBF)) {
    std::string begin = last;
    for (size_t i = same + 1; i < size; ++i) begin[i] = static_cast<char>(0x80);
    std::string before = last;
    before[same] = static_cast<char>(byte(last, same) - 1);
    for (size_t i = same + 1; i < size; ++i) before[i] = static_cast<char>(0xBF);
    CutRange(first, before, out);
    CutRange(begin, last, out);
    return;
  }
  ByteRanges ranges(size);
  for (size_t i = 0; i < size; ++i) ranges[i] = {byte(first, i), byte(last, i)};
  out.push_back(std::move(ranges));
}

// The union of sequences, those with the same beginning joined.
ExpressionId Join(Expressions& expressions, std::span<const ByteRanges> sequences, size_t at) {
  std::vector<ExpressionId> parts;
  for (size_t begin = 0; begin < sequences.size();) {
    if (sequences[begin].size() == at) return Expressions::kEmpty;
    size_t end = begin;
    while (end < sequences.size() && sequences[end][at] == sequences[begin][at]) ++end;
    const auto [first, last] = sequences[begin][at];
    const ExpressionId rest = Join(expressions, sequences.subspan(begin, end - begin), at + 1);
    parts.push_back(expressions.Concat(expressions.Range(first, last), rest));
    begin = end;
  }
  return expressions.Union(std::move(parts));
}

ExpressionId Utf8(Expressions& expressions, const CodeSet& set) {
  std::vector<ExpressionId> parts;
  constexpr CodeRange kLengths[] = {{0, 0x7F}, {0x80, 0x7FF}, {0x800, 0xFFFF}, {0x10000, 0x10FFFF}};
  for (const CodeRange length : kLengths) {
    std::vector<ByteRanges> sequences;
    const CodeSet within = set.Intersection(CodeSet({length}));
    for (const CodeRange& range : within.ranges()) {
      std::string first, last;
      AppendUtf8(range.first, &first), AppendUtf8(range.last, &last);
      CutRange(first, last, sequences);
    }
    if (!sequences.empty()) parts.push_back(Join(expressions, sequences, 0));
  }
  return expressions.Union(std::move(parts));
}

// A character that JSON strings must escape; "" for others.
std::string EscapeOf(char32_t code) {
  static constexpr std::string_view kLetters = "b\bf\fn\nr\rt\t\"\"\\\\";
  for (size_t i = 0; i < kLetters.size(); i += 2)
    if (code == static_cast<char32_t>(kLetters[i + 1])) return {'\\', kLetters[i]};
  if (code >= 0x20) return "";
  return "\\u" + HexText(code, 4);
}

}  // namespace

const CodeSet& AllCharacters() {
  static const CodeSet all({{0, 0xD7FF}, {0xE000, 0x10FFFF}});
  return all;
}

ExpressionId OneOf(Expressions& expressions, const CodeSet& set, Spelling spelling) {
  const CodeSet characters = set.Intersection(AllCharacters());
  if (spelling == Spelling::kUtf8) return Utf8(expressions, characters);
  static const CodeSet escaped({{0, 0x1F}, {'"', '"'}, {'\\', '\\'}});
  std::vector<std::string> escapes;
  const CodeSet special = characters.Intersection(escaped);
  for (const CodeRange& range : special.ranges())
    for (char32_t code = range.first; code <= range.last; ++code) escapes.push_back(EscapeOf(code));
  const std::vector<std::string_view> texts(escapes.begin(), escapes.end());
  return expressions.Union(
      {Utf8(expressions, characters.Without(escaped)), expressions.AnyOf(texts)});
}

std::string Spell(std::string_view text, Spelling spelling) {
  if (spelling == Spelling::kUtf8) return std::string(text);
  std::string spelt;
  for (const char c : text) {
    const std::string escape = EscapeOf(static_cast<uint8_t>(c));
    if (escape.empty())
      spelt += c;
    else
      spelt += escape;
  }
  return spelt;
}

}  // namespace retort
