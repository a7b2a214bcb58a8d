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

// GGUF's keys.
constexpr const char* kModelKey = "tokenizer.ggml.model";
constexpr const char* kPreKey = "tokenizer.ggml.pre";
constexpr const char* kTokensKey = "tokenizer.ggml.tokens";
constexpr const char* kScoresKey = "tokenizer.ggml.scores";
constexpr const char* kTypesKey = "tokenizer.ggml.token_type";
constexpr const char* kMergesKey = "tokenizer.ggml.merges";
constexpr const char* kSpacePrefixKey = "tokenizer.ggml.add_space_prefix";
constexpr const char* kExtraSpaceKey = "tokenizer.ggml.remove_extra_whitespaces";
constexpr const char* kCharsmapKey = "tokenizer.ggml.precompiled_charsmap";
constexpr const char* kChatTemplateKey = "tokenizer.chat_template";

// Retort's own, for what GGUF's cannot say: whether text is normalised otherwise than the
// pre-tokenizer's name implies;
constexpr const char* kNfcKey = "retort.tokenizer.nfc";
// tokenizer.json without vocabulary and merges;
constexpr const char* kStepsKey = "retort.tokenizer.json";
// scores that are not f32 values;
constexpr const char* kExactScoresKey = "retort.tokenizer.scores";
// whether decoding takes away a space at the beginning, if add_space_prefix does not tell;
constexpr const char* kStripKey = "retort.tokenizer.strip_space";
// of SentencePiece models, the added tokens with their flags, and whether user-defined pieces cut a
// text.
constexpr const char* kAddedKey = "retort.tokenizer.added_tokens";
constexpr const char* kCutKey = "retort.tokenizer.cut_user_defined";

