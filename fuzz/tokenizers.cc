// SPDX-License-Identifier: Apache-2.0
#include "fuzz/tokenizers.h"

#include <memory>

#include "base/strings.h"

namespace retort {

const Tokenizer& SmallTokenizer() {
  static const std::unique_ptr<Tokenizer> tokenizer = [] {
    TokenizerSpec spec;
    spec.kind = TokenizerSpec::Kind::kSentencePiece;
    spec.unigram = spec.byte_fallback = true;
    using PieceType = TokenizerSpec::PieceType;
    spec.pieces.push_back({"<unk>", 0, PieceType::kUnknown});
    for (const char* mark :
         {"<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|begin_of_text|>", "<|start_header_id|>",
          "<|end_header_id|>", "<|eot_id|>", "[INST]", "[/INST]"})
      spec.pieces.push_back({mark, 0, PieceType::kControl});
    for (unsigned byte = 0; byte < 256; ++byte) {
      const char* const digits = "0123456789ABCDEF";
      spec.pieces.push_back(
          {Cat("<0x", digits[byte >> 4], digits[byte & 15], ">"), 0, PieceType::kByte});
    }
    for (char letter = 'a'; letter <= 'z'; ++letter)
      spec.pieces.push_back({std::string(1, letter), -1});
    spec.pieces.push_back({"\u2581", -1});
    spec.unk = 0, spec.bos = 1, spec.eos = 2, spec.add_bos = true;
    return Tokenizer::FromSpec(std::move(spec), "small tokenizer");
  }();
  return *tokenizer;
}

void UseTokenizer(const Tokenizer& tokenizer) {
  constexpr std::string_view kTexts[] = {
      "Once upon a time, 1234 birds sang  \t\n", "na\u00efve \u6771\u4eac \U0001f600",
      "<s>[INST] x [/INST]<|im_end|></s>", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xff\xfe\x80"};
  for (const std::string_view text : kTexts) {
    for (const bool markup : {false, true}) {
      const std::vector<int32_t> ids = tokenizer.Encode({{std::string(text), markup}}, markup);
      tokenizer.Decode(ids, markup);
      for (const int32_t id : ids) tokenizer.PieceText(id);
    }
    tokenizer.EncodePrompt(text);
  }
}

}  // namespace retort
