// SPDX-License-Identifier: Apache-2.0
// The texts of a tokenizer's tokens as tries, which a grammar is walked through to find the tokens
// that it allows.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace retort {

// A set of token ids: bit id % 64 of word id / 64.
using TokenMask = std::vector<uint64_t>;

// A trie in preorder: the nodes below a node stand right behind it.
class TokenTrie {
 public:
  struct Node {
    uint32_t end;    // the node behind the last one below
    uint32_t first;  // where the ids of its own tokens begin in `ids`; they end where the next
                     // node's begin
    uint8_t byte;
    uint8_t depth;  // bytes from the root, which has no node
  };

  struct Token {
    std::string_view text;
    int32_t id;
  };
  // Texts of 1 to kLongestToken bytes, in any order.
  explicit TokenTrie(std::vector<Token> tokens);

  uint32_t size() const { return static_cast<uint32_t>(nodes_.size() - 1); }
  const Node& operator[](uint32_t index) const { return nodes_[index]; }
  std::span<const int32_t> TokensAt(uint32_t node) const { return Ids(node, node + 1); }
  std::span<const int32_t> TokensBelow(uint32_t node) const { return Ids(node, nodes_[node].end); }

 private:
  std::span<const int32_t> Ids(uint32_t from, uint32_t to) const {
    return std::span(ids_).subspan(nodes_[from].first, nodes_[to].first - nodes_[from].first);
  }

  std::vector<Node> nodes_;  // and one behind the last
  std::vector<int32_t> ids_;
};

// Immutable and shared by all threads.
class Vocabulary {
 public:
  static constexpr size_t kLongestToken = 255;  // bytes; longer ones are never allowed
  // Characters of a plain token, and bytes of the tokens that are common.
  static constexpr uint32_t kMostPlain = 32;

  // Control tokens have no text and are in no trie, but for those that are `shown`.
  explicit Vocabulary(const Tokenizer& tokenizer, std::span<const int32_t> shown = {});

  int32_t size() const { return size_; }
  size_t mask_words() const { return (static_cast<size_t>(size_) + 63) / 64; }
  const std::string& TextOf(int32_t id) const { return texts_[static_cast<size_t>(id)]; }

  // A text to be encoded, with the control tokens that are shown as such.
  std::vector<Segment> SegmentsOf(std::string_view text) const;

  // Tokens of whole characters that a JSON string has as they are, at most kMostPlain of them.
  const TokenTrie& plain() const { return plain_; }
  // The others of at most kMostPlain bytes, and all longer ones.
  const TokenTrie& others() const { return others_; }
  const TokenTrie& long_ones() const { return long_; }
  // The plain tokens of at most so many characters.
  const TokenMask& PlainUpTo(uint32_t characters) const {
    return plain_masks_[std::min(characters, kMostPlain)];
  }

 private:
  enum class Part { kPlain, kOthers, kLong };
  static Part PartOf(std::string_view text);
  std::vector<TokenTrie::Token> TokensOf(Part part) const;

  int32_t size_;
  std::vector<std::string> texts_;
  std::vector<int32_t> shown_;
  TokenTrie plain_, others_, long_;
  std::vector<TokenMask> plain_masks_;
};

}  // namespace retort
