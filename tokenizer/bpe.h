// SPDX-License-Identifier: Apache-2.0
// Byte-pair encoding of one word with a list of merges.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/merges.h"
#include "tokenizer/text_index.h"
#include "tokenizer/tokenizer.h"

namespace retort {

struct BpeOptions {
  bool ignore_merges = false;  // a word that is a piece becomes that piece, regardless of merges
  // A character that is not a piece becomes its <0xNN> pieces, if all exist.
  bool byte_fallback = false;
  bool fuse_unk = false;  // adjacent unknown characters become one unknown token
};

class BpeModel {
 public:
  // Workspace of Encode(); one per thread.
  struct Scratch {
    std::vector<int32_t> symbols;
    MergeScratch merging;
  };

  // Uses the spec's pieces (text never produces control pieces), merges, unk and byte_level.
  // `spoken[id]`: the bytes that piece id represents in a text. A byte-level model merges over
  // these, any other over the pieces as spelt. Throws Error{kInput} naming an invalid merge.
  BpeModel(const TokenizerSpec& spec, const std::vector<std::string>& spoken, BpeOptions options,
           const std::string& where);

  // Appends the ids of one word. O(n log n) for n characters at worst.
  void Encode(std::string_view word, Scratch* scratch, std::vector<int32_t>* ids) const;
  // The most bytes of a word that one id can stand for; 0: no bound, since unknown characters
  // vanish or fuse.
  size_t BytesPerToken() const;

 private:
  void AddMerges(const TokenizerSpec& spec, const std::string& where);
  void StartBytes(std::string_view word, Scratch* scratch) const;
  void StartCharacters(std::string_view word, Scratch* scratch) const;
  bool PutBytes(std::string_view character, Scratch* scratch) const;

  TextIndex ids_;                      // of the strings in the spec's pieces or in `spoken`
  std::array<int32_t, 256> byte_ids_;  // of single bytes or <0xNN> pieces; -1: none
  MergeTable merges_;
  BpeOptions options_;
  bool byte_level_;
  int32_t unk_;
  size_t longest_ = 4;  // bytes of a piece, or of an unknown character
};

}  // namespace retort
