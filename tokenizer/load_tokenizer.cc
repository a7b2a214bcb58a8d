// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/load_tokenizer.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "formats/gguf_tokens.h"
#include "tokenizer/added_tokens.h"
#include "tokenizer/bpe_pipeline.h"
#include "tokenizer/gguf_rules.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

using PieceType = TokenizerSpec::PieceType;

struct NamedId {
  const char* key;
  int32_t TokenizerSpec::*id;
};
constexpr NamedId kIds[] = {{"tokenizer.ggml.bos_token_id", &TokenizerSpec::bos},
                            {"tokenizer.ggml.eos_token_id", &TokenizerSpec::eos},
                            {"tokenizer.ggml.padding_token_id", &TokenizerSpec::pad}};

// Retort's own key, for files whose text is not normalised as their pre-tokenizer's name implies.
constexpr const char* kNfcKey = "retort.tokenizer.nfc";
// Retort's own: tokenizer.json without vocabulary and merges, for what GGUF's keys cannot say.
constexpr const char* kStepsKey = "retort.tokenizer.json";
// Retort's own: whether decoding takes away a space at the beginning, if add_space_prefix does not
// tell.
constexpr const char* kStripKey = "retort.tokenizer.strip_space";
// Retort's own, for SentencePiece models: the added tokens with their flags, and whether
// user-defined pieces cut a text.
// Retort's own: scores that are not f32 values.
constexpr const char* kScoresKey = "retort.tokenizer.scores";
constexpr const char* kAddedKey = "retort.tokenizer.added_tokens";
constexpr const char* kCutKey = "retort.tokenizer.cut_user_defined";
// tokenizer.ggml.model of files that only Retort reads.
constexpr const char* kOwnModel = "retort";
constexpr const char* kCharsmapKey = "tokenizer.ggml.precompiled_charsmap";

// Whether every text piece of the vocabulary is one character, so that a text has only one
// segmentation, by merges or by scores.
bool IsOfCharacters(const TokenizerSpec& spec) {
  return std::all_of(spec.pieces.begin(), spec.pieces.end(), [](const auto& piece) {
    if (piece.type == PieceType::kUserDefined || piece.type == PieceType::kByte) return false;
    return piece.type != PieceType::kNormal ||
           DecodeUtf8(piece.text, 0).size == static_cast<int>(piece.text.size());
  });
}

// The name of the GGUF tokenizer that implements the spec. llama.cpp's "llama" encodes an unknown
// character as byte pieces and aborts if there are none; its "t5" produces the unknown token, as
// SentencePiece does, so a vocabulary of single characters is written as "t5".
std::string GgufKind(const TokenizerSpec& spec) {
  if (spec.kind == TokenizerSpec::Kind::kBpe && spec.byte_level) return "gpt2";
  const bool characters = spec.kind == TokenizerSpec::Kind::kSentencePiece && !spec.byte_fallback &&
                          IsOfCharacters(spec);
  return spec.unigram || characters ? "t5" : "llama";
}

std::vector<TokenizerSpec::Piece> PiecesFromGguf(const GgufMetadata& m, const std::string& where) {
  const std::vector<std::string>& texts = m.Texts("tokenizer.ggml.tokens");
  const auto types = m.Find("tokenizer.ggml.token_type") ? m.Ints("tokenizer.ggml.token_type")
                                                         : std::vector<int64_t>();
  const auto scores =
      m.Find("tokenizer.ggml.scores") ? m.Floats("tokenizer.ggml.scores") : std::vector<float>();
  for (const auto& [name, size] :
       {std::pair("token_type", types.size()), std::pair("scores", scores.size())}) {
    if (size != 0 && size != texts.size()) {
      throw InputError(where, ": tokenizer.ggml.", name, " has ", size, " entries for ",
                       texts.size(), " tokens");
    }
  }
  std::vector<TokenizerSpec::Piece> pieces(texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    pieces[i].text = texts[i];
    if (!scores.empty()) pieces[i].score = scores[i];
    if (types.empty()) continue;
    if (types[i] < 1 || types[i] > 6)
      throw InputError(where, ": token ", i, " has the unknown type ", types[i]);
    pieces[i].type = static_cast<PieceType>(types[i]);
  }
  return pieces;
}

void ReadScores(const GgufMetadata& m, const std::string& where, TokenizerSpec* spec) {
  const std::vector<double> scores = m.Doubles(kScoresKey);
  if (scores.size() > spec->pieces.size())
    throw InputError(where, ": ", kScoresKey, " has ", scores.size(), " entries for ",
                     spec->pieces.size(), " tokens");
  for (size_t id = 0; id < scores.size(); ++id) spec->pieces[id].score = scores[id];
}

void WriteScores(const TokenizerSpec& spec, GgufMetadata& m) {
  std::vector<double> scores;
  for (const auto& piece : spec.pieces) scores.push_back(piece.score);
  const auto is_f32 = [](double score) { return score == static_cast<float>(score); };
  if (!std::ranges::all_of(scores, is_f32)) m.Set(kScoresKey, GgufArray(std::move(scores)));
}

