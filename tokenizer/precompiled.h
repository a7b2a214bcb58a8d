// SPDX-License-Identifier: Apache-2.0
// The normaliser "Precompiled" of tokenizer.json: SentencePiece's table, applied as Hugging Face's
// library applies it, which differs from SentencePiece: by grapheme clusters, and with the shortest
// entry that a character begins with.
#pragma once

#include <string>
#include <string_view>

namespace retort {

// The normalised text. `charsmap` has passed CheckCharsmap (sentencepiece_file.h). Bytes that are
// no character stay.
std::string Precompiled(std::string_view charsmap, std::string_view text);

// Decodes base64, as the table is written in JSON; false if the text is not base64.
bool DecodeBase64(std::string_view text, std::string* bytes);

}  // namespace retort
