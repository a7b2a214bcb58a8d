// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/base_tokenizer.h"

#include <algorithm>

#include "base/error.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

using PieceType = TokenizerSpec::PieceType;

bool IsSpecial(PieceType type) {
  return type == PieceType::kControl || type == PieceType::kUnknown;
}

// The bytes that a piece represents. Byte-level pieces are spelt in GPT-2's alphabet, except added
// ones, which are plain text.
std::string SpokenBytes(const TokenizerSpec& spec, const TokenizerSpec::Piece& piece,
                        const std::string& where) {
  if (piece.type == PieceType::kByte) {
    const int byte = BytePiece(piece.text);
    if (byte < 0)
      throw InputError(where, ": byte piece '", piece.text, "' is not of the form <0xNN>");
    return std::string(1, static_cast<char>(byte));
  }
  if (spec.byte_level) {
    std::string bytes;
    return piece.type == PieceType::kNormal && LettersToBytes(piece.text, &bytes) ? bytes
                                                                                  : piece.text;
  }
  return IsSpecial(piece.type) ? piece.text : ReplaceAll(piece.text, kMetaSpace, " ");
}

}  // namespace

BaseTokenizer::BaseTokenizer(TokenizerSpec spec, const std::string& where)
    : spec_(std::move(spec)) {
  if (spec_.pieces.empty()) throw InputError(where, ": the vocabulary is empty");
  const auto check = [&](int32_t id, std::string_view name) {
    if (id < -1 || id >= vocab_size()) {
      throw InputError(where, ": the ", name, " token's id ", id,
                       " is outside of the vocabulary of ", vocab_size());
    }
  };
  check(spec_.bos, "bos");
  check(spec_.eos, "eos");
  check(spec_.unk, "unk");
  check(spec_.idle_unk, "unk");
  check(spec_.pad, "pad");
  for (const auto& token : spec_.added) {
    check(token.id, token.text);
    if (token.id < 0) throw InputError(where, ": added token '", token.text, "' has no id");
  }
  spoken_.reserve(spec_.pieces.size());
  for (const auto& piece : spec_.pieces) spoken_.push_back(SpokenBytes(spec_, piece, where));
}

std::vector<int32_t> BaseTokenizer::Encode(const std::vector<Segment>& segments,
                                           bool continuation) const {
  return *EncodeAtMost(segments, continuation, kNoLimit);
}

std::optional<std::vector<int32_t>> BaseTokenizer::EncodeAtMost(
    const std::vector<Segment>& segments, bool continuation, size_t limit) const {
  size_t bytes = 0;
  for (const Segment& segment : segments) bytes += segment.text.size();
  if (TooMany(bytes, BytesPerToken(), limit)) return std::nullopt;
  std::vector<int32_t> ids;
  ids.reserve(std::min(bytes / 3, limit));
  if (!EncodeMarked(MarkedText(segments), continuation, limit, &ids) || ids.size() > limit)
    return std::nullopt;
  return ids;
}

std::string BaseTokenizer::Bytes(int32_t id, bool special) const {
  RETORT_CHECK(id >= 0, "token ", id);
  // A model may have more rows than its tokenizer has ids, and ids that no text produces.
  if (id >= vocab_size() || spec_.pieces[id].type == PieceType::kUnused) return "";
  return !special && IsSpecial(spec_.pieces[id].type) ? std::string() : spoken_[id];
}

std::string BaseTokenizer::Decode(const std::vector<int32_t>& ids, bool special) const {
  std::string text;
  bool at_start = spec_.strip_space;
  for (const int32_t id : ids) {
    const std::string bytes = Bytes(id, special);
    const bool text_begins = at_start && !bytes.empty() && !IsSpecial(spec_.pieces[id].type);
    text.append(bytes, text_begins && bytes[0] == ' ' ? 1 : 0);
    if (text_begins) at_start = false;
  }
  return text;
}

}  // namespace retort
