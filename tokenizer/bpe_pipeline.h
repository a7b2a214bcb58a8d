// SPDX-License-Identifier: Apache-2.0
// The steps around the merges of a BPE tokenizer, from a tokenizer.json or from the name used in a
// GGUF.
#pragma once

#include <string>
#include <vector>

#include "tokenizer/bpe.h"
#include "tokenizer/text_steps.h"
#include "tokenizer/tokenizer.h"

namespace retort {

struct BpePipeline {
  // Added tokens found before the normalisers, and those found after them, whose text is normalised
  // too.
  std::vector<TokenizerSpec::AddedToken> raw_tokens, normalized_tokens;
  std::vector<NormalizerSpec> normalizers;
  // What follows once the added tokens are found. Empty: each run of text is one word.
  std::vector<TextStage> stages;
  BpeOptions options;
};

// Whether the models of this GGUF name of a pre-tokenizer bring text into NFC, if their file does
// not say (PipelineFromSpec reads the spec's own value).
bool PreImpliesNfc(const std::string& pre);
// Fills the pipeline's tokens from the spec's added ones.
void SortAddedTokens(const TokenizerSpec& spec, BpePipeline* pipeline);

// The pipeline of a spec without tokenizer.json. Throws Error{kInput} naming an unknown `pre`.
BpePipeline PipelineFromSpec(const TokenizerSpec& spec, const std::string& where);

// Reads the text of a tokenizer.json with a BPE model. Fills the spec's pieces, merges, added, pre,
// gguf_fault, nfc, normalizes, byte_level, byte_fallback, add_space_prefix, strip_space,
// ignore_merges, add_bos, add_eos, bos, unk and tokenizer_json. Throws Error{kInput} naming an
// unsupported feature.
BpePipeline ParseTokenizerJson(std::string text, const std::string& where, TokenizerSpec* spec);
// The same from a tokenizer.json without vocabulary and merges, which are in the spec
// (tokenizer_steps).
BpePipeline ParseTokenizerSteps(const std::string& text, const std::string& where,
                                TokenizerSpec* spec);
// The text of a spec's tokenizer.json without its vocabulary and merges, with the spec's added
// tokens.
std::string StepsOf(const TokenizerSpec& spec, const std::string& where);
// Added tokens as the JSON text of a list, as in a tokenizer.json, and back. Throws Error{kInput}.
std::string AddedTokensJson(const std::vector<TokenizerSpec::AddedToken>& tokens);
std::vector<TokenizerSpec::AddedToken> AddedTokensFromJson(const std::string& text,
                                                           const std::string& where);
// Whether a spec from a tokenizer.json has a name for its splits, and which: spec.pre, or what a
// thorough comparison finds (pre_names.h).
std::string PreNameOf(const TokenizerSpec& spec, const std::string& where);

}  // namespace retort
