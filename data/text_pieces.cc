// SPDX-License-Identifier: Apache-2.0
#include "data/text_pieces.h"

#include "base/error.h"

namespace retort {

std::vector<Example> TextPieces(const Path& file, const Tokenizer& tokenizer, int64_t length) {
  const std::vector<int32_t> ids = tokenizer.EncodePrompt(ReadText(file));
  std::vector<Example> out;
  for (int64_t begin = 0; begin < std::ssize(ids); begin += length) {
    Example piece;
    piece.row = std::ssize(out);
    piece.ids.assign(ids.begin() + begin, ids.begin() + std::min(std::ssize(ids), begin + length));
    piece.labels = piece.ids;
    if (piece.size() > 1) out.push_back(std::move(piece));
  }
  if (out.empty()) throw InputError(file.string(), ": has no text of two tokens or more");
  return out;
}

}  // namespace retort
