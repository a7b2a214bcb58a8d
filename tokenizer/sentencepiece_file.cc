// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/sentencepiece_file.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <unordered_set>

#include "base/error.h"
#include "base/seeded_hash.h"
#include "base/text.h"
#include "tokenizer/piece_ids.h"
#include "tokenizer/prefix_table.h"
#include "tokenizer/utf8.h"
#include "tokenizer/wire.h"

namespace retort {
namespace {

using SpecPiece = TokenizerSpec::Piece;
using PieceType = TokenizerSpec::PieceType;

constexpr size_t kMaxPieces = 1 << 22;
// The library recurses once per byte of a piece when it builds its tries.
constexpr size_t kMaxPieceBytes = 4096;
// The library has room for 64 user-defined pieces that begin at the same position.
constexpr int kMaxNestedPieces = 60;

// Field numbers of ModelProto and the messages in it.
enum : uint32_t { kPieces = 1, kTrainer = 2, kNormalizer = 3 };
enum : uint32_t { kPieceText = 1, kPieceScore = 2, kPieceKind = 3 };
enum : uint32_t {
  kModelType = 3,
  kVocabSize = 4,
  kWhitespaceAsSuffix = 24,
  kByteFallback = 35,
  kUnkId = 40,
  kBosId,
  kEosId,
  kPadId,
  kUnkPiece = 45,
  kBosPiece,
  kEosPiece,
  kPadPiece,
};
enum : uint32_t { kCharsmap = 2, kDummyPrefix = 3, kRemoveSpaces = 4, kEscapeSpaces = 5 };
enum : uint64_t { kUnigram = 1, kBpe = 2 };

// The fields of TrainerSpec that affect ids; the defaults are those of the format.
struct Trainer {
  uint64_t model_type = kUnigram;
  bool byte_fallback = false;
  std::string unk = "<unk>", bos = "<s>", eos = "</s>", pad = "<pad>";
};

SpecPiece ParsePiece(std::string_view bytes, const std::string& where, size_t offset) {
  WireReader reader(bytes, where, offset);
  SpecPiece piece;
  for (WireReader::Field field; reader.Next(&field);) {
    if (field.number == kPieceText && field.type == 2) {
      piece.text = field.bytes;
    } else if (field.number == kPieceScore && field.type == 5) {
      piece.score = std::bit_cast<float>(static_cast<uint32_t>(field.value));
    } else if (field.number == kPieceKind && field.type == 0) {
      if (field.value < 1 || field.value > 6) throw reader.Wrong(Cat("piece type ", field.value));
      piece.type = static_cast<PieceType>(field.value);
    }
  }
  return piece;
}

Trainer ParseTrainer(std::string_view bytes, const std::string& where, size_t offset) {
  WireReader reader(bytes, where, offset);
  Trainer trainer;
  for (WireReader::Field field; reader.Next(&field);) {
    if (field.type == 0 && field.number == kModelType) trainer.model_type = field.value;
    if (field.type == 0 && field.number == kByteFallback) trainer.byte_fallback = field.value != 0;
    if (field.type == 0 && field.number == kWhitespaceAsSuffix && field.value != 0) {
      throw InputError(where, ": 'treat_whitespace_as_suffix' is not known");
    }
    if (field.type != 2) continue;
    if (field.number == kUnkPiece) trainer.unk = field.bytes;
    if (field.number == kBosPiece) trainer.bos = field.bytes;
    if (field.number == kEosPiece) trainer.eos = field.bytes;
    if (field.number == kPadPiece) trainer.pad = field.bytes;
  }
  if (trainer.model_type != kUnigram && trainer.model_type != kBpe) {
    throw InputError(where, ": model type ", trainer.model_type,
                     " is not known; known: 1 (unigram), "
                     "2 (bpe)");
  }
  return trainer;
}

void ParseNormalizer(std::string_view bytes, const std::string& where, size_t offset,
                     TokenizerSpec* spec) {
  WireReader reader(bytes, where, offset);
  for (WireReader::Field field; reader.Next(&field);) {
    if (field.number == kCharsmap && field.type == 2) spec->charsmap = field.bytes;
    if (field.type != 0) continue;
    if (field.number == kDummyPrefix) spec->add_space_prefix = field.value != 0;
    if (field.number == kRemoveSpaces) spec->remove_extra_whitespaces = field.value != 0;
    if (field.number == kEscapeSpaces && field.value == 0) {
      throw InputError(where, ": 'escape_whitespaces: false' is not known");
    }
  }
}

void CheckPiece(const SpecPiece& piece, size_t id, const std::string& where) {
  const auto wrong = [&](const auto&... what) {
    return InputError(where, ": piece ", id, " ", what...);
  };
  if (piece.text.empty()) throw wrong("is empty");
  if (piece.text.size() > kMaxPieceBytes) {
    throw wrong("has ", piece.text.size(), " bytes; at most ", kMaxPieceBytes, " are read");
  }
  if (!std::isfinite(piece.score))
    throw wrong(Quoted(piece.text), " has a score that is no number");
  if (piece.type == PieceType::kByte && BytePiece(piece.text) < 0) {
    throw wrong(Quoted(piece.text), " is no byte of the form <0xNN>");
  }
}

void CheckNesting(const TokenizerSpec& spec, const std::string& where) {
  std::vector<std::string_view> user;
  for (const SpecPiece& p : spec.pieces) {
    if (p.type == PieceType::kUserDefined) user.push_back(p.text);
  }
  PrefixTable(user, where, "user-defined piece", kMaxNestedPieces);
}

// The names and ids of the special pieces; -1 and no text for those that a model lacks.
void PutSpecialPieces(const TokenizerSpec& spec, WireWriter* trainer) {
  const int32_t ids[] = {spec.unk, spec.bos, spec.eos, spec.pad};
  trainer->PutVarint(kVocabSize, spec.pieces.size());
  for (uint32_t i = 0; i < std::size(ids); ++i)
    trainer->PutVarint(kUnkId + i, static_cast<uint64_t>(int64_t{ids[i]}));
  for (uint32_t i = 0; i < std::size(ids); ++i)
    trainer->PutBytes(
        kUnkPiece + i,
        ids[i] < 0 ? "" : std::string_view(spec.pieces[static_cast<size_t>(ids[i])].text));
}

std::string ModelFile(const TokenizerSpec& spec, bool add_dummy_prefix, bool names) {
  WireWriter model;
  for (const SpecPiece& piece : spec.pieces) {
    WireWriter one;
    one.PutBytes(kPieceText, piece.text);
    one.PutFloat(kPieceScore, static_cast<float>(piece.score));
    one.PutVarint(kPieceKind, static_cast<uint64_t>(piece.type));
    model.PutBytes(kPieces, one.bytes());
  }
  WireWriter trainer;
  trainer.PutVarint(kModelType, spec.unigram ? kUnigram : kBpe);
  trainer.PutVarint(kByteFallback, spec.byte_fallback);
  if (names) PutSpecialPieces(spec, &trainer);
  model.PutBytes(kTrainer, trainer.bytes());
  WireWriter normalizer;
  normalizer.PutBytes(kCharsmap, spec.charsmap);
  normalizer.PutVarint(kDummyPrefix, add_dummy_prefix);
  normalizer.PutVarint(kRemoveSpaces, spec.remove_extra_whitespaces);
  normalizer.PutVarint(kEscapeSpaces, 1);
  model.PutBytes(kNormalizer, normalizer.bytes());
  return model.bytes();
}

}  // namespace

TokenizerSpec ParseSentencePieceModel(std::string_view bytes, const std::string& where) {
  TokenizerSpec spec;
  spec.kind = TokenizerSpec::Kind::kSentencePiece;
  spec.add_space_prefix = spec.remove_extra_whitespaces = true;  // the format's defaults
  spec.pre = "default";
  Trainer trainer;
  WireReader reader(bytes, where);
  for (WireReader::Field field; reader.Next(&field);) {
    if (field.type != 2) continue;
    const size_t offset = reader.offset() - field.bytes.size();
    if (field.number == kPieces) {
      if (spec.pieces.size() == kMaxPieces)
        throw reader.Wrong(Cat("more than ", kMaxPieces, " pieces"));
      spec.pieces.push_back(ParsePiece(field.bytes, where, offset));
    } else if (field.number == kTrainer) {
      trainer = ParseTrainer(field.bytes, where, offset);
    } else if (field.number == kNormalizer) {
      ParseNormalizer(field.bytes, where, offset, &spec);
    }
  }
  spec.unigram = trainer.model_type == kUnigram;
  spec.byte_fallback = trainer.byte_fallback;
  spec.strip_space = spec.add_space_prefix;
  spec.unk = PieceId(spec, trainer.unk);
  spec.bos = PieceId(spec, trainer.bos);
  spec.eos = PieceId(spec, trainer.eos);
  spec.pad = PieceId(spec, trainer.pad);
  CheckSentencePieceSpec(spec, where);
  return spec;
}

void CheckSentencePieceSpec(const TokenizerSpec& spec, const std::string& where) {
  if (spec.pieces.empty()) throw InputError(where, ": not a SentencePiece model: it has no pieces");
  if (spec.pieces.size() > kMaxPieces)
    throw InputError(where, ": more than ", kMaxPieces, " pieces");
  std::unordered_set<std::string_view, SeededTextHash> seen;
  bool is_byte[256] = {};
  int unknown = 0;
  for (size_t id = 0; id < spec.pieces.size(); ++id) {
    const SpecPiece& piece = spec.pieces[id];
    CheckPiece(piece, id, where);
    if (!seen.insert(piece.text).second) {
      throw InputError(where, ": piece ", id, " ", Quoted(piece.text), " is there twice");
    }
    if (piece.type == PieceType::kByte) is_byte[BytePiece(piece.text)] = true;
    // Gemma's tab is a piece of its own and needs no other.
    const auto first = static_cast<uint8_t>(piece.text[0]);
    if (piece.type == PieceType::kNormal && piece.text.size() == 1 && first < 0x80 && !spec.unigram)
      is_byte[first] |= spec.byte_fallback;
    if (piece.type == PieceType::kUnknown) ++unknown;
  }
  if (unknown != 1) throw InputError(where, ": ", unknown, " unknown pieces where one is needed");
  const auto bytes = std::count(is_byte, is_byte + 256, true);
  if (bytes != (spec.byte_fallback ? 256 : 0)) {
    throw InputError(where, ": ", bytes,
                     " byte pieces; with byte fallback there must be 256, without "
                     "it none");
  }
  CheckNesting(spec, where);
  CheckCharsmap(spec.charsmap, where);
}

std::string WriteSentencePieceModel(const TokenizerSpec& spec, bool add_dummy_prefix) {
  return ModelFile(spec, add_dummy_prefix, /*names=*/false);
}

std::string SentencePieceFile(const TokenizerSpec& spec) {
  return ModelFile(spec, spec.add_space_prefix, /*names=*/true);
}

}  // namespace retort
