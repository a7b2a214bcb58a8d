// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/bpe_pipeline.h"

#include "base/error.h"
#include "tokenizer/added_tokens.h"
#include "tokenizer/pre_names.h"
#include "tokenizer/utf8.h"

namespace retort {

namespace {

using Kind = NormalizerSpec::Kind;

void ByteLevelPipeline(const TokenizerSpec& spec, const std::string& where, BpePipeline* pipeline) {
  const PreName* pre = FindPreName(spec.pre);
  if (!pre) {
    throw InputError(where, ": pre-tokenizer '", spec.pre,
                     "' is not known; known: ", KnownPreNames());
  }
  if (spec.nfc) pipeline->normalizers.push_back({Kind::kNfc});
  TextStage& stage = pipeline->stages.emplace_back();
  if (spec.add_space_prefix)
    stage.rewrites.push_back({Kind::kPrepend, "", " ", /*unless_there=*/true});
  stage.splits = pre->splits;
  pipeline->options.ignore_merges |= pre->ignore_merges;
}

void MetaSpacePipeline(const TokenizerSpec& spec, BpePipeline* pipeline) {
  const std::string space(kMetaSpace);
  if (spec.add_space_prefix) pipeline->normalizers.push_back({Kind::kPrepend, "", space});
  pipeline->normalizers.push_back({Kind::kReplaceText, " ", space});
  pipeline->options.fuse_unk = true;
}

}  // namespace

bool PreImpliesNfc(const std::string& pre) {
  const PreName* known = FindPreName(pre);
  return known && known->nfc;
}

void SortAddedTokens(const TokenizerSpec& spec, BpePipeline* pipeline) {
  pipeline->raw_tokens.clear();
  pipeline->normalized_tokens.clear();
  for (const TokenizerSpec::AddedToken& token : spec.added)
    (token.normalized ? pipeline->normalized_tokens : pipeline->raw_tokens).push_back(token);
}

BpePipeline PipelineFromSpec(const TokenizerSpec& spec, const std::string& where) {
  BpePipeline pipeline;
  pipeline.raw_tokens = spec.added.empty() ? AddedTokensOfPieces(spec, true) : spec.added;
  pipeline.options.ignore_merges = spec.ignore_merges;
  pipeline.options.byte_fallback = spec.byte_fallback;
  if (spec.byte_level) {
    ByteLevelPipeline(spec, where, &pipeline);
  } else {
    MetaSpacePipeline(spec, &pipeline);
  }
  return pipeline;
}

}  // namespace retort
