// SPDX-License-Identifier: Apache-2.0
// Byte-pair encoding of one word: merge the pair of best rank, the leftmost of equals, until no
// pair has one (Sennrich et al., arXiv 1508.07909).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer.h"
#include "data/tokenizer/text_index.h"

namespace retort {

// (left id, right id) -> rank and merged id; open addressing, read-only once filled.
class MergeTable {
 public:
  struct Merge {
    uint64_t pair = kNone;
    int32_t rank = 0;
    int32_t id = 0;
  };
  void Reserve(size_t merges);
  // A pair that is there already gets the new rank.
  void Put(int32_t left, int32_t right, int32_t rank, int32_t id);
  const Merge* Find(int32_t left, int32_t right) const {  // nullptr when absent
    const uint64_t pair = Key(left, right);
    for (size_t i = Slot(pair);; i = (i + 1) & mask_) {
      if (slots_[i].pair == pair) return &slots_[i];
      if (slots_[i].pair == kNone) return nullptr;
    }
  }

 private:
  static constexpr uint64_t kNone = ~uint64_t{0};
  static uint64_t Key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  size_t Slot(uint64_t pair) const { return (pair * 0x9E3779B97F4A7C15u >> 20) & mask_; }

  std::vector<Merge> slots_ = std::vector<Merge>(1);
  size_t mask_ = 0;
};

struct BpeOptions {
  bool ignore_merges = false;  // a word that is a piece is that piece, whatever the merges say
  bool byte_fallback =
      false;              // a character that is no piece becomes its <0xNN> pieces, if all exist
  bool fuse_unk = false;  // neighbouring unknown characters are one unknown token
};

class BpeModel {
 public:
  // What encoding writes to; one per thread.
  struct Scratch {
    struct Symbol {
      int32_t id, previous, next;  // neighbours' places, -1 at the ends; id -1 once merged away
    };
    struct Candidate {
      int32_t rank, place, left, right, id;
    };
    std::vector<Symbol> symbols;
    std::vector<Candidate> heap;
  };

  // Uses the spec's pieces (control pieces are never made from text), merges, unk and byte_level.
  // `spoken[id]`: the bytes that piece id stands for within a text; a byte-level model is over
  // these, any other over the pieces as spelt. Throws Error{kInput} naming a merge that does not fit.
  BpeModel(const TokenizerSpec& spec, const std::vector<std::string>& spoken, BpeOptions options,
           const std::string& where);

  // Appends the ids of one word. O(n log n) for n characters.
  void Encode(std::string_view word, Scratch* scratch, std::vector<int32_t>* ids) const;

 private:
  void AddMerges(const TokenizerSpec& spec, const std::string& where);
  void StartBytes(std::string_view word, Scratch* scratch) const;
  void StartCharacters(std::string_view word, Scratch* scratch) const;
  bool PutBytes(std::string_view character, Scratch* scratch) const;
  void Merge(Scratch* scratch) const;

  TextIndex ids_;                      // of the spec's or spoken's strings
  std::array<int32_t, 256> byte_ids_;  // of single bytes or <0xNN> pieces, -1: none
  MergeTable merges_;
  BpeOptions options_;
  bool byte_level_;
  int32_t unk_;
};

}  // namespace retort