// The model of files that only Retort reads.
constexpr const char* kOwnModel = "retort";
constexpr const char* kNoPre = "default";

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
  const std::vector<std::string>& texts = m.Texts(kTokensKey);
  const auto types = m.Find(kTypesKey) ? m.Ints(kTypesKey) : std::vector<int64_t>();
  const auto scores = m.Find(kScoresKey) ? m.Floats(kScoresKey) : std::vector<float>();
  for (const auto& [key, size] :
       {std::pair(kTypesKey, types.size()), std::pair(kScoresKey, scores.size())}) {
    if (size != 0 && size != texts.size()) {
      throw InputError(where, ": ", key, " has ", size, " entries for ", texts.size(), " tokens");
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

void ReadExactScores(const GgufMetadata& m, const std::string& where, TokenizerSpec* spec) {
  const std::vector<double> scores = m.Doubles(kExactScoresKey);
  if (scores.size() > spec->pieces.size())
    throw InputError(where, ": ", kExactScoresKey, " has ", scores.size(), " entries for ",
                     spec->pieces.size(), " tokens");
  for (size_t id = 0; id < scores.size(); ++id) spec->pieces[id].score = scores[id];
}

void WriteExactScores(const TokenizerSpec& spec, GgufMetadata& m) {
  std::vector<double> scores;
  for (const auto& piece : spec.pieces) scores.push_back(piece.score);
  const auto is_f32 = [](double score) { return score == static_cast<float>(score); };
  if (!std::ranges::all_of(scores, is_f32)) m.Set(kExactScoresKey, GgufArray(std::move(scores)));
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

bool HasBytes(const TokenizerSpec& spec) {
  return std::ranges::any_of(spec.pieces,
                             [](const auto& piece) { return piece.type == PieceType::kByte; });
}

// How a text is cut, by the file's model.
void ReadModel(const GgufMetadata& m, const std::string& model, const std::string& where,
               TokenizerSpec& spec) {
  spec.kind = TokenizerSpec::Kind::kBpe;
  spec.pre = kNoPre;
  if (m.Find(kStepsKey)) {
    spec.tokenizer_steps = m.Text(kStepsKey);
    if (m.Find(kMergesKey)) spec.merges = m.Texts(kMergesKey);
    if (m.Find(kExactScoresKey)) ReadExactScores(m, where, &spec);
    spec.pre = m.Text(kPreKey, kNoPre);
  } else if (model == "gpt2") {
    spec.byte_level = true;
    spec.merges = m.Texts(kMergesKey);
    spec.pre = m.Text(kPreKey, kNoPre);
    spec.nfc = m.Bool(kNfcKey, PreImpliesNfc(spec.pre));
  } else if (model == "gemma4") {
    spec.merges = m.Texts(kMergesKey);
    spec.byte_fallback = HasBytes(spec);
  } else if (model == "llama" || model == "t5") {
    spec.kind = TokenizerSpec::Kind::kSentencePiece;
    spec.unigram = model == "t5";
    spec.byte_fallback = HasBytes(spec);
    spec.cut_user_defined = m.Bool(kCutKey, true);
    spec.charsmap = CharsmapFromGguf(m);
    spec.remove_extra_whitespaces = m.Bool(kExtraSpaceKey, spec.unigram);
  } else {
    throw InputError(where, ": ", kModelKey, " '", model,
                     "' is not supported; supported: gemma4, gpt2, llama, t5");
  }
}

void ReadSpecialTokens(const GgufMetadata& m, const std::string& where, TokenizerSpec& spec) {
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
}

// As which of llama.cpp's tokenizers a spec is written, and how far that is true to it.
struct GgufForm {
  std::string kind, pre;
  GgufLosses losses;
  bool own = false;    // only Retort reads it
  bool steps = false;  // with keys of Retort's own
};

GgufForm FormOf(const TokenizerSpec& spec, const std::string& name, const std::string& where) {
  GgufForm form;
  form.kind = GgufKind(spec);
  form.pre = form.kind == "gpt2" ? PreNameOf(spec, where) : kNoPre;
  form.losses = LossesInGguf(spec, form.pre, name);
  const bool has_steps = !spec.tokenizer_json.empty();
  form.own = !form.losses.fault.empty();
  if (!has_steps && form.own) throw InputError(where, ": cannot be exported: ", form.losses.fault);
  // A name that only trying has found may differ in some character.
  const bool tried = has_steps && form.pre != spec.pre;
  // Its sums of scores are rounded as by Hugging Face's library.
  const bool unigram = spec.kind == TokenizerSpec::Kind::kUnigram;
  form.steps = form.own || tried || unigram || !form.losses.unsaid.empty();
  return form;
}

void WritePieces(const TokenizerSpec& spec, const GgufForm& form, int64_t model_vocab,
                 GgufMetadata& m) {
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
  const bool scored = form.kind != "gpt2", unigram = spec.kind == TokenizerSpec::Kind::kUnigram;
  m.Set(kTokensKey, GgufArray(std::move(texts)));
  if (scored) m.Set(kScoresKey, GgufArray(std::move(scores)));
  m.Set(kTypesKey, GgufArray(std::move(types)));
  if (!scored || (form.steps && !unigram)) m.Set(kMergesKey, GgufArray(spec.merges));
  if (unigram) WriteExactScores(spec, m);
}

// What GGUF's own keys cannot say.
void WriteOwnKeys(const TokenizerSpec& spec, const GgufForm& form, const std::string& where,
                  GgufMetadata& m) {
  if (form.steps && !spec.tokenizer_json.empty()) {
    m.Set(kStepsKey, StepsOf(spec, where));
  } else if (form.steps) {
    m.Set(kAddedKey, AddedTokensJson(spec.added));
    if (spec.kind == TokenizerSpec::Kind::kSentencePiece) m.Set(kCutKey, spec.cut_user_defined);
  }
  if (spec.nfc != PreImpliesNfc(form.pre) && !form.own) m.Set(kNfcKey, spec.nfc);
  if (spec.strip_space != spec.add_space_prefix) m.Set(kStripKey, spec.strip_space);
}

// As ReadGgufTokens (formats/gguf_tokens.h) reads them.
void WriteSpecialTokens(const TokenizerSpec& spec, GgufMetadata& m) {
  const int32_t unk = spec.unk >= 0 ? spec.unk : spec.idle_unk;
  for (const auto& [name, id] : {std::pair("bos", spec.bos), std::pair("eos", spec.eos),
                                 std::pair("padding", spec.pad), std::pair("unknown", unk)}) {
    if (id >= 0) m.Set(Cat("tokenizer.ggml.", name, "_token_id"), static_cast<uint32_t>(id));
  }
  m.Set("tokenizer.ggml.add_bos_token", spec.add_bos);
  m.Set("tokenizer.ggml.add_eos_token", spec.add_eos);
}

// What llama.cpp does otherwise.
std::vector<std::string> NotesOf(const GgufForm& form) {
  std::vector<std::string> notes;
  if (form.own)
    notes.push_back(Cat("only Retort reads this file, llama.cpp refuses it: ", form.losses.fault));
  notes.insert(notes.end(), form.losses.unsaid.begin(), form.losses.unsaid.end());
  notes.insert(notes.end(), form.losses.undone.begin(), form.losses.undone.end());
  return notes;
}

}  // namespace

TokenizerSpec SpecFromGguf(const GgufMetadata& m, const std::string& where) {
  const std::string& model = m.Text(kModelKey);
  TokenizerSpec spec;
  spec.pieces = PiecesFromGguf(m, where);
  ReadModel(m, model, where, spec);
  spec.add_space_prefix = m.Bool(kSpacePrefixKey, model != "gpt2");
  spec.strip_space = m.Bool(kStripKey, spec.add_space_prefix);
  ReadSpecialTokens(m, where, spec);
  spec.chat_template = m.Text(kChatTemplateKey, "");
  return spec;
}

std::vector<std::string> SpecToGguf(const TokenizerSpec& spec, int64_t model_vocab,
                                    const std::string& where, GgufMetadata& m) {
  const GgufForm form = FormOf(spec, m.Text("general.name", ""), where);
  m.Set(kModelKey, form.own ? std::string(kOwnModel) : form.kind);
  m.Set(kPreKey, form.own || form.pre.empty() ? std::string(kNoPre) : form.pre);
  WritePieces(spec, form, model_vocab, m);
  WriteOwnKeys(spec, form, where, m);
  WriteSpecialTokens(spec, m);
  m.Set(kSpacePrefixKey, spec.add_space_prefix);
  if (form.kind == "t5" || spec.remove_extra_whitespaces)
    m.Set(kExtraSpaceKey, spec.remove_extra_whitespaces);
  if (!spec.charsmap.empty()) {
    m.Set(kCharsmapKey,
          GgufArray(std::vector<uint8_t>(spec.charsmap.begin(), spec.charsmap.end())));
  }
  if (!spec.chat_template.empty()) m.Set(kChatTemplateKey, spec.chat_template);
  return NotesOf(form);
}

std::unique_ptr<Tokenizer> LoadTokenizer(const Path& path) {
  if (std::filesystem::is_directory(path)) return Tokenizer::Load(path);
  return Tokenizer::FromSpec(SpecFromGguf(ReadGguf(path).metadata, path.string()), path.string());
}

}  // namespace retort
