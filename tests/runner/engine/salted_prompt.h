// SPDX-License-Identifier: Apache-2.0
// Prompts of bytes that tests of the engine tell apart.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/tokenizer/byte_tokenizer.h"

namespace retort {

// size >= 1 ids, the beginning's first; those of two salts part behind it.
inline std::vector<int32_t> SaltedPrompt(int64_t size, int32_t salt) {
  std::vector<int32_t> ids = {ByteTokenizer::kBos};
  for (int32_t i = 1; i < size; ++i) ids.push_back((i * 37 + salt * 11) % 200);
  return ids;
}

}  // namespace retort
