// SPDX-License-Identifier: Apache-2.0
// The text of a tokenizer.json.
#include "fuzz/support.h"
#include "fuzz/tokenizers.h"
#include "tokenizer/base_tokenizer.h"
#include "tokenizer/bpe_pipeline.h"

namespace retort {
namespace {

void Use(std::string_view text) {
  TokenizerSpec spec;
  BpePipeline pipeline = ParseTokenizerJson(std::string(text), "tokenizer.json", &spec);
  UseTokenizer(*MakeBpeTokenizer(std::move(spec), std::move(pipeline), "tokenizer.json"));
}

}  // namespace
}  // namespace retort

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace retort;
  Accepted([&] { Use(TextOf(data, size)); });
  return 0;
}
