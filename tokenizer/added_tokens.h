// SPDX-License-Identifier: Apache-2.0
// Added tokens: texts that are one token wherever they occur, found before any other processing.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/prefix_table.h"
#include "tokenizer/tokenizer.h"

namespace retort {

// A run of text, or an added token between two runs of text.
struct Run {
  int32_t id = -1;        // the token, or -1 for text
  std::string_view text;  // of the text; empty for a token
  bool first = false;     // at the beginning of the whole text
};

// The concatenated text of segments, and the ranges in it that are markup.
class MarkedText {
 public:
  explicit MarkedText(const std::vector<Segment>& segments);
  std::string_view text() const { return text_; }
  bool has_markup() const { return !markup_.empty(); }
  // Whether all of [begin, end) is markup.
  bool IsMarkup(size_t begin, size_t end) const;
  // The parts of [begin, end) that are markup and those that are not, in order.
  std::vector<Segment> Parts(size_t begin, size_t end) const;

 private:
  struct Range {
    size_t begin, end;
  };
  std::string text_;
  std::vector<Range> markup_;  // ascending, not adjacent
};

class AddedTokenFinder {
 public:
  // Tokens with empty texts are ignored. Throws Error{kInput} naming `where` if a token's text is
  // too long, or too many tokens begin one another (prefix_table.h).
  AddedTokenFinder(std::vector<TokenizerSpec::AddedToken> tokens, const std::string& where);

  // Splits text at the tokens in it, as Hugging Face's library does: leftmost first, the longest of
  // those that begin at the same position, and the next one after the token's own text, even within
  // spaces that it took away (lstrip, rstrip). A single_word token that does not stand alone hides
  // those within its text. Special tokens are found only where all of their text is markup. No run
  // of text is empty.
  std::vector<Run> Cut(const MarkedText& text) const;
  // The same for text without markup.
  std::vector<Run> Cut(std::string_view text) const;
  bool empty() const { return tokens_.empty(); }
  // Whether any of the tokens is special.
  bool has_special() const { return special_; }
  // The most bytes that one of the tokens can stand for; 0: no bound, since one takes away spaces.
  size_t BytesPerToken() const;

 private:
  std::vector<Run> Cut(std::string_view text, const MarkedText* marked) const;
  const TokenizerSpec::AddedToken* At(std::string_view text, size_t pos,
                                      const MarkedText* marked) const;

  std::vector<TokenizerSpec::AddedToken> tokens_;
  PrefixTable table_;  // of the tokens' texts
  // The first bytes of all tokens, and of those that are not special.
  std::array<bool, 256> begins_{}, begins_plain_{};
  bool plain_ = false, special_ = false;  // whether any token is not special, or is
};

// For files that list only pieces: the control and unknown pieces as special tokens and, if
// `user_defined`, the user-defined pieces as tokens that are not special.
std::vector<TokenizerSpec::AddedToken> AddedTokensOfPieces(const TokenizerSpec& spec,
                                                           bool user_defined);

}  // namespace retort
