// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/sentencepiece_bpe.h"

#include <algorithm>

#include "base/error.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

using PieceType = TokenizerSpec::PieceType;

// Building the tables takes time quadratic in a piece's length. Real models are far below.
constexpr size_t kMaxMergedBytes = 256;

// Positions in a text are 32-bit numbers.
constexpr size_t kMaxTextBytes = (size_t{1} << 31) - 8;

bool IsOneCharacter(std::string_view text) {
  return static_cast<size_t>(DecodeUtf8(text, 0).size) == text.size();
}

bool IsValidUtf8(std::string_view text) { return ValidUtf8End(text, 0) == text.size(); }

bool Encodes(const TokenizerSpec& spec) {
  if (spec.unigram || !spec.charsmap.empty()) return false;
  for (const TokenizerSpec::Piece& piece : spec.pieces) {
    if (piece.text.size() > kMaxMergedBytes) return false;
    switch (piece.type) {
      case PieceType::kNormal:
        break;
      case PieceType::kUserDefined:
        if (!IsValidUtf8(piece.text)) return false;
        // The library does not remove the spaces of such pieces.
        if (spec.remove_extra_whitespaces && (piece.text.find(' ') != std::string::npos ||
                                              piece.text.find(kMetaSpace) != std::string::npos))
          return false;
        break;
      case PieceType::kUnused:
        return false;
      default:  // a character of a text would match the piece
        if (IsOneCharacter(piece.text)) return false;
    }
  }
  return true;
}

// The library's internal form of text: spaces become marks, and each byte that begins no valid
// character becomes U+FFFD.
void Escape(std::string_view text, std::string* out) {
  out->clear();
  for (size_t pos = 0; pos < text.size();) {
    const char c = text[pos];
    if (c == ' ') {
      *out += kMetaSpace;
      ++pos;
    } else if (static_cast<uint8_t>(c) < 0x80) {
      out->push_back(c);
      ++pos;
    } else if (const Utf8Char character = DecodeUtf8(text, pos); character.valid) {
      out->append(text, pos, static_cast<size_t>(character.size));
      pos += static_cast<size_t>(character.size);
    } else {
      AppendUtf8(0xFFFD, out);
      ++pos;
    }
  }
}

}  // namespace

std::string WithoutExtraSpaces(std::string_view text, bool prefix, bool continues) {
  const bool begins = prefix || (continues && text.starts_with(' '));
  std::string out;
  for (const char c : text) {
    if (c == ' ' && (out.empty() || out.back() == ' ')) continue;
    if (out.empty() && begins) out += ' ';
    out += c;
  }
  // What ends in the text's own marks counts as ending in spaces.
  for (std::string_view end; !out.empty();) {
    end = out.back() == ' ' ? " " : EndsWith(out, kMetaSpace) ? kMetaSpace : "";
    if (end.empty()) break;
    out.resize(out.size() - end.size());
  }
  return out;
}

std::unique_ptr<SentencePieceBpe> SentencePieceBpe::Make(const TokenizerSpec& spec) {
  if (!Encodes(spec)) return nullptr;
  return std::unique_ptr<SentencePieceBpe>(new SentencePieceBpe(spec));
}

SentencePieceBpe::SentencePieceBpe(const TokenizerSpec& spec) : spec_(spec) {
  AddPieces();
  AddMerges();
}

void SentencePieceBpe::AddPieces() {
  ascii_ids_.fill(-1);
  byte_ids_.fill(-1);
  ids_.Reserve(spec_.pieces.size());
  for (size_t i = 0; i < spec_.pieces.size(); ++i) {
    const TokenizerSpec::Piece& piece = spec_.pieces[i];
    const auto id = static_cast<int32_t>(i);
    const auto first = static_cast<uint8_t>(piece.text[0]);
    if (piece.type == PieceType::kUnknown) unk_ = id;
    if (piece.type == PieceType::kByte) byte_ids_[BytePiece(piece.text)] = id;
    if (piece.type == PieceType::kUserDefined) user_ids_.push_back(id);
    if (piece.type != PieceType::kNormal) continue;
    ids_.Put(piece.text, id);
    if (piece.text.size() == 1 && first < 0x80) ascii_ids_[first] = id;
  }
  std::vector<std::string_view> user;
  for (const int32_t id : user_ids_) user.push_back(spec_.pieces[id].text);
  user_ = PrefixTable(user, "vocabulary", "user-defined piece");
}