std::string CharsmapFromGguf(const GgufMetadata& m) {
  std::string bytes;
  if (!m.Find(kCharsmapKey)) return bytes;
  for (const int64_t byte : m.Ints(kCharsmapKey)) bytes.push_back(static_cast<char>(byte));
  return bytes;
}

// Phi-3's file marks unused tokens as unknown ones, of which there is one. Files of Gemma 3 may
// call it a control token; the id tells it.
void KeepOneUnknown(TokenizerSpec* spec) {
  int32_t unk = spec->unk;
  if (unk >= 0 && spec->pieces[static_cast<size_t>(unk)].type != PieceType::kUnknown) unk = -1;
  for (size_t id = 0; id < spec->pieces.size(); ++id) {
    PieceType& type = spec->pieces[id].type;
    if (type != PieceType::kUnknown) continue;
    if (unk < 0) unk = static_cast<int32_t>(id);
    if (static_cast<int32_t>(id) != unk) type = PieceType::kControl;
  }
  if (unk < 0 && spec->unk >= 0)
    spec->pieces[static_cast<size_t>(spec->unk)].type = PieceType::kUnknown;
}

// Flags that llama.cpp tells by the model's name.
void ReadFlags(const GgufMetadata& m, TokenizerSpec* spec) {
  const std::string name = m.Text("general.name", "");
  std::vector<TokenizerSpec::AddedToken> tokens = AddedTokensOfPieces(*spec, true);
  bool any = false;
  for (auto& token : tokens) any |= token.rstrip = TakesSpaceBehind(name, token.text);
  if (any) spec->added = std::move(tokens);
}

// Names for the rows that a model's embedding has beyond the tokenizer's ids.
std::vector<std::string> PadNames(const TokenizerSpec& spec, int64_t model_vocab) {
  std::set<std::string_view> taken;
  for (const auto& piece : spec.pieces) {
    if (piece.text.starts_with("[PAD")) taken.insert(piece.text);
  }
  std::vector<std::string> names;
  for (int64_t id = std::ssize(spec.pieces); id < model_vocab; ++id) {
    std::string name = Cat("[PAD", id, "]");
    while (taken.contains(name)) name += "_";
    names.push_back(std::move(name));
  }
  return names;
}

}  // namespace

TokenizerSpec SpecFromGguf(const GgufMetadata& m, const std::string& where) {
  const std::string& model = m.Text("tokenizer.ggml.model");
  TokenizerSpec spec;
  spec.pieces = PiecesFromGguf(m, where);
  if (m.Find(kStepsKey)) {
    spec.kind = TokenizerSpec::Kind::kBpe;
    spec.tokenizer_steps = m.Text(kStepsKey);
    if (m.Find("tokenizer.ggml.merges")) spec.merges = m.Texts("tokenizer.ggml.merges");
    if (m.Find(kScoresKey)) ReadScores(m, where, &spec);
    spec.pre = m.Text("tokenizer.ggml.pre", "default");
  } else if (model == "gpt2") {
    spec.kind = TokenizerSpec::Kind::kBpe;
    spec.byte_level = true;
    spec.merges = m.Texts("tokenizer.ggml.merges");
    spec.pre = m.Text("tokenizer.ggml.pre", "default");
    spec.nfc = m.Bool(kNfcKey, PreImpliesNfc(spec.pre));
  } else if (model == "gemma4") {
    spec.kind = TokenizerSpec::Kind::kBpe;
    spec.merges = m.Texts("tokenizer.ggml.merges");
    spec.pre = "default";
    spec.byte_fallback = std::ranges::any_of(
        spec.pieces, [](const auto& piece) { return piece.type == PieceType::kByte; });
  } else if (model == "llama" || model == "t5") {
    spec.kind = TokenizerSpec::Kind::kSentencePiece;
    spec.unigram = model == "t5";
    spec.pre = "default";
    const auto bytes = std::count_if(spec.pieces.begin(), spec.pieces.end(),
                                     [](const auto& p) { return p.type == PieceType::kByte; });
    spec.byte_fallback = bytes > 0;
    spec.cut_user_defined = m.Bool(kCutKey, true);
    spec.charsmap = CharsmapFromGguf(m);
    spec.remove_extra_whitespaces = m.Bool("tokenizer.ggml.remove_extra_whitespaces", spec.unigram);
  } else {
    throw InputError(where, ": tokenizer.ggml.model '", model,
                     "' is not supported; supported: gemma4, gpt2, llama, t5");
  }
  spec.add_space_prefix = m.Bool("tokenizer.ggml.add_space_prefix", model != "gpt2");
  spec.strip_space = m.Bool(kStripKey, spec.add_space_prefix);
  const GgufTokens tokens = ReadGgufTokens(m, where);
  spec.bos = tokens.bos, spec.eos = tokens.eos, spec.pad = tokens.pad;
  // Text that is made of bytes has nothing unknown; steps name their own.
  (spec.byte_level || m.Find(kStepsKey) ? spec.idle_unk : spec.unk) = tokens.unk;
  spec.add_bos = tokens.add_bos && tokens.bos >= 0;
  spec.add_eos = tokens.add_eos && tokens.eos >= 0;
  if (spec.kind == TokenizerSpec::Kind::kSentencePiece) KeepOneUnknown(&spec);
  if (m.Find(kAddedKey)) {
    spec.added = AddedTokensFromJson(m.Text(kAddedKey), where);
  } else {
    ReadFlags(m, &spec);
  }
  spec.chat_template = m.Text("tokenizer.chat_template", "");
  return spec;
}

