// SPDX-License-Identifier: Apache-2.0
// A SentencePiece model file.
#include "fuzz/support.h"
#include "fuzz/tokenizers.h"
#include "tokenizer/base_tokenizer.h"
#include "tokenizer/sentencepiece_file.h"

namespace retort {
namespace {

void Use(std::string_view bytes) {
  UseTokenizer(*MakeSentencePieceTokenizer(ParseSentencePieceModel(bytes, "m"), "m"));
}

}  // namespace
}  // namespace retort

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace retort;
  Accepted([&] { Use(TextOf(data, size)); });
  return 0;
}
