// SPDX-License-Identifier: Apache-2.0
// Reads the "post_processor" and "decoder" members of a tokenizer.json.
#pragma once

#include <string>

#include "base/json.h"
#include "tokenizer/tokenizer.h"

namespace retort {

// The special tokens added around a text: "single" of a TemplateProcessing. Sets bos, eos and
// whether they are added. Null: none. Throws Error{kInput} naming what is not known.
void ReadPostProcessor(const Json& processor, const std::string& where, TokenizerSpec* spec);

// What a decoder does to a text beyond joining its pieces' bytes.
struct DecoderSteps {
  bool fused = false;        // the pieces are one text already
  bool marks = false;        // "▁" becomes a space
  bool strip_space = false;  // one space at the text's beginning goes
};

// Null: no steps. Throws Error{kInput} naming what is not known.
void ReadDecoder(const Json& decoder, bool byte_level, const std::string& where,
                 DecoderSteps* steps);

}  // namespace retort
