// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/text_steps_json.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "tokenizer/bpe_pipeline.h"
#include "tokenizer/precompiled.h"
#include "tokenizer/regex_syntax.h"
#include "tokenizer/unicode.h"
#include "tokenizer/utf8.h"
#include "tokenizer/word_ends.h"

namespace retort {
namespace {

using Kind = NormalizerSpec::Kind;
using Behavior = SplitSpec::Behavior;

// Every step reads all of a text. Known files have at most four of either kind.
constexpr size_t kMaxSteps = 32;
// Looking for a text takes time in proportion to its length.
constexpr size_t kMaxPatternBytes = 4096;

const Json& List(const Json& object, const char* key, const std::string& where) {
  const auto it = object.find(key);
  if (it == object.end() || !it->is_array())
    throw InputError(where, ": '", key, "' must be a list");
  return *it;
}

// {"String": "..."} or {"Regex": "..."}
std::string Pattern(const Json& step, const std::string& where, bool* literal) {
  const auto it = step.find("pattern");
  if (it == step.end() || !it->is_object()) {
    throw InputError(where, ": 'pattern' must be {\"String\": ...} or {\"Regex\": ...}");
  }
  *literal = it->contains("String");
  std::string text = GetString(*it, *literal ? "String" : "Regex", where);
  if (text.empty()) throw InputError(where, ": 'pattern' is empty");
  if (*literal && text.size() > kMaxPatternBytes) {
    throw InputError(where, ": 'pattern' has ", text.size(), " bytes; at most ", kMaxPatternBytes,
                     " are read");
  }
  return text;
}

Behavior BehaviorNamed(const std::string& name, const std::string& where) {
  if (name == "Isolated") return Behavior::kIsolated;
  if (name == "Removed") return Behavior::kRemoved;
  if (name == "MergedWithPrevious") return Behavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return Behavior::kMergedWithNext;
  if (name == "Contiguous") return Behavior::kContiguous;
  throw InputError(where, ": behavior '", name, "' is not known");
}

void ReadPrecompiled(const Json& step, const std::string& where, TextSteps* out) {
  NormalizerSpec spec{Kind::kPrecompiled};
  if (!DecodeBase64(GetString(step, "precompiled_charsmap", where), &spec.pattern))
    throw InputError(where, ": 'precompiled_charsmap' is not base64");
  out->normalizers.push_back(std::move(spec));
}

void ReadNormalizer(const Json& step, const std::string& where, TextSteps* out) {
  static constexpr std::pair<const char*, Kind> kPlain[] = {{"NFC", Kind::kNfc},
                                                            {"NFD", Kind::kNfd},
                                                            {"NFKC", Kind::kNfkc},
                                                            {"NFKD", Kind::kNfkd},
                                                            {"Nmt", Kind::kNmt},
                                                            {"StripAccents", Kind::kStripAccents},
                                                            {"Lowercase", Kind::kLowercase}};
  const std::string type = GetString(step, "type", where);
  for (const auto& [name, kind] : kPlain) {
    if (type == name) return out->normalizers.push_back({kind});
  }
  if (type == "Sequence") {
    for (const Json& one : List(step, "normalizers", where)) ReadNormalizer(one, where, out);
  } else if (type == "Prepend") {
    out->normalizers.push_back({Kind::kPrepend, "", GetString(step, "prepend", where)});
  } else if (type == "Replace") {
    bool literal;
    std::string pattern = Pattern(step, where, &literal);
    out->normalizers.push_back({literal ? Kind::kReplaceText : Kind::kReplaceRegex,
                                std::move(pattern), GetString(step, "content", where)});
  } else if (type == "Strip") {
    if (GetBool(step, "strip_left", where, true)) out->normalizers.push_back({Kind::kStripLeft});
    if (GetBool(step, "strip_right", where, true)) out->normalizers.push_back({Kind::kStripRight});
  } else if (type == "Precompiled") {
    ReadPrecompiled(step, where, out);
  } else {
    throw InputError(where, ": normalizer '", type,
                     "' is not known; known: Lowercase, NFC, NFD, NFKC, NFKD, Nmt, Precompiled, "
                     "Prepend, Replace, Sequence, Strip, StripAccents");
  }
}

// The stage for a step that rewrites words: the last one, unless that splits already.
TextStage& StageToRewrite(TextSteps* out) {
  if (out->stages.empty() || !out->stages.back().splits.empty()) out->stages.emplace_back();
  return out->stages.back();
}

void PutSplit(SplitSpec split, TextSteps* out) {
  if (out->stages.empty()) out->stages.emplace_back();
  split.on_letters = out->byte_level;
  out->stages.back().splits.push_back(std::move(split));
}

void ReadMetaspace(const Json& step, const std::string& where, TextSteps* out) {
  if (out->byte_level) throw InputError(where, ": Metaspace after ByteLevel is not known");
  const std::string mark = GetString(step, "replacement", where);
  const bool legacy_prefix = GetBool(step, "add_prefix_space", where, true);
  const std::string scheme =
      GetString(step, "prepend_scheme", where, legacy_prefix ? "always" : "never");
  TextStage& stage = StageToRewrite(out);
  stage.rewrites.push_back({Kind::kReplaceText, " ", mark});
  if (scheme == "always" || scheme == "first") {
    stage.rewrites.push_back(
        {Kind::kPrepend, "", mark, /*unless_there=*/true,
         scheme == "first" ? NormalizerSpec::Where::kFirstRun : NormalizerSpec::Where::kEveryRun});
  } else if (scheme != "never") {
    throw InputError(where, ": prepend_scheme '", scheme, "' is not known");
  }
  if (GetBool(step, "split", where, true))
    PutSplit({mark, /*literal=*/true, Behavior::kMergedWithNext}, out);
}

void ReadByteLevel(const Json& step, const std::string& where, TextSteps* out) {
  if (out->byte_level) throw InputError(where, ": ByteLevel after ByteLevel is not known");
  if (GetBool(step, "add_prefix_space", where, true)) {
    StageToRewrite(out).rewrites.push_back({Kind::kPrepend, "", " ", /*unless_there=*/true});
  }
  if (GetBool(step, "use_regex", where, true)) PutSplit({kGpt2Words}, out);
  out->byte_level = true;
}

void ReadPreTokenizer(const Json& step, const std::string& where, TextSteps* out) {
  const std::string type = GetString(step, "type", where);
  if (type == "Sequence") {
    for (const Json& one : List(step, "pretokenizers", where)) ReadPreTokenizer(one, where, out);
  } else if (type == "Split") {
    bool literal;
    std::string pattern = Pattern(step, where, &literal);
    PutSplit({std::move(pattern), literal, BehaviorNamed(GetString(step, "behavior", where), where),
              GetBool(step, "invert", where, false)},
             out);
  } else if (type == "ByteLevel") {
    ReadByteLevel(step, where, out);
  } else if (type == "Metaspace") {
    ReadMetaspace(step, where, out);
  } else if (type == "Digits") {
    const bool each = GetBool(step, "individual_digits", where, false);
    PutSplit({each ? kEachDigit : Cat(kEachDigit, "+")}, out);
  } else if (type == "Punctuation") {
    PutSplit(PunctuationStep(BehaviorNamed(GetString(step, "behavior", where, "Isolated"), where)),
             out);
  } else if (type == "WhitespaceSplit") {
    PutSplit({R"(\s)", /*literal=*/false, Behavior::kRemoved}, out);
  } else if (type == "Whitespace") {
    PutSplit({R"([\w\u200C\u200D]+|[^\w\u200C\u200D\s]+)", /*literal=*/false, Behavior::kRemoved,
              /*invert=*/true},
             out);
  } else if (type == "CharDelimiterSplit") {
    PutSplit({GetString(step, "delimiter", where), /*literal=*/true, Behavior::kRemoved}, out);
  } else {
    throw InputError(where, ": pre-tokenizer '", type,
                     "' is not known; known: ByteLevel, CharDelimiterSplit, Digits, Metaspace, "
                     "Punctuation, Sequence, Split, Whitespace, WhitespaceSplit");
  }
}

const char* NameOf(Behavior behavior) {
  switch (behavior) {
    case Behavior::kIsolated:
      return "Isolated";
    case Behavior::kRemoved:
      return "Removed";
    case Behavior::kMergedWithPrevious:
      return "MergedWithPrevious";
    case Behavior::kMergedWithNext:
      return "MergedWithNext";
    case Behavior::kContiguous:
      return "Contiguous";
  }
  RETORT_CHECK(false, "behavior ", static_cast<int>(behavior));
}

Json SplitJson(const SplitSpec& split) {
  if (!split.literal && !split.invert && split.behavior == Behavior::kIsolated &&
      (split.pattern == kEachDigit || split.pattern == Cat(kEachDigit, "+")))
    return {{"type", "Digits"}, {"individual_digits", split.pattern == kEachDigit}};
  if (split.pattern == PunctuationStep(split.behavior).pattern && !split.literal && !split.invert)
    return {{"type", "Punctuation"}, {"behavior", NameOf(split.behavior)}};
  return {{"type", "Split"},
          {"pattern", {{split.literal ? "String" : "Regex", split.pattern}}},
          {"behavior", NameOf(split.behavior)},
          {"invert", split.invert}};
}

}  // namespace

Json ByteLevelJson(bool add_prefix_space, bool use_regex) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", add_prefix_space},
          {"trim_offsets", true},
          {"use_regex", use_regex}};
}

