// SPDX-License-Identifier: Apache-2.0
// Reads tokenizer.json, the format of Hugging Face's tokenizers library, with a BPE model.
#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/error.h"
#include "base/json.h"
#include "base/seeded_hash.h"
#include "tokenizer/bpe_pipeline.h"
#include "tokenizer/gguf_fit.h"
#include "tokenizer/output_steps_json.h"
#include "tokenizer/piece_ids.h"
#include "tokenizer/pre_names.h"
#include "tokenizer/text_steps_json.h"

namespace retort {
namespace {

using PieceType = TokenizerSpec::PieceType;
// Limit on the ids that a file may skip, so that a wrong id cannot allocate unbounded memory.
constexpr size_t kMaxGaps = 1 << 16;

// Moves a member out of the object, so that the rest is small.
Json Take(Json* object, const char* key) {
  const auto it = object->is_object() ? object->find(key) : object->end();
  return it == object->end() ? Json() : std::move(*it);
}

Json Member(const Json& object, const char* key) {
  const auto it = object.find(key);
  return it == object.end() ? Json() : *it;
}

void PutPiece(int64_t id, const std::string& text, PieceType type, size_t limit,
              const std::string& where, TokenizerSpec* spec) {
  if (id < 0 || id >= static_cast<int64_t>(limit)) {
    throw InputError(where, ": the id ", id, " of '", text, "' is outside of 0 ... ", limit - 1);
  }
  const auto place = static_cast<size_t>(id);
  while (spec->pieces.size() <= place) {
    spec->pieces.push_back({Cat("[PAD", spec->pieces.size(), "]"), 0, PieceType::kUnused});
  }
  spec->pieces[place] = {text, 0, type};
}

void ReadVocabulary(const Json& vocab, size_t limit, const std::string& where,
                    TokenizerSpec* spec) {
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

Json JsonOf(const std::vector<TokenizerSpec::AddedToken>& tokens) {
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

void CheckModel(const Json& model, const std::string& where) {
  // Old files do not name the model's type; BPE is assumed, since only BPE has merges.
  const std::string type = GetString(model, "type", where, "BPE");
  if (type != "BPE") throw InputError(where, ": model '", type, "' is not known; known: BPE");
  if (GetNumber(model, "dropout", where, 0) != 0) {
    throw InputError(where, ": 'dropout' must be null or 0: it would make ids a matter of chance");
  }
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const std::string affix = GetString(model, key, where, "");
    if (!affix.empty()) throw InputError(where, ": ", key, " '", affix, "' is not known");
  }
}

BpeOptions ReadModelOptions(const Json& model, const std::string& where, TokenizerSpec* spec) {
  const std::string unk = GetString(model, "unk_token", where, "");
  if (!unk.empty()) {
    spec->unk = PieceId(*spec, unk);
    if (spec->unk < 0) throw InputError(where, ": unk_token '", unk, "' is not in the vocabulary");
  }
  spec->ignore_merges = GetBool(model, "ignore_merges", where, false);
  return {spec->ignore_merges, GetBool(model, "byte_fallback", where, false),
          GetBool(model, "fuse_unk", where, false)};
}

bool Prepends(const TextSteps& steps) {
  const auto prepends = [](const NormalizerSpec& step) {
    return step.kind == NormalizerSpec::Kind::kPrepend;
  };
  return std::ranges::any_of(steps.normalizers, prepends) ||
         std::ranges::any_of(steps.stages, [&](const TextStage& stage) {
           return std::ranges::any_of(stage.rewrites, prepends);
         });
}

// What follows once the vocabulary and the merges are read.
BpePipeline ReadSteps(const Json& file, size_t limit, const std::string& where,
                      TokenizerSpec* spec) {
  const Json& model = file["model"];
  const std::string in_model = where + ": model";
  spec->added.clear();
  spec->gguf_notes.clear();
  spec->add_bos = spec->add_eos = false;
  ReadAddedTokens(Member(file, "added_tokens"), limit, where + ": added_tokens", spec);
  BpePipeline pipeline;
  pipeline.options = ReadModelOptions(model, in_model, spec);
  TextSteps steps = ReadTextSteps(Member(file, "normalizer"), Member(file, "pre_tokenizer"), where);
  spec->byte_level = steps.byte_level;
  spec->add_space_prefix = Prepends(steps);
  spec->normalizes = !steps.normalizers.empty();
  if (steps.byte_level) {
    spec->pre = PreNameFor(steps.stages, *spec, /*thorough=*/false);
    spec->nfc = steps.normalizers == std::vector<NormalizerSpec>{{NormalizerSpec::Kind::kNfc}};
    FitByteLevel(steps, spec);
  } else {
    spec->pre = "default";
    FitMetaSpace(steps, pipeline.options.byte_fallback, spec);
  }
  ReadPostProcessor(Member(file, "post_processor"), where + ": post_processor", spec);
  DecoderSteps decoder;
  ReadDecoder(Member(file, "decoder"), spec->byte_level, where + ": decoder", &decoder);
  spec->strip_space = file.contains("decoder") && !file["decoder"].is_null()
                          ? decoder.strip_space
                          : spec->add_space_prefix;
  if (!spec->byte_level && spec->strip_space != spec->add_space_prefix)
    spec->gguf_notes.push_back(
        "llama.cpp keeps or takes away the space at a text's beginning otherwise");
  SortAddedTokens(*spec, &pipeline);
  pipeline.normalizers = std::move(steps.normalizers);
  pipeline.stages = std::move(steps.stages);
  return pipeline;
}

Json ParsedFile(const std::string& text, const std::string& where) {
  Json parsed = ParseJson(text, where);
  if (!parsed.is_object() || !parsed.contains("model") || !parsed["model"].is_object())
    throw InputError(where, ": must be an object with a 'model'");
  CheckModel(parsed["model"], where + ": model");
  return parsed;
}

}  // namespace

BpePipeline ParseTokenizerJson(std::string text, const std::string& where, TokenizerSpec* spec) {
  Json parsed = ParsedFile(text, where);
  const Json vocab = Take(&parsed["model"], "vocab");
  Json merges = Take(&parsed["model"], "merges");
  const std::string in_model = where + ": model";
  if (!vocab.is_object()) throw InputError(in_model, ": 'vocab' must be an object");
  spec->kind = TokenizerSpec::Kind::kBpe;
  spec->tokenizer_json = std::move(text);
  const size_t limit = vocab.size() + Member(parsed, "added_tokens").size() + kMaxGaps;
  ReadVocabulary(vocab, limit, in_model, spec);
  ReadMerges(std::move(merges), in_model, spec);
  return ReadSteps(parsed, limit, where, spec);
}

BpePipeline ParseTokenizerSteps(const std::string& text, const std::string& where,
                                TokenizerSpec* spec) {
  spec->kind = TokenizerSpec::Kind::kBpe;
  return ReadSteps(ParsedFile(text, where), spec->pieces.size(), where, spec);
}

std::string StepsOf(const TokenizerSpec& spec, const std::string& where) {
  Json parsed = ParsedFile(spec.tokenizer_json, where);
  parsed["model"].erase("vocab");
  parsed["model"].erase("merges");
  parsed["added_tokens"] = JsonOf(spec.added);
  return DumpJson(parsed);
}

std::string AddedTokensJson(const std::vector<TokenizerSpec::AddedToken>& tokens) {
  return DumpJson(JsonOf(tokens));
}

std::vector<TokenizerSpec::AddedToken> AddedTokensFromJson(const std::string& text,
                                                           const std::string& where) {
  std::vector<TokenizerSpec::AddedToken> tokens;
  for (const Json& token : ParseJson(text, where)) tokens.push_back(ReadAddedToken(token, where));
  return tokens;
}

std::string PreNameOf(const TokenizerSpec& spec, const std::string& where) {
  if (!spec.pre.empty() || spec.tokenizer_json.empty()) return spec.pre;
  const Json parsed = ParsedFile(spec.tokenizer_json, where);
  return PreNameFor(ReadTextSteps(Json(), Member(parsed, "pre_tokenizer"), where).stages, spec,
                    /*thorough=*/true);
}

}  // namespace retort
