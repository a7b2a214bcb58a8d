// SPDX-License-Identifier: Apache-2.0
#include "grammar/vocabulary.h"

#include <algorithm>

#include "tokenizer/utf8.h"

namespace retort {
namespace {

// Characters of a text that a JSON string has as it is; 0 if it has others.
uint32_t PlainCharacters(std::string_view text) {
  uint32_t count = 0;
  for (size_t at = 0; at < text.size(); ++count) {
    const Utf8Char c = DecodeUtf8(text, at);
    if (!c.valid || c.code < 0x20 || c.code == '"' || c.code == '\\') return 0;
    at += static_cast<size_t>(c.size);
  }
  return count;
}

std::vector<std::string> TextsOf(const Tokenizer& tokenizer, std::span<const int32_t> shown) {
  std::vector<std::string> texts(static_cast<size_t>(tokenizer.used_ids()));
  for (size_t id = 0; id < texts.size(); ++id)
    texts[id] = tokenizer.Bytes(static_cast<int32_t>(id));
  for (const int32_t id : shown) texts[static_cast<size_t>(id)] = tokenizer.Bytes(id, true);
  return texts;
}

}  // namespace

TokenTrie::TokenTrie(std::vector<Token> tokens) {
  std::ranges::sort(tokens, {}, &Token::text);
  std::vector<uint32_t> open;  // the nodes of the last text, by depth
  const auto close = [&](size_t depth) {
    for (; open.size() > depth; open.pop_back())
      nodes_[open.back()].end = static_cast<uint32_t>(nodes_.size());
  };
  std::string_view last;
  for (const auto& [text, id] : tokens) {
    size_t same = 0;
    while (same < std::min(last.size(), text.size()) && last[same] == text[same]) ++same;
    close(same);
    for (size_t depth = same; depth < text.size(); ++depth) {
      open.push_back(static_cast<uint32_t>(nodes_.size()));
      nodes_.push_back({0, static_cast<uint32_t>(ids_.size()), static_cast<uint8_t>(text[depth]),
                        static_cast<uint8_t>(depth + 1)});
    }
    ids_.push_back(id);
    last = text;
  }
  close(0);
  nodes_.push_back({0, static_cast<uint32_t>(ids_.size()), 0, 0});
}

Vocabulary::Vocabulary(const Tokenizer& tokenizer, std::span<const int32_t> shown)
    : size_(tokenizer.used_ids()),
      texts_(TextsOf(tokenizer, shown)),
      shown_(shown.begin(), shown.end()),
      plain_(TokensOf(Part::kPlain)),
      others_(TokensOf(Part::kOthers)),
      long_(TokensOf(Part::kLong)),
      plain_masks_(kMostPlain + 1, TokenMask(mask_words())) {
  for (size_t id = 0; id < texts_.size(); ++id) {
    if (texts_[id].empty() || PartOf(texts_[id]) != Part::kPlain) continue;
    for (uint32_t count = PlainCharacters(texts_[id]); count <= kMostPlain; ++count)
      plain_masks_[count][id / 64] |= uint64_t{1} << id % 64;
  }
}

Vocabulary::Part Vocabulary::PartOf(std::string_view text) {
  if (text.size() > kMostPlain) return Part::kLong;
  return PlainCharacters(text) > 0 ? Part::kPlain : Part::kOthers;
}

std::vector<Segment> Vocabulary::SegmentsOf(std::string_view text) const {
  std::vector<Segment> segments(1);
  while (!text.empty()) {
    const auto mark = std::ranges::find_if(
        shown_, [&](int32_t id) { return !TextOf(id).empty() && text.starts_with(TextOf(id)); });
    if (mark == shown_.end()) {
      segments.back().text += text[0];
      text.remove_prefix(1);
      continue;
    }
    segments.push_back({TextOf(*mark), true});
    text.remove_prefix(TextOf(*mark).size());
    segments.emplace_back();
  }
  return segments;
}

std::vector<TokenTrie::Token> Vocabulary::TokensOf(Part part) const {
  std::vector<TokenTrie::Token> tokens;
  for (size_t id = 0; id < texts_.size(); ++id) {
    const std::string& text = texts_[id];
    if (text.empty() || text.size() > kLongestToken || PartOf(text) != part) continue;
    tokens.push_back({text, static_cast<int32_t>(id)});
  }
  return tokens;
}

}  // namespace retort