Json PreTokenizerJson(const std::vector<SplitSpec>& splits, bool add_prefix_space,
                      const std::string& where) {
  Json steps = Json::array();
  size_t next = 0;
  const SplitSpec words{kGpt2Words};
  for (; next < splits.size() && !splits[next].on_letters && splits[next] != words; ++next)
    steps.push_back(SplitJson(splits[next]));
  // "ByteLevel" may split into GPT-2's words itself, and puts its space before each word so far.
  const bool regex = next < splits.size() && splits[next] == words;
  if (add_prefix_space && next > 0)
    throw InputError(
        where,
        ": its tokenizer splits words before it puts a space before a text, which a tokenizer.json cannot say");
  steps.push_back(ByteLevelJson(add_prefix_space, regex));
  for (next += regex ? 1 : 0; next < splits.size(); ++next) {
    if (!splits[next].on_letters)
      throw InputError(
          where, ": its tokenizer splits GPT-2's words further, which a tokenizer.json cannot say");
    steps.push_back(SplitJson(splits[next]));
  }
  if (steps.size() == 1) return steps.front();
  return {{"type", "Sequence"}, {"pretokenizers", steps}};
}

SplitSpec PunctuationStep(SplitSpec::Behavior behavior) {
  static const std::string expression = Cat("[", BracketsOf(PunctuationOfUnicode8()), "]");
  return {expression, /*literal=*/false, behavior};
}

TextSteps ReadTextSteps(const Json& normalizer, const Json& pre_tokenizer,
                        const std::string& where) {
  TextSteps steps;
  if (!normalizer.is_null()) ReadNormalizer(normalizer, where + ": normalizer", &steps);
  if (!pre_tokenizer.is_null()) ReadPreTokenizer(pre_tokenizer, where + ": pre_tokenizer", &steps);
  size_t splits = 0;
  for (const TextStage& stage : steps.stages) splits += 1 + stage.splits.size();
  for (const auto& [name, count] :
       {std::pair("normalizer", steps.normalizers.size()), std::pair("pre_tokenizer", splits)}) {
    if (count > kMaxSteps) {
      throw InputError(where, ": ", name, " has ", count, " steps; at most ", kMaxSteps,
                       " are read");
    }
  }
  return steps;
}

}  // namespace retort
