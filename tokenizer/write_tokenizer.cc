// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/write_tokenizer.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "base/error.h"
#include "base/json.h"
#include "tokenizer/added_tokens.h"
#include "tokenizer/bpe_pipeline.h"
#include "tokenizer/pre_names.h"
#include "tokenizer/scored_merges.h"
#include "tokenizer/sentencepiece_file.h"
#include "tokenizer/text_steps_json.h"
#include "tokenizer/utf8.h"
#include "tokenizer/vocabulary_json.h"

namespace retort {
namespace {

using AddedToken = TokenizerSpec::AddedToken;
using PieceType = TokenizerSpec::PieceType;

// Without the rows at the end that stand for nothing.
TokenizerSpec WithoutPadding(TokenizerSpec spec) {
  while (spec.pieces.size() > 1 && spec.pieces.back().type == PieceType::kUnused)
    spec.pieces.pop_back();
  return spec;
}

// Else such pieces are symbols within the text, which only a tokenizer.model says.
bool CutsUserDefined(const TokenizerSpec& spec) {
  return spec.kind == TokenizerSpec::Kind::kBpe || spec.cut_user_defined;
}

std::vector<AddedToken> AddedTokensOf(const TokenizerSpec& spec) {
  std::vector<AddedToken> tokens = spec.added;
  std::unordered_set<int32_t> known;
  for (const AddedToken& token : tokens) known.insert(token.id);
  for (AddedToken& token : AddedTokensOfPieces(spec, CutsUserDefined(spec))) {
    if (!known.contains(token.id)) tokens.push_back(std::move(token));
  }
  std::ranges::sort(tokens, {}, &AddedToken::id);
  return tokens;
}

const std::string& TextOf(const TokenizerSpec& spec, int32_t id) {
  return spec.pieces[static_cast<size_t>(id)].text;
}

// Whether a piece may be named as a special token, which is never read from content. The ids of
// others, such as a plain byte that ends a text, are in config.json alone.
bool IsSpecial(const TokenizerSpec& spec, int32_t id) {
  if (id < 0 || id >= std::ssize(spec.pieces)) return false;
  const PieceType type = spec.pieces[static_cast<size_t>(id)].type;
  return type == PieceType::kControl || type == PieceType::kUnknown;
}

Json FlagsJson(const AddedToken& token) {
  return {{"content", token.text},  {"single_word", token.single_word}, {"lstrip", token.lstrip},
          {"rstrip", token.rstrip}, {"normalized", token.normalized},   {"special", token.special}};
}

// The vocabulary of a BPE model: all pieces but the added tokens at its end, which follow it.
Json VocabularyJson(const TokenizerSpec& spec, const std::vector<AddedToken>& added) {
  std::unordered_set<int32_t> is_added;
  for (const AddedToken& token : added) is_added.insert(token.id);
  size_t size = spec.pieces.size();
  while (size > 1 && is_added.contains(static_cast<int32_t>(size - 1))) --size;
  Json vocabulary = Json::object();
  for (size_t id = 0; id < size; ++id) AddMember(vocabulary, spec.pieces[id].text, id);
  return vocabulary;
}

Json MetaSpaceNormalizer(const TokenizerSpec& spec) {
  Json replace = {
      {"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", std::string(kMetaSpace)}};
  if (!spec.add_space_prefix) return replace;
  const Json prepend = {{"type", "Prepend"}, {"prepend", std::string(kMetaSpace)}};
  return {{"type", "Sequence"}, {"normalizers", Json::array({prepend, replace})}};
}

Json MetaSpaceDecoder(const TokenizerSpec& spec) {
  Json steps = Json::array(
      {{{"type", "Replace"}, {"pattern", {{"String", std::string(kMetaSpace)}}}, {"content", " "}},
       {{"type", "ByteFallback"}},
       {{"type", "Fuse"}}});
  if (spec.strip_space)
    steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  return {{"type", "Sequence"}, {"decoders", steps}};
}

// BOS before a text and the end behind it, where the tokenizer adds them.
Json TemplateJson(const TokenizerSpec& spec) {
  const auto token = [&](int32_t id, int type) -> Json {
    return {{"SpecialToken", {{"id", TextOf(spec, id)}, {"type_id", type}}}};
  };
  Json single = Json::array(), pair = Json::array(), named = Json::object();
  const auto add_text = [&](const char* name, int type) {
    const Json text = {{"Sequence", {{"id", name}, {"type_id", type}}}};
    for (Json* list : {&single, &pair}) {
      if (list == &single && type != 0) continue;
      if (spec.add_bos) list->push_back(token(spec.bos, type));
      list->push_back(text);
      if (spec.add_eos) list->push_back(token(spec.eos, type));
    }
  };
  add_text("A", 0), add_text("B", 1);
  for (const int32_t id : {spec.add_bos ? spec.bos : -1, spec.add_eos ? spec.eos : -1}) {
    if (id < 0) continue;
    const std::string& text = TextOf(spec, id);
    named[text] = {{"id", text}, {"ids", Json::array({id})}, {"tokens", Json::array({text})}};
  }
  return {{"type", "TemplateProcessing"},
          {"single", single},
          {"pair", pair},
          {"special_tokens", named}};
}

Json PostProcessorJson(const TokenizerSpec& spec) {
  const bool adds = spec.add_bos || spec.add_eos;
  if (!spec.byte_level) return adds ? TemplateJson(spec) : Json();
  Json bytes = ByteLevelJson(/*add_prefix_space=*/true, /*use_regex=*/true);
  if (!adds) return bytes;
  return {{"type", "Sequence"}, {"processors", Json::array({bytes, TemplateJson(spec)})}};
}

Json ModelJson(const TokenizerSpec& spec, const std::vector<AddedToken>& added,
               const std::vector<std::string>& merges, bool ignore_merges) {
  const bool unknown = !spec.byte_level && spec.unk >= 0;
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", unknown ? Json(TextOf(spec, spec.unk)) : Json()},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", nullptr},
          {"fuse_unk", !spec.byte_level},
          {"byte_fallback", spec.byte_fallback},
          {"ignore_merges", ignore_merges},
          {"vocab", VocabularyJson(spec, added)},
          {"merges", merges}};
}

