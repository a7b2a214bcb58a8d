// SPDX-License-Identifier: Apache-2.0
// SentencePiece's byte-pair models, encoded without the library: the same ids, on a table of pairs
// instead of a search for each pair's text.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenizer/merges.h"
#include "tokenizer/text_index.h"
#include "tokenizer/tokenizer.h"

namespace retort {

class SentencePieceBpe {
 public:
  struct Scratch {
    std::string text;
    std::vector<int32_t> symbols;
    MergeScratch merging;
  };

  // `spec` has passed CheckSentencePieceSpec and must outlive the encoder. nullptr where the
  // library is needed: unigram models, a normaliser's table, spaces taken away, and pieces of rare
  // kinds (unused ones, control pieces of one character, very long or very many user-defined ones).
  static std::unique_ptr<SentencePieceBpe> Make(const TokenizerSpec& spec);

  // Appends the ids of a text as it is: no space is put before it. O(n log n) for n characters.
  // Throws Error{kInput} on 2 GiB of text.
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
  std::array<int32_t, 128> ascii_ids_;  // the same for one byte
  std::array<std::vector<int32_t>, 256>
      user_;  // user-defined pieces by first byte, the longest first
  // Characters that pieces are made of without being one. In symbols their ids follow the pieces';
  // a character that no piece holds is -2 less its place in the text.
  std::vector<std::string_view> strays_;
  std::unordered_map<std::string_view, int32_t> stray_ids_;
  int32_t unk_ = -1;
  std::array<int32_t, 256> byte_ids_;
  MergeTable merges_;
};

}  // namespace retort
