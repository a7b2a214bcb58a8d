// SPDX-License-Identifier: Apache-2.0
// The SentencePiece library as an encoder: the reference for Retort's own encoder, and the fallback
// for models that it does not support.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace retort {

class SentencePieceLibrary {
 public:
  // `spec` must have passed CheckSentencePieceSpec. `prefix`: a space is put before every text.
  // Throws Error{kInput} if the library rejects the model.
  SentencePieceLibrary(const TokenizerSpec& spec, bool prefix, const std::string& where);
  ~SentencePieceLibrary();

  // Thread-safe.
  std::vector<int32_t> Encode(std::string_view text) const;

 private:
  struct Processor;
  std::unique_ptr<Processor> processor_;
};

}  // namespace retort
