// SPDX-License-Identifier: Apache-2.0
// Loads a tokenizer from a model's folder: the tokenizer's own file, then the other configuration
// files in the folder.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_set>

#include "base/error.h"
#include "base/json.h"
#include "base/seeded_hash.h"
#include "base/text.h"
#include "tokenizer/base_tokenizer.h"
#include "tokenizer/bpe_pipeline.h"
#include "tokenizer/piece_ids.h"
#include "tokenizer/sentencepiece_file.h"
#include "tokenizer/tekken.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

using PieceType = TokenizerSpec::PieceType;
using std::filesystem::exists;

struct NamedToken {
  const char* key;     // tokenizer_config.json, special_tokens_map.json
  const char* id_key;  // config.json, generation_config.json
  int32_t TokenizerSpec::*id;
};
constexpr NamedToken kNamed[] = {{"bos_token", "bos_token_id", &TokenizerSpec::bos},
                                 {"eos_token", "eos_token_id", &TokenizerSpec::eos},
                                 {"unk_token", nullptr, &TokenizerSpec::unk},
                                 {"pad_token", "pad_token_id", &TokenizerSpec::pad}};

Json ReadIfThere(const Path& path) {
  Json json = exists(path) ? ReadJson(path) : Json::object();
  if (!json.is_object()) throw InputError(path.string(), ": must be an object");
  return json;
}

// The text of "<s>" or {"content": "<s>", ...}; nullopt if null or absent.
std::optional<std::string> TokenText(const Json& config, const char* key,
                                     const std::string& where) {
  const auto it = config.find(key);
  if (it == config.end() || it->is_null()) return std::nullopt;
  if (it->is_string()) return it->get<std::string>();
  return GetString(*it, "content", Cat(where, ": ", key));
}

using Texts = std::unordered_set<std::string, SeededTextHash>;

// The texts that tokenizer_config.json names as special tokens.
Texts NamedTexts(const Json& config, const std::string& where) {
  Texts texts;
  for (const NamedToken& named : kNamed) {
    if (auto text = TokenText(config, named.key, where)) texts.insert(*std::move(text));
  }
  const auto more = config.find("additional_special_tokens");
  if (more == config.end() || !more->is_array()) return texts;
  for (const Json& token : *more) {
    texts.insert(token.is_string() ? token.get<std::string>() : GetString(token, "content", where));
  }
  return texts;
}

// tokenizer_config.json's added_tokens_decoder, by id.
std::map<int64_t, TokenizerSpec::AddedToken> DecoderTokens(const Json& config,
                                                           const std::string& where) {
  std::map<int64_t, TokenizerSpec::AddedToken> tokens;
  const auto it = config.find("added_tokens_decoder");
  if (it == config.end() || !it->is_object()) return tokens;
  for (const auto& [key, token] : it->items()) {
    const bool number =
        !key.empty() && key.size() < 10 && key.find_first_not_of("0123456789") == std::string::npos;
    if (!number) throw InputError(where, ": added_tokens_decoder: '", key, "' is no id");
    const bool special = GetBool(token, "special", where, false);
    tokens[std::stoll(key)] = {.text = GetString(token, "content", where),
                               .special = special,
                               .lstrip = GetBool(token, "lstrip", where, false),
                               .rstrip = GetBool(token, "rstrip", where, false),
                               .single_word = GetBool(token, "single_word", where, false),
                               .normalized = GetBool(token, "normalized", where, !special)};
  }
  return tokens;
}

// The tokens that a folder adds to its SentencePiece model, by id. added_tokens.json is older and
// gives texts and ids alone; a text that tokenizer_config.json names as special is special.
std::map<int64_t, TokenizerSpec::AddedToken> TokensBeside(const Path& folder, const Json& config,
                                                          const std::string& where) {
  std::map<int64_t, TokenizerSpec::AddedToken> tokens;
  const Path older = folder / "added_tokens.json";
  const Json given = ReadIfThere(older);
  const Texts special = NamedTexts(config, where);
  for (const auto& entry : given.items()) {
    if (!entry.value().is_number_integer())
      throw InputError(older.string(), ": the id of ", Quoted(entry.key()), " is no integer");
    tokens[entry.value().get<int64_t>()] = {.text = entry.key(),
                                            .special = special.contains(entry.key())};
  }
  for (auto& [id, token] : DecoderTokens(config, where)) tokens[id] = std::move(token);
  return tokens;
}