std::vector<std::string> SpecToGguf(const TokenizerSpec& spec, int64_t model_vocab,
                                    const std::string& where, GgufMetadata& m) {
  std::string kind = GgufKind(spec);
  const std::string pre = kind == "gpt2" ? PreNameOf(spec, where) : "default";
  GgufLosses losses = LossesInGguf(spec, pre, m.Text("general.name", ""));
  const bool has_steps = !spec.tokenizer_json.empty();
  if (!has_steps && !losses.fault.empty())
    throw InputError(where, ": cannot be exported: ", losses.fault);
  const bool own = !losses.fault.empty();
  // A name that only trying has found may differ in some character.
  const bool tried = has_steps && pre != spec.pre;
  const bool unigram = spec.kind == TokenizerSpec::Kind::kUnigram;  // the library's own arithmetic
  const bool steps = own || tried || unigram || !losses.unsaid.empty();
  std::vector<std::string> texts;
  std::vector<float> scores;
  std::vector<int32_t> types;
  for (const auto& piece : spec.pieces) {
    texts.push_back(piece.text);
    scores.push_back(static_cast<float>(piece.score));
    types.push_back(static_cast<int32_t>(piece.type));
  }
  for (std::string& name : PadNames(spec, model_vocab)) {
    texts.push_back(std::move(name));
    scores.push_back(0);
    types.push_back(static_cast<int32_t>(PieceType::kUnused));
  }
  const bool scored = kind != "gpt2";
  m.Set("tokenizer.ggml.model", own ? std::string(kOwnModel) : kind);
  m.Set("tokenizer.ggml.pre", own || pre.empty() ? std::string("default") : pre);
  m.Set("tokenizer.ggml.tokens", GgufArray(std::move(texts)));
  if (scored) m.Set("tokenizer.ggml.scores", GgufArray(std::move(scores)));
  m.Set("tokenizer.ggml.token_type", GgufArray(std::move(types)));
  if (!scored || (steps && !unigram)) m.Set("tokenizer.ggml.merges", GgufArray(spec.merges));
  if (unigram) WriteScores(spec, m);
  if (steps && has_steps) m.Set(kStepsKey, StepsOf(spec, where));
  if (steps && !has_steps) {
    m.Set(kAddedKey, AddedTokensJson(spec.added));
    if (spec.kind == TokenizerSpec::Kind::kSentencePiece) m.Set(kCutKey, spec.cut_user_defined);
  }
  if (spec.nfc != PreImpliesNfc(pre) && !own) m.Set(kNfcKey, spec.nfc);
  if (spec.strip_space != spec.add_space_prefix) m.Set(kStripKey, spec.strip_space);
  for (const NamedId& named : kIds) {
    if (spec.*named.id >= 0) m.Set(named.key, static_cast<uint32_t>(spec.*named.id));
  }
  const int32_t unk = spec.unk >= 0 ? spec.unk : spec.idle_unk;
  if (unk >= 0) m.Set("tokenizer.ggml.unknown_token_id", static_cast<uint32_t>(unk));
  m.Set("tokenizer.ggml.add_bos_token", spec.add_bos);
  m.Set("tokenizer.ggml.add_eos_token", spec.add_eos);
  m.Set("tokenizer.ggml.add_space_prefix", spec.add_space_prefix);
  if (kind == "t5" || spec.remove_extra_whitespaces)
    m.Set("tokenizer.ggml.remove_extra_whitespaces", spec.remove_extra_whitespaces);
  if (!spec.charsmap.empty()) {
    m.Set(kCharsmapKey,
          GgufArray(std::vector<uint8_t>(spec.charsmap.begin(), spec.charsmap.end())));
  }
  if (!spec.chat_template.empty()) m.Set("tokenizer.chat_template", spec.chat_template);
  std::vector<std::string> notes;
  if (own)
    notes.push_back(Cat("only Retort reads this file, llama.cpp refuses it: ", losses.fault));
  notes.insert(notes.end(), losses.unsaid.begin(), losses.unsaid.end());
  notes.insert(notes.end(), losses.undone.begin(), losses.undone.end());
  return notes;
}

std::unique_ptr<Tokenizer> LoadTokenizer(const Path& path) {
  if (std::filesystem::is_directory(path)) return Tokenizer::Load(path);
  return Tokenizer::FromSpec(SpecFromGguf(ReadGguf(path).metadata, path.string()), path.string());
}

}  // namespace retort
