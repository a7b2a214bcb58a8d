// SPDX-License-Identifier: Apache-2.0
// What stands around the merges of a BPE tokenizer, from a tokenizer.json or from the name that
// GGUF gives it.
#pragma once

#include <string>
#include <vector>

#include "tokenizer/bpe.h"
#include "tokenizer/text_steps.h"
#include "tokenizer/tokenizer.h"

namespace retort {

struct BpePipeline {
  // Tokens found before, and those found after the normalisers, whose text is normalised too.
  std::vector<TokenizerSpec::AddedToken> raw_tokens, normalized_tokens;
  std::vector<NormalizerSpec> normalizers;
  std::vector<SplitSpec> splits;
  BpeOptions options;
};

// The name of splits and normalisers in GGUF's tokenizer.ggml.pre, "" when they have none.
std::string PreName(const std::vector<SplitSpec>& splits,
                    const std::vector<NormalizerSpec>& normalizers);
// Whether a word that is a piece is that piece, for the tokenizers of this name.
bool PreIgnoresMerges(const std::string& pre);

// The pipeline of a spec without its tokenizer.json. Throws Error{kInput} naming an unknown `pre`.
BpePipeline PipelineFromSpec(const TokenizerSpec& spec, const std::string& where);

// Reads the text of a tokenizer.json with a BPE model. Fills the spec's pieces, merges, added, pre,
// byte_level, byte_fallback, add_space_prefix, ignore_merges, add_bos, add_eos, bos, unk and
// tokenizer_json. Throws Error{kInput} naming what is not known.
BpePipeline ParseTokenizerJson(std::string text, const std::string& where, TokenizerSpec* spec);

}  // namespace retort
