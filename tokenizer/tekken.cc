// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/tekken.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "base/work_budget.h"
#include "tokenizer/pre_names.h"
#include "tokenizer/precompiled.h"
#include "tokenizer/text_index.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

using PieceType = TokenizerSpec::PieceType;

constexpr int64_t kMaxIds = 1 << 22;
// Bytes that may be looked up to find all ways to cut the sequences in two. Mistral's need 60
// million.
constexpr uint64_t kCutLookUps = uint64_t{1} << 31;

// The names of the first special tokens in files that do not list them.
constexpr const char* kOldNames[] = {"<unk>",
                                     "<s>",
                                     "</s>",
                                     "[INST]",
                                     "[/INST]",
                                     "[AVAILABLE_TOOLS]",
                                     "[/AVAILABLE_TOOLS]",
                                     "[TOOL_RESULTS]",
                                     "[/TOOL_RESULTS]",
                                     "[TOOL_CALLS]",
                                     "[IMG]",
                                     "<pad>",
                                     "[IMG_BREAK]",
                                     "[IMG_END]",
                                     "[PREFIX]",
                                     "[MIDDLE]",
                                     "[SUFFIX]",
                                     "[SYSTEM_PROMPT]",
                                     "[/SYSTEM_PROMPT]",
                                     "[TOOL_CONTENT]"};

const Json& ListOf(const Json& file, const char* key, const std::string& where) {
  const auto it = file.find(key);
  if (it == file.end() || !it->is_array()) throw InputError(where, ": '", key, "' must be a list");
  return *it;
}

void PutSpecialTokens(const Json& file, int64_t count, const std::string& where,
                      TokenizerSpec* spec) {
  std::vector<std::string> names(static_cast<size_t>(count));
  for (size_t id = 0; id < names.size(); ++id) names[id] = Cat("<SPECIAL_", id, ">");
  const auto listed = file.find("special_tokens");
  if (listed == file.end() || listed->is_null()) {
    for (size_t id = 0; id < std::min(names.size(), std::size(kOldNames)); ++id)
      names[id] = kOldNames[id];
  } else {
    for (const Json& token : ListOf(file, "special_tokens", where)) {
      const int64_t rank = GetInt(token, "rank", where);
      if (rank < 0 || rank >= count)
        throw InputError(where, ": special token ", rank, " is outside of 0 ... ", count - 1);
      names[static_cast<size_t>(rank)] = GetString(token, "token_str", where);
    }
  }
  for (size_t id = 0; id < names.size(); ++id) {
    spec->pieces.push_back({names[id], 0, PieceType::kControl});
    spec->added.push_back({.id = static_cast<int32_t>(id), .text = names[id], .special = true});
  }
}

std::string LettersOf(std::string_view bytes) {
  std::string letters;
  for (const char byte : bytes) AppendUtf8(ByteToLetter(static_cast<uint8_t>(byte)), &letters);
  return letters;
}

// The sequences of bytes by rank.
std::vector<std::string> Sequences(const Json& vocab, size_t count, const std::string& where) {
  if (vocab.size() < count)
    throw InputError(where, ": 'vocab' has ", vocab.size(), " entries for ", count, " ids");
  std::vector<std::string> sequences(count);
  for (size_t rank = 0; rank < count; ++rank) {
    const Json& entry = vocab[rank];
    if (GetInt(entry, "rank", where) != static_cast<int64_t>(rank))
      throw InputError(where, ": entry ", rank, " of 'vocab' has another rank");
    if (!DecodeBase64(GetString(entry, "token_bytes", where), &sequences[rank]) ||
        sequences[rank].empty())
      throw InputError(where, ": entry ", rank, " of 'vocab' has no 'token_bytes' in base64");
  }
  return sequences;
}

// Two neighbours become the sequence of both with the lowest rank: all ways to cut a sequence in
// two known ones are merges.
void PutMerges(const std::vector<std::string>& sequences, const std::string& where,
               TokenizerSpec* spec) {
  TextIndex ranks;
  ranks.Reserve(sequences.size());
  for (size_t rank = 0; rank < sequences.size(); ++rank)
    ranks.Put(sequences[rank], static_cast<int32_t>(rank));
  WorkBudget look_ups(kCutLookUps);
  for (const std::string& whole : sequences) {
    if (!look_ups.Take(whole.size() * whole.size()))
      throw InputError(where, ": the entries of 'vocab' are too long");
    std::vector<std::pair<int32_t, int32_t>> cuts;
    for (size_t cut = 1; cut < whole.size(); ++cut) {
      const int32_t left = ranks.Find(std::string_view(whole).substr(0, cut));
      const int32_t right = left < 0 ? -1 : ranks.Find(std::string_view(whole).substr(cut));
      if (right >= 0) cuts.emplace_back(left, right);
    }
    std::ranges::sort(cuts);
    for (const auto& [left, right] : cuts) {
      spec->merges.push_back(Cat(LettersOf(sequences[static_cast<size_t>(left)]), " ",
                                 LettersOf(sequences[static_cast<size_t>(right)])));
    }
  }
}

int32_t IdOfSpecial(const TokenizerSpec& spec, std::string_view text) {
  for (const TokenizerSpec::AddedToken& token : spec.added) {
    if (token.text == text) return token.id;
  }
  return -1;
}

}  // namespace

TokenizerSpec ParseTekken(const std::string& text, const std::string& where) {
  const Json file = ParseJson(text, where);
  const auto config = file.is_object() ? file.find("config") : file.end();
  if (!file.is_object() || config == file.end() || !config->is_object())
    throw InputError(where, ": must be an object with a 'config'");
  const std::string in_config = where + ": config";
  const int64_t ids = GetInt(*config, "default_vocab_size", in_config);
  const int64_t special = GetInt(*config, "default_num_special_tokens", in_config);
  if (special < 0 || ids <= special || ids > kMaxIds)
    throw InputError(in_config, ": ", special, " special tokens of ", ids, " ids are not possible");
  TokenizerSpec spec;
  spec.byte_level = spec.ignore_merges = true;
  PutSpecialTokens(file, special, where, &spec);
  const std::vector<std::string> sequences =
      Sequences(ListOf(file, "vocab", where), static_cast<size_t>(ids - special), where);
  for (const std::string& sequence : sequences) spec.pieces.push_back({LettersOf(sequence)});
  PutMerges(sequences, where, &spec);
  const std::string pattern = GetString(*config, "pattern", in_config);
  spec.pre = PreNameFor({{{}, {{pattern}}}}, spec, /*thorough=*/true);
  if (spec.pre.empty()) {
    throw InputError(in_config, ": the expression ", Quoted(pattern),
                     " is none of the known pre-tokenizers'");
  }
  spec.bos = IdOfSpecial(spec, "<s>");
  spec.eos = IdOfSpecial(spec, "</s>");
  spec.unk = IdOfSpecial(spec, "<unk>");
  spec.pad = IdOfSpecial(spec, "<pad>");
  spec.add_bos = spec.bos >= 0;
  return spec;
}

}  // namespace retort