// A piece of the model that is to be special is never read from content. One that is listed cuts a
// text as the added tokens do, with its flags.
void ListModelPiece(int32_t id, TokenizerSpec::AddedToken token, TokenizerSpec* spec) {
  TokenizerSpec::Piece& piece = spec->pieces[static_cast<size_t>(id)];
  if (piece.text != token.text) return;
  if (token.special && piece.type == PieceType::kUserDefined) piece.type = PieceType::kControl;
  const bool flags = token.lstrip || token.rstrip || token.single_word;
  const bool control = piece.type == PieceType::kControl;
  if (piece.type != PieceType::kUserDefined && !(control && flags)) return;
  token.id = id;
  token.special = control;
  token.normalized = false;  // SentencePiece's tokens are found in the text as it is
  spec->added.push_back(std::move(token));
}

// Adds them to the pieces; their ids follow the model's.
void AddTokensPastModel(const Path& folder, const Json& config, const std::string& where,
                        TokenizerSpec* spec) {
  const auto pieces = std::ssize(spec->pieces);
  for (auto& [id, token] : TokensBeside(folder, config, where)) {
    if (id < pieces) {
      ListModelPiece(static_cast<int32_t>(id), std::move(token), spec);
      continue;
    }
    if (id != std::ssize(spec->pieces)) {
      throw InputError(where, ": the added tokens leave out id ", spec->pieces.size());
    }
    token.id = static_cast<int32_t>(id);
    token.normalized = false;  // SentencePiece's tokens are found in the text as it is
    spec->pieces.push_back(
        {token.text, 0, token.special ? PieceType::kControl : PieceType::kUserDefined});
    spec->added.push_back(std::move(token));
  }
}

// Adds a token to those of a tokenizer.json, or changes its flags. Once special, it stays so.
void PutBesideJson(TokenizerSpec::AddedToken token, const std::string& where, TokenizerSpec* spec) {
  const auto known = std::ranges::find(spec->added, token.text, &TokenizerSpec::AddedToken::text);
  if (known != spec->added.end()) {
    token.id = known->id;
    token.special |= known->special;
  }
  const auto id = static_cast<size_t>(token.id);
  if (id > spec->pieces.size())
    throw InputError(where, ": the added tokens leave out id ", spec->pieces.size());
  if (id == spec->pieces.size()) spec->pieces.emplace_back();
  // A vocabulary may call the place by another name, such as "[UNUSED_TOKEN_146]".
  TokenizerSpec::Piece& piece = spec->pieces[id];
  const bool unknown = piece.type == PieceType::kUnknown;  // special too, and stays what it is
  piece = {token.text, 0, token.special ? PieceType::kControl : PieceType::kUserDefined};
  if (unknown) piece.type = PieceType::kUnknown;
  if (known != spec->added.end()) {
    *known = std::move(token);
  } else {
    spec->added.push_back(std::move(token));
  }
}

// What tokenizer_config.json says of the tokens of a tokenizer.json: transformers adds what the
// latter lacks, and the named ones as special.
void AddTokensBesideJson(const Json& config, const std::string& where, TokenizerSpec* spec) {
  for (auto& [id, token] : DecoderTokens(config, where)) {
    token.id = static_cast<int32_t>(id);
    PutBesideJson(std::move(token), where, spec);
  }
  for (const std::string& text : NamedTexts(config, where)) {
    const auto known = std::ranges::find(spec->added, text, &TokenizerSpec::AddedToken::text);
    if (known != spec->added.end()) {
      TokenizerSpec::AddedToken token = *known;
      token.special = true;
      PutBesideJson(std::move(token), where, spec);
    } else if (const int32_t id = text.empty() ? -1 : PieceId(*spec, text); id >= 0) {
      PutBesideJson({.id = id, .text = text, .special = true}, where, spec);
    }
  }
}

// "chat_template" is a text, or a list of {"name", "template"} of which "default" is used.
void ReadChatTemplate(const Json& config, const std::string& where, TokenizerSpec* spec) {
  const auto it = config.find("chat_template");
  if (it == config.end() || it->is_null()) return;
  if (it->is_string()) {
    spec->chat_template = it->get<std::string>();
  } else if (it->is_array()) {
    for (const Json& one : *it) {
      if (GetString(one, "name", where) == "default") {
        spec->chat_template = GetString(one, "template", where);
      }
    }
  } else {
    throw InputError(where, ": 'chat_template' must be a text or a list");
  }
}