Json TokenizerJson(const TokenizerSpec& spec, const std::vector<AddedToken>& added, Json normalizer,
                   Json pre_tokenizer, Json decoder, Json model) {
  Json tokens = Json::array();
  for (const AddedToken& token : added) {
    Json one = {{"id", token.id}};
    one.update(FlagsJson(token));
    tokens.push_back(std::move(one));
  }
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", tokens},
          {"normalizer", std::move(normalizer)},
          {"pre_tokenizer", std::move(pre_tokenizer)},
          {"post_processor", PostProcessorJson(spec)},
          {"decoder", std::move(decoder)},
          {"model", std::move(model)}};
}

Json ByteLevelTokenizer(const TokenizerSpec& spec, const std::vector<AddedToken>& added,
                        const std::string& where) {
  const PreName* pre = FindPreName(spec.pre);
  if (!pre)
    throw InputError(where, ": pre-tokenizer '", spec.pre,
                     "' is not known; known: ", KnownPreNames());
  return TokenizerJson(
      spec, added, spec.nfc ? Json::object({{"type", "NFC"}}) : Json(),
      PreTokenizerJson(pre->splits, spec.add_space_prefix, where), ByteLevelJson(true, true),
      ModelJson(spec, added, spec.merges, spec.ignore_merges || pre->ignore_merges));
}

Json MetaSpaceTokenizer(const TokenizerSpec& spec, const std::vector<AddedToken>& added,
                        const std::vector<std::string>& merges) {
  return TokenizerJson(spec, added, MetaSpaceNormalizer(spec), Json(), MetaSpaceDecoder(spec),
                       ModelJson(spec, added, merges, false));
}

