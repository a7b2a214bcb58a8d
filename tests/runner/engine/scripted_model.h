// SPDX-License-Identifier: Apache-2.0
// A model that answers every chat with the same tokens, so that what becomes of an answer can be
// tested through a whole server.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/model.h"
#include "tests/tokenizer/byte_tokenizer.h"

namespace retort {

struct ScriptPiece {
  std::string text;
  bool control = false;  // a control token: no part of a decoded text
};

// Bytes, ByteTokenizer's marks, and a token for each piece of a script. Prompts never contain
// those.
class ScriptTokenizer : public ByteTokenizer {
 public:
  explicit ScriptTokenizer(const std::vector<ScriptPiece>& script) : first_(vocab_size()) {
    for (const ScriptPiece& piece : script) {
      using Type = TokenizerSpec::PieceType;
      mutable_spec().pieces.push_back(
          {piece.text, 0, piece.control ? Type::kControl : Type::kNormal});
    }
  }
  std::string Bytes(int32_t id, bool special) const override {
    const auto& piece = spec().pieces.at(static_cast<size_t>(id));
    if (id < first_) return ByteTokenizer::Bytes(id, special);
    return piece.type == TokenizerSpec::PieceType::kControl && !special ? "" : piece.text;
  }
  int32_t first() const { return first_; }

 private:
  int32_t first_;
};

// Behind `begin` it says the script's tokens one after the other, then `end`. What it says behind
// any other token is that token's successor.
std::unique_ptr<Model> ScriptedModel(const ScriptTokenizer& tokenizer, int32_t begin, int32_t end,
                                     Backend& backend);

}  // namespace retort
