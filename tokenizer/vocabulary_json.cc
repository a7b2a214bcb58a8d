// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/vocabulary_json.h"

#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/error.h"
#include "base/seeded_hash.h"
#include "tokenizer/bpe_pipeline.h"

namespace retort {
namespace {

using PieceType = TokenizerSpec::PieceType;

void PutPiece(int64_t id, const std::string& text, PieceType type, size_t limit,
              const std::string& where, TokenizerSpec* spec) {
  if (id < 0 || id >= static_cast<int64_t>(limit)) {
    throw InputError(where, ": the id ", id, " of '", text, "' is outside of 0 ... ", limit - 1);
  }
  const auto place = static_cast<size_t>(id);
  while (spec->pieces.size() <= place) {
    spec->pieces.push_back({Cat("[PAD", spec->pieces.size(), "]"), 0, PieceType::kUnused});
  }
  TokenizerSpec::Piece& piece = spec->pieces[place];
  piece = {text, piece.text == text ? piece.score : 0, type};
}

// A text that is listed twice keeps its first id and, once it was special, stays so; the last
// entry's other flags hold.
void PutAddedToken(TokenizerSpec::AddedToken token, TokenizerSpec* spec,
                   std::unordered_map<std::string, size_t, SeededTextHash>* places) {
  const auto [place, is_new] = places->emplace(token.text, spec->added.size());
  if (is_new) return spec->added.push_back(std::move(token));
  TokenizerSpec::AddedToken& known = spec->added[place->second];
  token.id = known.id;
  token.special |= known.special;
  known = std::move(token);
}

TokenizerSpec::AddedToken ReadAddedToken(const Json& token, const std::string& where) {
  TokenizerSpec::AddedToken added;
  added.text = GetString(token, "content", where);
  added.special = GetBool(token, "special", where, false);
  added.lstrip = GetBool(token, "lstrip", where, false);
  added.rstrip = GetBool(token, "rstrip", where, false);
  added.single_word = GetBool(token, "single_word", where, false);
  added.normalized = GetBool(token, "normalized", where, !added.special);
  const int64_t id = GetInt(token, "id", where);
  if (id < 0 || id > std::numeric_limits<int32_t>::max())
    throw InputError(where, ": the id ", id, " of '", added.text, "' is no id");
  added.id = static_cast<int32_t>(id);
  return added;
}

}  // namespace

void ReadVocabulary(const Json& vocab, size_t limit, const std::string& where,
                    TokenizerSpec* spec) {
  if (!vocab.is_object()) throw InputError(where, ": 'vocab' must be an object");
  for (const auto& [text, id] : vocab.items()) {
    if (!id.is_number_integer()) throw InputError(where, ": the id of '", text, "' is no integer");
    PutPiece(id.get<int64_t>(), text, PieceType::kNormal, limit, where, spec);
  }
}

void ReadMerges(Json merges, const std::string& where, TokenizerSpec* spec) {
  if (!merges.is_array()) throw InputError(where, ": 'merges' must be a list");
  spec->merges.reserve(merges.size());
  for (Json& merge : merges) {
    if (merge.is_string()) {
      spec->merges.push_back(std::move(merge.get_ref<std::string&>()));
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
               merge[1].is_string()) {
      spec->merges.push_back(
          Cat(merge[0].get_ref<const std::string&>(), " ", merge[1].get_ref<const std::string&>()));
    } else {
      throw InputError(where, ": merge ", spec->merges.size(),
                       " is neither \"a b\" nor [\"a\", \"b\"]");
    }
  }
}

void ReadScores(const Json& vocab, const std::string& where, TokenizerSpec* spec) {
  if (!vocab.is_array() || vocab.empty())
    throw InputError(where, ": 'vocab' must be a list that is not empty");
  spec->pieces.reserve(vocab.size());
  for (const Json& entry : vocab) {
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number())
      throw InputError(where, ": entry ", spec->pieces.size(),
                       " of 'vocab' must be a text and its score");
    spec->pieces.push_back({entry[0].get<std::string>(), entry[1].get<double>()});
  }
  spec->model_pieces = static_cast<int32_t>(spec->pieces.size());
}

Json ScoresJson(const TokenizerSpec& spec, int64_t count) {
  Json vocab = Json::array();
  for (int64_t id = 0; id < count; ++id) {
    const TokenizerSpec::Piece& piece = spec.pieces[static_cast<size_t>(id)];
    vocab.push_back(Json::array({piece.text, piece.score}));
  }
  return vocab;
}

Json AddedTokensList(const std::vector<TokenizerSpec::AddedToken>& tokens) {
  Json list = Json::array();
  for (const TokenizerSpec::AddedToken& token : tokens) {
    list.push_back({{"id", token.id},
                    {"content", token.text},
                    {"special", token.special},
                    {"lstrip", token.lstrip},
                    {"rstrip", token.rstrip},
                    {"single_word", token.single_word},
                    {"normalized", token.normalized}});
  }
  return list;
}

void ReadAddedTokens(const Json& list, size_t limit, const std::string& where,
                     TokenizerSpec* spec) {
  std::unordered_map<std::string, size_t, SeededTextHash> places;
  for (const Json& token : list) {
    TokenizerSpec::AddedToken added = ReadAddedToken(token, where);
    PutPiece(added.id, added.text, PieceType::kUserDefined, limit, where, spec);
    PutAddedToken(std::move(added), spec, &places);
  }
  for (const TokenizerSpec::AddedToken& token : spec->added) {
    if (token.special) spec->pieces[static_cast<size_t>(token.id)].type = PieceType::kControl;
  }
}

std::string AddedTokensJson(const std::vector<TokenizerSpec::AddedToken>& tokens) {
  return DumpJson(AddedTokensList(tokens));
}

std::vector<TokenizerSpec::AddedToken> AddedTokensFromJson(const std::string& text,
                                                           const std::string& where) {
  std::vector<TokenizerSpec::AddedToken> tokens;
  for (const Json& token : ParseJson(text, where)) tokens.push_back(ReadAddedToken(token, where));
  return tokens;
}

}  // namespace retort
