// SPDX-License-Identifier: Apache-2.0
// Reads and writes SentencePiece's model file, a protocol buffer (sentencepiece_model.proto:
// ModelProto), without the library. The library has known faults on hostile models (CVE-2026-1260
// and issues 1263, 1265, 1267, 1269 and 1272 of google/sentencepiece), so it is only given the
// output of WriteSentencePieceModel for a checked spec.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tokenizer/tokenizer.h"

namespace retort {

// Reads the pieces, their kinds, the normaliser's table and flags, and the unk, bos, eos and pad
// ids. Throws Error{kInput} naming the byte of an invalid length or value.
TokenizerSpec ParseSentencePieceModel(std::string_view bytes, const std::string& where);

// Throws Error{kInput} unless this spec is safe for the library: pieces of bounded length with
// finite scores, one unknown piece, all 256 bytes or none, a valid table.
void CheckSentencePieceSpec(const TokenizerSpec& spec, const std::string& where);

// The model file of a checked spec, with only the fields that the library needs for encoding.
std::string WriteSentencePieceModel(const TokenizerSpec& spec, bool add_dummy_prefix);
// The whole model file, with the names and ids of its special pieces, for other readers.
std::string SentencePieceFile(const TokenizerSpec& spec);

// A normaliser's table: a length, a Darts double array of that many bytes, and the replacements,
// each ended by a zero. Throws Error{kInput} if a walk through the array could leave it, loop, or
// find more matches than the library has room for. An empty table is valid.
void CheckCharsmap(std::string_view charsmap, const std::string& where);

// The replacement of the shortest entry of a checked table that `text` begins with.
std::optional<std::string_view> ShortestReplacement(std::string_view charsmap,
                                                    std::string_view text);

}  // namespace retort
