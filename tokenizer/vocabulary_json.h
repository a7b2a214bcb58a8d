// SPDX-License-Identifier: Apache-2.0
// Reads the pieces of a tokenizer.json: the vocabulary and merges of its model, and the added
// tokens.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "tokenizer/tokenizer.h"

namespace retort {

// Limit on the ids that a file may skip, so that a wrong id cannot allocate unbounded memory.
inline constexpr size_t kMaxGaps = 1 << 16;

// All throw Error{kInput}. `limit`: ids are below it.
// BPE: an object of texts with their ids, and a list of "a b" or ["a", "b"].
void ReadVocabulary(const Json& vocab, size_t limit, const std::string& where, TokenizerSpec* spec);
void ReadMerges(Json merges, const std::string& where, TokenizerSpec* spec);
// Unigram: a list of texts with their scores; sets model_pieces.
void ReadScores(const Json& vocab, const std::string& where, TokenizerSpec* spec);
// The same list of the first pieces.
Json ScoresJson(const TokenizerSpec& spec, int64_t count);
// How many pieces a Unigram model has, where its vocabulary is left out (StepsOf).
inline constexpr const char* kPieceCount = "retort_pieces";

// Gives the added tokens their pieces, and lists them in the spec.
void ReadAddedTokens(const Json& list, size_t limit, const std::string& where, TokenizerSpec* spec);
Json AddedTokensList(const std::vector<TokenizerSpec::AddedToken>& tokens);

}  // namespace retort