// The library merges the pair whose text has the best score. Equal scores get the same rank, so
// that the leftmost such pair is merged first, whichever pieces they are.
void SentencePieceBpe::AddMerges() {
  std::vector<int32_t> order;
  for (size_t i = 0; i < spec_.pieces.size(); ++i) {
    const TokenizerSpec::Piece& piece = spec_.pieces[i];
    if (piece.type == PieceType::kNormal && IsValidUtf8(piece.text)) {
      order.push_back(static_cast<int32_t>(i));
    }
  }
  const auto score = [&](int32_t id) { return spec_.pieces[id].score; };
  std::stable_sort(order.begin(), order.end(),
                   [&](int32_t a, int32_t b) { return score(a) > score(b); });
  std::vector<MergeTable::Merge> merges;
  int32_t rank = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    if (i > 0 && score(order[i]) != score(order[i - 1])) ++rank;
    AddMergesOf(order[i], rank, &merges);
  }
  merges_.Reserve(merges.size());
  for (const MergeTable::Merge& m : merges) {
    merges_.Put(static_cast<int32_t>(m.pair >> 32), static_cast<int32_t>(m.pair), m.rank, m.id);
  }
}

void SentencePieceBpe::AddMergesOf(int32_t id, int32_t rank,
                                   std::vector<MergeTable::Merge>* merges) {
  const std::string_view text = spec_.pieces[id].text;
  for (size_t cut = 0;;) {
    cut += static_cast<size_t>(DecodeUtf8(text, cut).size);
    if (cut == text.size()) break;
    const int32_t left = PartId(text.substr(0, cut));
    const int32_t right = left < 0 ? -1 : PartId(text.substr(cut));
    if (right >= 0) {
      merges->push_back(
          {uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right), rank, id});
    }
  }
}

// A symbol's id: that of a piece, or of a single character, which is added to the strays; else -1.
int32_t SentencePieceBpe::PartId(std::string_view part) {
  const int32_t known = ids_.Find(part);
  if (known >= 0 || !IsOneCharacter(part)) return known;
  const auto next = static_cast<int32_t>(spec_.pieces.size() + strays_.size());
  const auto [stray, is_new] = stray_ids_.emplace(part, next);
  if (is_new) strays_.push_back(part);
  if (part.size() == 1) ascii_ids_[static_cast<uint8_t>(part[0])] = stray->second;
  return stray->second;
}

int32_t SentencePieceBpe::UserPieceAt(std::string_view text, size_t pos) const {
  const int32_t entry = user_.Longest(text, pos);
  return entry < 0 ? -1 : user_ids_[user_.IndexOf(entry)];
}

// User-defined pieces are one symbol wherever they occur and take part in no merge.
int32_t SentencePieceBpe::SymbolAt(std::string_view text, size_t pos, size_t* size) const {
  if (const int32_t id = UserPieceAt(text, pos); id >= 0) {
    *size = spec_.pieces[id].text.size();
    return id;
  }
  const auto byte = static_cast<uint8_t>(text[pos]);
  *size = byte < 0x80 ? 1 : static_cast<size_t>(DecodeUtf8(text, pos).size);
  const std::string_view character = text.substr(pos, *size);
  const int32_t id = byte < 0x80 ? ascii_ids_[byte] : ids_.Find(character);
  if (id >= 0) return id;
  const auto stray = stray_ids_.find(character);
  return stray != stray_ids_.end() ? stray->second : -2 - static_cast<int32_t>(pos);
}

void SentencePieceBpe::PutUnknown(std::string_view character, bool after_unknown,
                                  std::vector<int32_t>* ids) const {
  if (!spec_.byte_fallback) {
    if (!after_unknown) ids->push_back(unk_);
    return;
  }
  for (const char c : character) ids->push_back(byte_ids_[static_cast<uint8_t>(c)]);
}

void SentencePieceBpe::Encode(std::string_view text, Scratch* scratch,
                              std::vector<int32_t>* ids) const {
  Escape(text, &scratch->text);
  const std::string_view escaped = scratch->text;
  if (escaped.size() > kMaxTextBytes)
    throw InputError("a text of ", text.size(), " bytes is too long");
  scratch->symbols.clear();
  for (size_t pos = 0, size = 0; pos < escaped.size(); pos += size) {
    scratch->symbols.push_back(SymbolAt(escaped, pos, &size));
  }
  MergeAll(merges_, &scratch->merging, &scratch->symbols);
  const auto pieces = static_cast<int32_t>(spec_.pieces.size());
  bool unknown = false;
  for (const int32_t id : scratch->symbols) {
    const bool known = id >= 0 && id < pieces;
    if (known) {
      ids->push_back(id);
    } else if (id >= 0) {
      PutUnknown(strays_[id - pieces], unknown, ids);
    } else {
      const auto pos = static_cast<size_t>(-2 - int64_t{id});
      PutUnknown(escaped.substr(pos, DecodeUtf8(escaped, pos).size), unknown, ids);
    }
    unknown = !known;
  }
}

}  // namespace retort
