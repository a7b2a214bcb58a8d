// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/added_tokens.h"

#include <algorithm>

#include "tokenizer/unicode.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

using AddedToken = TokenizerSpec::AddedToken;

bool StandsAlone(std::string_view text, size_t begin, size_t end) {
  const bool left = begin == 0 || !IsWordChar(DecodeUtf8(text, PreviousUtf8(text, begin)).code);
  return left && (end == text.size() || !IsWordChar(DecodeUtf8(text, end).code));
}

// `floor` may be after `begin`.
size_t SpacesLeft(std::string_view text, size_t begin, size_t floor) {
  while (begin > floor) {
    const size_t previous = PreviousUtf8(text, begin);
    if (previous < floor || !IsSpace(DecodeUtf8(text, previous).code)) break;
    begin = previous;
  }
  return begin;
}

size_t SpacesRight(std::string_view text, size_t end) {
  while (end < text.size()) {
    const Utf8Char c = DecodeUtf8(text, end);
    if (!IsSpace(c.code)) break;
    end += c.size;
  }
  return end;
}

}  // namespace

MarkedText::MarkedText(const std::vector<Segment>& segments) {
  size_t size = 0;
  for (const Segment& s : segments) size += s.text.size();
  text_.reserve(size);
  for (const Segment& s : segments) {
    if (s.text.empty()) continue;
    const size_t begin = text_.size();
    text_ += s.text;
    if (!s.markup) continue;
    if (!markup_.empty() && markup_.back().end == begin) {
      markup_.back().end = text_.size();
    } else {
      markup_.push_back({begin, text_.size()});
    }
  }
}

bool MarkedText::IsMarkup(size_t begin, size_t end) const {
  auto after = std::upper_bound(markup_.begin(), markup_.end(), begin,
                                [](size_t at, const Range& r) { return at < r.begin; });
  return after != markup_.begin() && end <= std::prev(after)->end;
}

std::vector<Segment> MarkedText::Parts(size_t begin, size_t end) const {
  std::vector<Segment> parts;
  const auto put = [&](size_t to, bool markup) {
    if (to > begin) parts.push_back({text_.substr(begin, to - begin), markup});
    begin = std::max(begin, to);
  };
  for (const Range& range : markup_) {
    put(std::min(range.begin, end), false);
    put(std::min(range.end, end), true);
  }
  put(end, false);
  return parts;
}

AddedTokenFinder::AddedTokenFinder(std::vector<AddedToken> tokens, const std::string& where)
    : tokens_(std::move(tokens)) {
  std::erase_if(tokens_, [](const AddedToken& t) { return t.text.empty(); });
  std::vector<std::string_view> texts;
  for (const AddedToken& token : tokens_) {
    texts.push_back(token.text);
    const auto first = static_cast<uint8_t>(token.text[0]);
    begins_[first] = true;
    special_ |= token.special;
    if (!token.special) plain_ = begins_plain_[first] = true;
  }
  table_ = PrefixTable(texts, where, "added token");
}

const AddedToken* AddedTokenFinder::At(std::string_view text, size_t pos,
                                       const MarkedText* marked) const {
  for (int32_t i = table_.Longest(text, pos); i >= 0; i = table_.Shorter(i)) {
    const AddedToken& token = tokens_[table_.IndexOf(i)];
    const size_t end = pos + token.text.size();
    if (!token.special || (marked && marked->IsMarkup(pos, end))) return &token;
  }
  return nullptr;
}

std::vector<Run> AddedTokenFinder::Cut(std::string_view text, const MarkedText* marked) const {
  std::vector<Run> runs;
  size_t begin = 0;  // of the text that is not yet split off; may be before or after `pos`
  const auto put_text = [&](size_t end) {
    if (end > begin) runs.push_back({-1, text.substr(begin, end - begin), begin == 0});
  };
  const bool markup = marked && marked->has_markup();
  const std::array<bool, 256>& begins = markup ? begins_ : begins_plain_;
  for (size_t pos = 0; (markup || plain_) && pos < text.size();) {
    const AddedToken* token =
        begins[static_cast<uint8_t>(text[pos])] ? At(text, pos, marked) : nullptr;
    if (!token) {
      ++pos;
      continue;
    }
    const size_t end = pos + token->text.size();
    if (!token->single_word || StandsAlone(text, pos, end)) {
      put_text(token->lstrip ? SpacesLeft(text, pos, begin) : pos);
      runs.push_back({token->id, {}, false});
      begin = token->rstrip ? SpacesRight(text, end) : end;
    }
    pos = end;
  }
  put_text(text.size());
  return runs;
}

std::vector<Run> AddedTokenFinder::Cut(const MarkedText& text) const {
  return Cut(text.text(), &text);
}
std::vector<Run> AddedTokenFinder::Cut(std::string_view text) const { return Cut(text, nullptr); }

size_t AddedTokenFinder::BytesPerToken() const {
  size_t longest = 1;
  for (const AddedToken& token : tokens_) {
    if (token.lstrip || token.rstrip) return 0;
    longest = std::max(longest, token.text.size());
  }
  return longest;
}

std::vector<AddedToken> AddedTokensOfPieces(const TokenizerSpec& spec, bool user_defined) {
  using PieceType = TokenizerSpec::PieceType;
  std::vector<AddedToken> tokens;
  for (size_t id = 0; id < spec.pieces.size(); ++id) {
    const TokenizerSpec::Piece& piece = spec.pieces[id];
    const bool special = piece.type == PieceType::kControl || piece.type == PieceType::kUnknown;
    if (!special && !(user_defined && piece.type == PieceType::kUserDefined)) continue;
    tokens.push_back({static_cast<int32_t>(id), piece.text, special});
  }
  return tokens;
}

}  // namespace retort
