// SPDX-License-Identifier: Apache-2.0
// Small byte-level tokenizers and GGUF metadata, made without files.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "formats/gguf_metadata.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/utf8.h"

namespace retort {

inline std::string LettersOf(std::string_view bytes) {
  std::string letters;
  for (const char c : bytes) AppendUtf8(ByteToLetter(static_cast<uint8_t>(c)), &letters);
  return letters;
}

// All bytes, then `pieces` as normal pieces; `merges` as "left right". All are given as bytes.
inline TokenizerSpec ByteLevelSpec(const std::vector<std::string>& pieces,
                                   const std::vector<std::pair<std::string, std::string>>& merges) {
  TokenizerSpec spec;
  spec.byte_level = true;
  spec.pre = "gpt-2";
  for (int byte = 0; byte < 256; ++byte)
    spec.pieces.push_back({LettersOf(std::string(1, static_cast<char>(byte)))});
  for (const std::string& piece : pieces) spec.pieces.push_back({LettersOf(piece)});
  for (const auto& [left, right] : merges)
    spec.merges.push_back(LettersOf(left) + " " + LettersOf(right));
  return spec;
}

// The same as the metadata of a GGUF.
inline GgufMetadata MetadataOf(const TokenizerSpec& spec) {
  GgufMetadata m("test.gguf");
  std::vector<std::string> texts;
  std::vector<int32_t> types;
  for (const TokenizerSpec::Piece& piece : spec.pieces) {
    texts.push_back(piece.text);
    types.push_back(static_cast<int32_t>(piece.type));
  }
  m.Set("tokenizer.ggml.model", std::string(spec.byte_level ? "gpt2" : "llama"));
  m.Set("tokenizer.ggml.pre", spec.pre);
  m.Set("tokenizer.ggml.tokens", GgufArray(texts));
  m.Set("tokenizer.ggml.token_type", GgufArray(types));
  if (spec.byte_level) m.Set("tokenizer.ggml.merges", GgufArray(spec.merges));
  if (!spec.byte_level)
    m.Set("tokenizer.ggml.scores", GgufArray(std::vector<float>(spec.pieces.size())));
  return m;
}

// The refusal of what `act` does, "accepted" if there is none.
template <class Act>
std::string RefusalOf(Act act) {
  try {
    act();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), Error::Kind::kInput) << e.what();
    EXPECT_LT(std::string(e.what()).size(), 600u);
    return e.what();
  }
  return "accepted";
}

inline void ExpectRefusal(const std::string& refusal, std::string_view part) {
  EXPECT_NE(refusal.find(part), std::string::npos) << refusal;
}

}  // namespace retort
