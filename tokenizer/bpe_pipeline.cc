// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/bpe_pipeline.h"

#include "base/error.h"
#include "tokenizer/added_tokens.h"
#include "tokenizer/utf8.h"
#include "tokenizer/word_ends.h"

namespace retort {

namespace {

using Kind = NormalizerSpec::Kind;

struct KnownPre {
  const char* name;
  std::vector<const char*> splits;  // patterns, each isolating its matches
  bool nfc = false;                 // in the folders of its models
  bool ignore_merges = false;
  bool reads_only = false;  // an alias, accepted when reading but never written
};

const std::vector<KnownPre>& KnownPres() {
  static const std::vector<KnownPre> known = {
      {"gpt-2", {kGpt2Words}},
      {"llama-bpe", {kLlama3Words}, false, true},
      {"llama3", {kLlama3Words}, false, true, true},
      {"llama-v3", {kLlama3Words}, false, true, true},
      {"qwen2", {kQwen2Words}, true},
      {"smollm", {kEachDigit, kGpt2Words}},
      // llama.cpp's default for files without a name.
      {"default",
       {R"([\p{P}\$\+<=>\^~\|]+)",
        R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S))", R"(\p{N}+)",
        "[0-9][0-9][0-9]"}},
  };
  return known;
}

const KnownPre* FindPre(const std::string& name) {
  for (const KnownPre& pre : KnownPres()) {
    if (pre.name == name) return &pre;
  }
  return nullptr;
}

std::vector<SplitSpec> SplitsOf(const KnownPre& pre) {
  std::vector<SplitSpec> splits;
  for (const char* pattern : pre.splits) splits.push_back({pattern});
  return splits;
}

void ByteLevelPipeline(const TokenizerSpec& spec, const std::string& where, BpePipeline* pipeline) {
  const KnownPre* pre = FindPre(spec.pre);
  if (!pre) {
    std::vector<std::string> names;
    for (const KnownPre& known : KnownPres()) names.push_back(known.name);
    throw InputError(where, ": pre-tokenizer '", spec.pre,
                     "' is not known; known: ", Join(names, ", "));
  }
  pipeline->splits = SplitsOf(*pre);
  pipeline->options.ignore_merges |= pre->ignore_merges;
  if (spec.nfc) pipeline->normalizers.push_back({Kind::kNfc});
  if (spec.add_space_prefix) {
    pipeline->normalizers.push_back({Kind::kPrepend, "", " ", /*unless_there=*/true});
  }
}

void MetaSpacePipeline(const TokenizerSpec& spec, BpePipeline* pipeline) {
  const std::string space(kMetaSpace);
  if (spec.add_space_prefix) pipeline->normalizers.push_back({Kind::kPrepend, "", space});
  pipeline->normalizers.push_back({Kind::kReplaceText, " ", space});
  pipeline->options.fuse_unk = true;
}

}  // namespace

std::string PreName(const std::vector<SplitSpec>& splits) {
  for (const KnownPre& pre : KnownPres()) {
    if (!pre.reads_only && splits == SplitsOf(pre)) return pre.name;
  }
  return "";
}

bool PreImpliesNfc(const std::string& pre) {
  const KnownPre* known = FindPre(pre);
  return known && known->nfc;
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