void ReadNamedTokens(const Path& folder, const Json& tokenizer_config, TokenizerSpec* spec) {
  const Json map = ReadIfThere(folder / "special_tokens_map.json");
  const Json generation = ReadIfThere(folder / "generation_config.json");
  const Json config = ReadIfThere(folder / "config.json");
  for (const NamedToken& named : kNamed) {
    const std::string where = (folder / "tokenizer_config.json").string();
    std::optional<std::string> text = TokenText(tokenizer_config, named.key, where);
    if (!text) text = TokenText(map, named.key, (folder / "special_tokens_map.json").string());
    int32_t& id = spec->*named.id;
    if (text && !text->empty()) {
      const int32_t found = PieceId(*spec, *text);
      if (found < 0) {
        throw InputError(where, ": ", named.key, " '", *text, "' is not in the vocabulary");
      }
      // GPT-2's files also name their end token as the unknown token; byte-level text never
      // produces it.
      const bool idle =
          named.id == &TokenizerSpec::unk && spec->kind != TokenizerSpec::Kind::kSentencePiece;
      (idle ? spec->idle_unk : id) = found;
      continue;
    }
    for (const Json* file : {&generation, &config}) {
      if (id >= 0 || !named.id_key || !file->contains(named.id_key)) continue;
      const Json& value = (*file)[named.id_key];
      const Json& first = value.is_array() && !value.empty() ? value[0] : value;
      if (!first.is_number_integer()) continue;
      const int64_t given = first.get<int64_t>();
      if (given >= 0 && given < static_cast<int64_t>(spec->pieces.size())) {
        id = static_cast<int32_t>(given);
      }
    }
  }
}

void ReadNeighbours(const Path& folder, TokenizerSpec* spec) {
  const Path path = folder / "tokenizer_config.json";
  const Json config = ReadIfThere(path);
  const std::string where = path.string();
  if (spec->kind == TokenizerSpec::Kind::kSentencePiece) {
    AddTokensPastModel(folder, config, where, spec);
  } else {
    AddTokensBesideJson(config, where, spec);
  }
  ReadNamedTokens(folder, config, spec);
  spec->add_bos = GetBool(config, "add_bos_token", where, spec->add_bos);
  spec->add_eos = GetBool(config, "add_eos_token", where, spec->add_eos);
  if (spec->add_bos && spec->bos < 0) {
    throw InputError(
        where,
        ": add_bos_token is true, but there is no bos_token; name one or set add_bos_token to false");
  }
  ReadChatTemplate(config, where, spec);
  const Path jinja = folder / "chat_template.jinja";
  if (exists(jinja)) spec->chat_template = ReadText(jinja);
}

}  // namespace

std::unique_ptr<Tokenizer> Tokenizer::Load(const Path& folder) {
  const Path json = folder / "tokenizer.json", tekken = folder / "tekken.json",
             model = folder / "tokenizer.model";
  TokenizerSpec spec;
  if (exists(json)) {
    BpePipeline pipeline = ParseTokenizerJson(ReadText(json), json.string(), &spec);
    ReadNeighbours(folder, &spec);
    SortAddedTokens(spec, &pipeline);
    return MakeBpeTokenizer(std::move(spec), std::move(pipeline), json.string());
  }
  if (exists(tekken)) {
    spec = ParseTekken(ReadText(tekken), tekken.string());
    ReadNeighbours(folder, &spec);
    BpePipeline pipeline = PipelineFromSpec(spec, tekken.string());
    return MakeBpeTokenizer(std::move(spec), std::move(pipeline), tekken.string());
  }
  if (exists(model)) {
    std::string bytes = ReadText(model);
    spec = ParseSentencePieceModel(bytes, model.string());
    spec.sentencepiece_model = std::move(bytes);
    spec.add_bos = spec.bos >= 0;  // as Llama implementations do for a model file alone
    ReadNeighbours(folder, &spec);
    return MakeSentencePieceTokenizer(std::move(spec), model.string());
  }
  throw InputError(folder.string(),
                   ": no tokenizer here; expected tokenizer.json, tekken.json or tokenizer.model");
}

}  // namespace retort
