// SPDX-License-Identifier: Apache-2.0
// Hugging Face's model "Unigram": of all ways to write a word as pieces, the one whose scores add
// up to most. As its library computes it, in double: SentencePiece's own, which adds in float and
// takes whole texts, is not the same in rare texts.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/prefix_table.h"
#include "tokenizer/tokenizer.h"

namespace retort {

class UnigramModel {
 public:
  // Workspace of Encode(); one per thread. `best[i]`: the best way to the word's byte i.
  struct Scratch {
    struct Step {
      double score = 0;
      size_t begin = kNowhere;  // of its last piece
      int32_t id = -1;
    };
    static constexpr size_t kNowhere = static_cast<size_t>(-1);
    std::vector<Step> best;
    std::vector<size_t> ends;
  };

  // Uses the first spec.model_pieces pieces with their scores (text never produces those that are
  // special tokens), unk and byte_fallback.
  UnigramModel(const TokenizerSpec& spec, const std::string& where);

  // Appends the ids of one word. Neighbouring unknown characters are one: their bytes' pieces if
  // there is byte fallback, else one unknown token. Throws Error{kInput} if there is none.
  void Encode(std::string_view word, Scratch* scratch, std::vector<int32_t>* ids) const;
  // The most bytes of a word that one id can stand for; 0: no bound, since unknown characters fuse.
  size_t BytesPerToken() const;

 private:
  struct Piece {
    int32_t id;
    size_t size;
    double score;
  };
  void FindBest(std::string_view word, Scratch* scratch) const;
  void PutUnknown(std::string_view text, std::vector<int32_t>* ids) const;

  PrefixTable table_;
  std::vector<Piece> pieces_;          // by the table's index
  std::array<int32_t, 256> byte_ids_;  // of <0xNN> pieces; -1: none
  std::string where_;
  bool byte_fallback_;
  int32_t unk_;
  double unk_score_;
  size_t longest_ = 4;
};

}  // namespace retort
