// SPDX-License-Identifier: Apache-2.0
// Which tokens of a vocabulary a grammar allows at a place in a text.
//
// A thread stands within a terminal and on a stack. Which tokens stay within the terminal depends
// on its state alone and is kept (`Head`); only tokens that go beyond its end are walked with the
// stack. Within a JSON string, the tokens of plain characters are not walked at all.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "grammar/parser.h"
#include "grammar/vocabulary.h"

namespace retort {

// Not thread-safe.
class TokenMasks {
 public:
  static constexpr size_t kMostBytes = size_t{32} << 20;  // kept; beyond it they are made again

  // All must outlive it.
  TokenMasks(Parser& parser, const Vocabulary& vocabulary);

  // Sets the bits of the tokens that are allowed, and clears the others. `bits` has
  // Vocabulary::mask_words() words.
  void Fill(const Parser::Configuration& at, std::span<uint64_t> bits);

  size_t bytes() const { return bytes_; }

 private:
  using State = Automaton::State;
  // A node of a trie at which the terminal may be complete, and below which tokens go on.
  struct Exit {
    const TokenTrie* trie;
    uint32_t node;
  };
  struct Head {
    std::vector<int32_t> ids;  // few tokens
    TokenMask mask;            // or many; empty: none
    std::vector<Exit> exits;
  };

  const Head& HeadOf(State state);
  Head MakeHead(State state);
  // Walks a trie's nodes from `begin` to `end` with the state in which the node above them is, and
  // adds the tokens of those that it leaves alive.
  void Walk(const TokenTrie& trie, uint32_t begin, uint32_t end, State state, Head& head);
  // Goes on behind the exits with what the stack says. nested: they are behind other exits, where
  // many ways may lead to one place; none is gone on from twice.
  void FollowExits(std::span<const Exit> exits, Parser::FrameId frame, bool nested,
                   std::span<uint64_t> bits);
  // Whether a call of Fill sees the exit before this frame for the first time.
  bool IsNew(const Exit& exit, Parser::FrameId frame);
  // Turns looks at nodes and threads, which cost less than steps, into steps of Parser::Allow.
  void ChargeLooks();

  // A set of keys that is emptied at no cost.
  class KeySet {
   public:
    void Clear();
    bool Insert(uint64_t key);

   private:
    struct Slot {
      uint64_t key = 0, round = 0;  // in which it was filled
    };
    bool Place(uint64_t key);
    std::vector<Slot> slots_ = std::vector<Slot>(64);  // a power of two
    uint64_t round_ = 1;
    size_t size_ = 0;
  };

  Parser& parser_;
  Automaton& automaton_;
  const Vocabulary& vocabulary_;
  std::unordered_map<State, std::unique_ptr<Head>> heads_;
  std::vector<State> states_;  // of a walk, by depth
  size_t bytes_ = 0;
  KeySet followed_;   // nested exits of a call of Fill
  size_t looks_ = 0;  // not charged yet
};

}  // namespace retort
