// SPDX-License-Identifier: Apache-2.0
// Byte-pair encoding of one word, by a list of merges.
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
  bool ignore_merges = false;  // a word that is a piece is that piece, whatever the merges say
  bool byte_fallback =
      false;              // a character that is no piece becomes its <0xNN> pieces, if all exist
  bool fuse_unk = false;  // neighbouring unknown characters are one unknown token
};

class BpeModel {
 public:
  // What encoding writes to; one per thread.
  struct Scratch {
    std::vector<int32_t> symbols;
    MergeScratch merging;
  };

  // Uses the spec's pieces (control pieces are never made from text), merges, unk and byte_level.
  // `spoken[id]`: the bytes that piece id stands for within a text; a byte-level model is over
  // these, any other over the pieces as spelt. Throws Error{kInput} naming a merge that does not
  // fit.
  BpeModel(const TokenizerSpec& spec, const std::vector<std::string>& spoken, BpeOptions options,
           const std::string& where);

  // Appends the ids of one word. O(n log n) for n characters.
  void Encode(std::string_view word, Scratch* scratch, std::vector<int32_t>* ids) const;

 private:
  void AddMerges(const TokenizerSpec& spec, const std::string& where);
  void StartBytes(std::string_view word, Scratch* scratch) const;
  void StartCharacters(std::string_view word, Scratch* scratch) const;
  bool PutBytes(std::string_view character, Scratch* scratch) const;

  TextIndex ids_;                      // of the spec's or spoken's strings
  std::array<int32_t, 256> byte_ids_;  // of single bytes or <0xNN> pieces, -1: none
  MergeTable merges_;
  BpeOptions options_;
  bool byte_level_;
  int32_t unk_;
};

}  // namespace retort
