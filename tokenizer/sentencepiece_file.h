// SPDX-License-Identifier: Apache-2.0
// SentencePiece's model file, a protocol buffer (sentencepiece_model.proto: ModelProto), read and
// written by hand. The library, which has known faults on hostile models (CVE-2026-1260 and the
// issues 1263, 1265, 1267, 1269 and 1272 of google/sentencepiece), only ever sees what
// WriteSentencePieceModel made of a checked spec.
#pragma once

#include <string>
#include <string_view>

#include "tokenizer/tokenizer.h"

namespace retort {

// The pieces, their kinds, the normaliser's table and flags and the unk, bos, eos and pad ids.
// Throws Error{kInput} naming the byte where a length or a value is not what it may be.
TokenizerSpec ParseSentencePieceModel(std::string_view bytes, const std::string& where);

// Throws Error{kInput} unless the library can be given this spec: bounded and finite pieces, one
// unknown piece, all 256 bytes or none, a sound table.
void CheckSentencePieceSpec(const TokenizerSpec& spec, const std::string& where);

// A model file of a checked spec, without what the library does not need to encode.
std::string WriteSentencePieceModel(const TokenizerSpec& spec, bool add_dummy_prefix);

// A normaliser's table: a length, a Darts double array of that many bytes, and the replacements,
// each ended by a zero. Throws Error{kInput} when a walk through the array could leave it, go round
// in circles or match more than the library has room for. Empty is sound.
void CheckCharsmap(std::string_view charsmap, const std::string& where);

}  // namespace retort
