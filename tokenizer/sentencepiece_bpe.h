// SPDX-License-Identifier: Apache-2.0
// Encodes with SentencePiece's byte-pair models without the library: the same ids, using a table of
// pairs instead of looking up each pair's text.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/seeded_hash.h"
#include "tokenizer/merges.h"
#include "tokenizer/prefix_table.h"
#include "tokenizer/text_index.h"
#include "tokenizer/tokenizer.h"

namespace retort {

// A text as the library has it with remove_extra_whitespaces: without spaces at its ends, and with
// one where there were several. `prefix`: with a space before it, if anything is left. `continues`:
// with one where the text begins with some.
std::string WithoutExtraSpaces(std::string_view text, bool prefix, bool continues = false);

class SentencePieceBpe {
 public:
  struct Scratch {
    std::string text;
    std::vector<int32_t> symbols;
    MergeScratch merging;
  };

  // `spec` must have passed CheckSentencePieceSpec and must outlive the encoder. Returns nullptr if
  // the library is needed: for unigram models, a normaliser's table, and
  // rare kinds of pieces (unused ones, control pieces of one character, very long ones).
  static std::unique_ptr<SentencePieceBpe> Make(const TokenizerSpec& spec);

  // Appends the ids of a text; puts no space before it and removes none. O(n log n) for n
  // characters. Throws Error{kInput} on texts of 2 GiB or more.
  void Encode(std::string_view text, Scratch* scratch, std::vector<int32_t>* ids) const;

 private:
  explicit SentencePieceBpe(const TokenizerSpec& spec);
  void AddPieces();
  void AddMerges();
  void AddMergesOf(int32_t id, int32_t rank, std::vector<MergeTable::Merge>* merges);
  int32_t PartId(std::string_view part);
  int32_t UserPieceAt(std::string_view text, size_t pos) const;
  int32_t SymbolAt(std::string_view text, size_t pos, size_t* size) const;
  void PutUnknown(std::string_view character, bool after_unknown, std::vector<int32_t>* ids) const;

  const TokenizerSpec& spec_;
  TextIndex ids_;                       // of normal pieces
  std::array<int32_t, 128> ascii_ids_;  // the same for one ASCII character
  PrefixTable user_;                    // the texts of user_ids_
  std::vector<int32_t> user_ids_;       // user-defined pieces
  // Characters that occur in pieces without being a piece. As symbols, their ids follow those of
  // the pieces. A character that occurs in no piece has the symbol -2 minus its position in the
  // text.
  std::vector<std::string_view> strays_;
  std::unordered_map<std::string_view, int32_t, SeededTextHash> stray_ids_;
  int32_t unk_ = -1;
  std::array<int32_t, 256> byte_ids_;
  MergeTable merges_;
};

}  // namespace retort
