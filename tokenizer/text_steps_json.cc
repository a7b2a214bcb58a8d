// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/text_steps_json.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "tokenizer/bpe_pipeline.h"
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

void ReadNormalizer(const Json& step, const std::string& where, TextSteps* out) {
  const std::string type = GetString(step, "type", where);
  if (type == "Sequence") {
    for (const Json& one : List(step, "normalizers", where)) ReadNormalizer(one, where, out);
  } else if (type == "Prepend") {
    out->normalizers.push_back({Kind::kPrepend, "", GetString(step, "prepend", where)});
  } else if (type == "Replace") {
    bool literal;
    std::string pattern = Pattern(step, where, &literal);
    out->normalizers.push_back({literal ? Kind::kReplaceText : Kind::kReplaceRegex,
                                std::move(pattern), GetString(step, "content", where)});
  } else if (type == "NFC" || type == "NFD" || type == "NFKC" || type == "NFKD") {
    const bool compatible = type.size() == 4, composed = type.back() == 'C';
    out->normalizers.push_back({compatible ? (composed ? Kind::kNfkc : Kind::kNfkd)
                                           : (composed ? Kind::kNfc : Kind::kNfd)});
  } else {
    throw InputError(where, ": normalizer '", type,
                     "' is not known; known: NFC, NFD, NFKC, NFKD, "
                     "Prepend, Replace, Sequence");
  }
}

// Metaspace replaces spaces and may split before them: equivalent to two normalisers and a split.
void ReadMetaspace(const Json& step, const std::string& where, TextSteps* out) {
  if (!out->splits.empty()) throw InputError(where, ": Metaspace must come first");
  const std::string mark = GetString(step, "replacement", where);
  const bool legacy_prefix = GetBool(step, "add_prefix_space", where, true);
  const std::string scheme =
      GetString(step, "prepend_scheme", where, legacy_prefix ? "always" : "never");
  out->normalizers.push_back({Kind::kReplaceText, " ", mark});
  if (scheme == "always" || scheme == "first") {
    out->normalizers.push_back(
        {Kind::kPrepend, "", mark, /*unless_there=*/true,
         scheme == "first" ? NormalizerSpec::Where::kFirstRun : NormalizerSpec::Where::kEveryRun});
  } else if (scheme != "never") {
    throw InputError(where, ": prepend_scheme '", scheme, "' is not known");
  }
  if (GetBool(step, "split", where, true)) {
    out->splits.push_back({mark, /*literal=*/true, Behavior::kMergedWithNext});
  }
}

void ReadByteLevel(const Json& step, const std::string& where, TextSteps* out) {
  out->byte_level = true;
  if (GetBool(step, "add_prefix_space", where, true)) {
    if (!out->splits.empty()) {
      throw InputError(where, ": ByteLevel with add_prefix_space must come first");
    }
    out->normalizers.push_back({Kind::kPrepend, "", " ", /*unless_there=*/true});
  }
  if (GetBool(step, "use_regex", where, true)) out->splits.push_back({kGpt2Words});
}

void ReadPreTokenizer(const Json& step, const std::string& where, TextSteps* out) {
  const std::string type = GetString(step, "type", where);
  if (out->byte_level) throw InputError(where, ": '", type, "' after ByteLevel is not known");
  if (type == "Sequence") {
    for (const Json& one : List(step, "pretokenizers", where)) ReadPreTokenizer(one, where, out);
  } else if (type == "Split") {
    bool literal;
    std::string pattern = Pattern(step, where, &literal);
    out->splits.push_back({std::move(pattern), literal,
                           BehaviorNamed(GetString(step, "behavior", where), where),
                           GetBool(step, "invert", where, false)});
  } else if (type == "ByteLevel") {
    ReadByteLevel(step, where, out);
  } else if (type == "Metaspace") {
    ReadMetaspace(step, where, out);
  } else if (type == "Digits") {
    const bool each = GetBool(step, "individual_digits", where, false);
    out->splits.push_back({each ? kEachDigit : R"(\p{N}+)"});
  } else if (type == "WhitespaceSplit") {
    out->splits.push_back({R"(\s)", /*literal=*/false, Behavior::kRemoved});
  } else {
    throw InputError(where, ": pre-tokenizer '", type,
                     "' is not known; known: ByteLevel, Digits, "
                     "Metaspace, Sequence, Split, WhitespaceSplit");
  }
}

}  // namespace

TextSteps ReadTextSteps(const Json& normalizer, const Json& pre_tokenizer,
                        const std::string& where) {
  TextSteps steps;
  if (!normalizer.is_null()) ReadNormalizer(normalizer, where + ": normalizer", &steps);
  if (!pre_tokenizer.is_null()) ReadPreTokenizer(pre_tokenizer, where + ": pre_tokenizer", &steps);
  for (const auto& [name, count] : {std::pair("normalizer", steps.normalizers.size()),
                                    std::pair("pre_tokenizer", steps.splits.size())}) {
    if (count > kMaxSteps) {
      throw InputError(where, ": ", name, " has ", count, " steps; at most ", kMaxSteps,
                       " are read");
    }
  }
  return steps;
}

}  // namespace retort
