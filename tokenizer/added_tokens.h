// SPDX-License-Identifier: Apache-2.0
// Added tokens: texts that are one token wherever they stand, found before anything else.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace retort {

// A stretch of text, or the token found between two of them.
struct Run {
  int32_t id = -1;        // the token, or -1 for text
  std::string_view text;  // of the text; empty for a token
  bool first = false;     // begins the whole text
};

// Segments laid end to end, with the stretches that are markup.
class MarkedText {
 public:
  explicit MarkedText(const std::vector<Segment>& segments);
  std::string_view text() const { return text_; }
  bool has_markup() const { return !markup_.empty(); }
  // Whether all of [begin, end) is markup.
  bool IsMarkup(size_t begin, size_t end) const;

 private:
  struct Range {
    size_t begin, end;
  };
  std::string text_;
  std::vector<Range> markup_;  // ascending, with gaps between
};

class AddedTokenFinder {
 public:
  // Empty texts are passed over.
  explicit AddedTokenFinder(std::vector<TokenizerSpec::AddedToken> tokens);

  // Cuts text at the tokens in it, leftmost first and the longest of those that begin at one place.
  // Special tokens are found only where all of their text is markup. No run of text is empty.
  std::vector<Run> Cut(const MarkedText& text) const;
  // The same where nothing is markup.
  std::vector<Run> Cut(std::string_view text) const;
  bool empty() const { return tokens_.empty(); }

 private:
  std::vector<Run> Cut(std::string_view text, const MarkedText* marked) const;
  const TokenizerSpec::AddedToken* At(std::string_view text, size_t pos,
                                      const MarkedText* marked) const;

  std::vector<TokenizerSpec::AddedToken> tokens_;         // the longest first
  std::array<std::vector<uint32_t>, 256> by_first_byte_;  // indices into tokens_, as they stand
  std::array<bool, 256> begins_{},
      begins_plain_{};  // bytes that begin any; one that is not special
  bool plain_ = false;  // whether there is one that is not special
};

// The control and unknown pieces as special tokens, and the user-defined ones as tokens that are
// not: for files that list pieces alone.
std::vector<TokenizerSpec::AddedToken> AddedTokensOfPieces(const TokenizerSpec& spec,
                                                           bool user_defined);

}  // namespace retort