// The tokenizer.json that a file of Retort's keeps, with its vocabulary and merges again.
Json KeptTokenizer(const TokenizerSpec& spec, std::vector<AddedToken>* added,
                   const std::string& where) {
  Json kept = ParseJson(spec.tokenizer_steps, where);
  *added = AddedTokensFromJson(DumpJson(kept["added_tokens"]), where);
  if (Json& model = kept["model"]; GetString(model, "type", where, "") == "Unigram") {
    const int64_t count = GetInt(model, kPieceCount, where);
    model["vocab"] = ScoresJson(spec, std::clamp<int64_t>(count, 0, std::ssize(spec.pieces)));
    model.erase(kPieceCount);
    return kept;
  }
  kept["model"]["vocab"] = VocabularyJson(spec, *added);
  kept["model"]["merges"] = spec.merges;
  return kept;
}

void WriteJson(const Json& json, const Path& path, int indent) {
  WriteTextAtomically(path, DumpJson(json, indent) + "\n");
}

std::vector<std::string> WriteSentencePiece(const TokenizerSpec& spec,
                                            const std::vector<AddedToken>& added,
                                            const Path& folder, const std::string& where) {
  CheckSentencePieceSpec(spec, where);
  WriteTextAtomically(folder / "tokenizer.model", SentencePieceFile(spec));
  const bool odd = std::ranges::any_of(spec.pieces, [&](const auto& piece) {
    return piece.type == PieceType::kUnused ||
           (piece.type == PieceType::kUserDefined && !CutsUserDefined(spec));
  });
  if (!spec.unigram && spec.charsmap.empty() && !spec.remove_extra_whitespaces && !odd) {
    if (const auto merges = MergesOfScores(spec)) {
      WriteJson(MetaSpaceTokenizer(spec, added, *merges), folder / "tokenizer.json", -1);
      return {};
    }
  }
  return {
      "tokenizer.model is its only file: merges cannot say what its scores and rules say, and "
      "other programs may read rare texts otherwise"};
}

Json ConfigOf(const TokenizerSpec& spec, const std::vector<AddedToken>& added,
              int64_t max_positions) {
  Json decoder = Json::object();
  for (const AddedToken& token : added)
    AddMember(decoder, std::to_string(token.id), FlagsJson(token));
  Json config = {{"added_tokens_decoder", decoder},
                 {"add_bos_token", spec.add_bos},
                 {"add_eos_token", spec.add_eos}};
  const std::pair<const char*, int32_t> named[] = {
      {"bos_token", spec.bos},
      {"eos_token", spec.eos},
      {"unk_token", spec.unk >= 0 ? spec.unk : spec.idle_unk},
      {"pad_token", spec.pad}};
  for (const auto& [key, id] : named)
    config[key] = IsSpecial(spec, id) ? Json(TextOf(spec, id)) : Json();
  config["clean_up_tokenization_spaces"] = false;
  config["model_max_length"] = max_positions;
  config["tokenizer_class"] = "PreTrainedTokenizerFast";  // which reads what the files say
  if (!spec.chat_template.empty()) config["chat_template"] = spec.chat_template;
  return config;
}

}  // namespace

std::vector<std::string> WriteTokenizerFiles(const TokenizerSpec& given, int64_t max_positions,
                                             const Path& folder, const std::string& where) {
  const TokenizerSpec spec = WithoutPadding(given);
  std::vector<AddedToken> added = AddedTokensOf(spec);
  std::vector<std::string> notes;
  if (!spec.tokenizer_steps.empty()) {
    WriteJson(KeptTokenizer(spec, &added, where), folder / "tokenizer.json", -1);
  } else if (spec.kind == TokenizerSpec::Kind::kSentencePiece) {
    notes = WriteSentencePiece(spec, added, folder, where);
  } else {
    WriteJson(spec.byte_level ? ByteLevelTokenizer(spec, added, where)
                              : MetaSpaceTokenizer(spec, added, spec.merges),
              folder / "tokenizer.json", -1);
  }
  WriteJson(ConfigOf(spec, added, max_positions), folder / "tokenizer_config.json", 2);
  return notes;
}

}  // namespace retort
