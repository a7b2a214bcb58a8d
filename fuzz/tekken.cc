// SPDX-License-Identifier: Apache-2.0
// The text of a tekken.json.
#include "tokenizer/tekken.h"

#include "fuzz/support.h"
#include "fuzz/tokenizers.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace retort;
  Accepted([&] {
    const std::string text(TextOf(data, size));
    UseTokenizer(*Tokenizer::FromSpec(ParseTekken(text, "tekken.json"), "tekken.json"));
  });
  return 0;
}
