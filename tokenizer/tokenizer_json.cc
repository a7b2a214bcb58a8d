// SPDX-License-Identifier: Apache-2.0
// Reads tokenizer.json, the format of Hugging Face's tokenizers library, with a BPE model.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/error.h"
#include "base/json.h"
#include "base/seeded_hash.h"
#include "tokenizer/bpe_pipeline.h"
#include "tokenizer/meta_words.h"
#include "tokenizer/text_steps_json.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

using PieceType = TokenizerSpec::PieceType;
// Limit on the ids that a file may skip, so that a wrong id cannot allocate unbounded memory.
constexpr size_t kMaxGaps = 1 << 16;

// Moves a member out of the object, so that the rest is small.
Json Take(Json* object, const char* key) {
  const auto it = object->is_object() ? object->find(key) : object->end();
  return it == object->end() ? Json() : std::move(*it);
}

Json Member(const Json& object, const char* key) {
  const auto it = object.find(key);
  return it == object.end() ? Json() : *it;
}

void PutPiece(int64_t id, const std::string& text, PieceType type, size_t limit,
              const std::string& where, TokenizerSpec* spec) {
  if (id < 0 || id >= static_cast<int64_t>(limit)) {
    throw InputError(where, ": the id ", id, " of '", text, "' is outside of 0 ... ", limit - 1);
  }
  const auto place = static_cast<size_t>(id);
  while (spec->pieces.size() <= place) {
    spec->pieces.push_back({Cat("[PAD", spec->pieces.size(), "]"), 0, PieceType::kUnused});
  }
  spec->pieces[place] = {text, 0, type};
}

void ReadVocabulary(const Json& vocab, size_t limit, const std::string& where,
                    TokenizerSpec* spec) {
  for (const auto& [text, id] : vocab.items()) {
    if (!id.is_number_integer()) throw InputError(where, ": the id of '", text, "' is no integer");
    PutPiece(id.get<int64_t>(), text, PieceType::kNormal, limit, where, spec);
  }
}

void ReadMerges(Json merges, const std::string& where, TokenizerSpec* spec) {
  if (!merges.is_array()) throw InputError(where, ": 'merges' must be a list");
  spec->merges.reserve(merges.size());
  for (Json& merge : merges) {
    if (merge.is_string()) {
      spec->merges.push_back(std::move(merge.get_ref<std::string&>()));
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
               merge[1].is_string()) {
      spec->merges.push_back(
          Cat(merge[0].get_ref<const std::string&>(), " ", merge[1].get_ref<const std::string&>()));
    } else {
      throw InputError(where, ": merge ", spec->merges.size(),
                       " is neither \"a b\" nor [\"a\", \"b\"]");
    }
  }
}

void ReadAddedTokens(const Json& list, size_t limit, const std::string& where,
                     TokenizerSpec* spec) {
  for (const Json& token : list) {
    TokenizerSpec::AddedToken added;
    added.text = GetString(token, "content", where);
    added.special = GetBool(token, "special", where, false);
    added.lstrip = GetBool(token, "lstrip", where, false);
    added.rstrip = GetBool(token, "rstrip", where, false);
    added.single_word = GetBool(token, "single_word", where, false);
    added.normalized = GetBool(token, "normalized", where, !added.special);
    const int64_t id = GetInt(token, "id", where);
    PutPiece(id, added.text, added.special ? PieceType::kControl : PieceType::kUserDefined, limit,
             where, spec);
    added.id = static_cast<int32_t>(id);
    spec->added.push_back(std::move(added));
  }
}

void CheckModel(const Json& model, const std::string& where) {
  // Old files do not name the model's type; BPE is assumed, since only BPE has merges.
  const std::string type = GetString(model, "type", where, "BPE");
  if (type != "BPE") throw InputError(where, ": model '", type, "' is not known; known: BPE");
  if (GetNumber(model, "dropout", where, 0) != 0) {
    throw InputError(where, ": 'dropout' must be null or 0: it would make ids a matter of chance");
  }
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const std::string affix = GetString(model, key, where, "");
    if (!affix.empty()) throw InputError(where, ": ", key, " '", affix, "' is not known");
  }
}

int32_t IdOf(const TokenizerSpec& spec, const std::string& text) {
  const auto it = std::find_if(spec.pieces.begin(), spec.pieces.end(),
                               [&](const TokenizerSpec::Piece& p) { return p.text == text; });
  return it == spec.pieces.end() ? -1 : static_cast<int32_t>(it - spec.pieces.begin());
}

BpeOptions ReadModelOptions(const Json& model, const std::string& where, TokenizerSpec* spec) {
  const std::string unk = GetString(model, "unk_token", where, "");
  if (!unk.empty()) {
    spec->unk = IdOf(*spec, unk);
    if (spec->unk < 0) throw InputError(where, ": unk_token '", unk, "' is not in the vocabulary");
  }
  spec->ignore_merges = GetBool(model, "ignore_merges", where, false);
  return {spec->ignore_merges, GetBool(model, "byte_fallback", where, false),
          GetBool(model, "fuse_unk", where, false)};
}

// Reads the special tokens added around a text: "single" of a TemplateProcessing.
void ReadPostProcessor(const Json& processor, const std::string& where, TokenizerSpec* spec) {
  if (processor.is_null()) return;
  const std::string type = GetString(processor, "type", where);
  if (type == "Sequence") {
    for (const Json& one : Member(processor, "processors")) ReadPostProcessor(one, where, spec);
  } else if (type == "TemplateProcessing") {
    bool before = true;
    for (const Json& part : Member(processor, "single")) {
      if (part.is_object() && part.contains("Sequence")) {
        before = false;
        continue;
      }
      const std::string name = GetString(Member(part, "SpecialToken"), "id", where);
      const int32_t id = IdOf(*spec, name);
      if (id < 0) throw InputError(where, ": token '", name, "' is not in the vocabulary");
      bool& there = before ? spec->add_bos : spec->add_eos;
      if (there)
        throw InputError(where, ": more than one token ", before ? "before" : "after",
                         " the text is not known");
      there = true;
      (before ? spec->bos : spec->eos) = id;
    }
  } else if (type != "ByteLevel") {
    throw InputError(where, ": post-processor '", type,
                     "' is not known; known: ByteLevel, "
                     "Sequence, TemplateProcessing");
  }
}

void CheckDecoder(const Json& decoder, const std::string& where) {
  if (decoder.is_null()) return;
  const std::string type = GetString(decoder, "type", where);
  if (type == "Sequence") {
    for (const Json& one : Member(decoder, "decoders")) CheckDecoder(one, where);
    return;
  }
  for (const char* known : {"ByteLevel", "Replace", "ByteFallback", "Fuse", "Strip", "Metaspace"}) {
    if (type == known) return;
  }
  throw InputError(where, ": decoder '", type, "' is not known");
}

// Completes the vocabulary for GGUF's "llama" tokenizer: marks byte pieces and sets scores so that
// the best score belongs to the merge of lowest rank.
void FinishMetaSpacePieces(bool byte_fallback, TokenizerSpec* spec) {
  std::unordered_map<std::string, float, SeededTextHash, std::equal_to<>> score;
  for (size_t rank = 0; rank < spec->merges.size(); ++rank) {
    std::string whole = spec->merges[rank];
    const size_t cut = whole.find(' ');
    if (cut != whole.npos) whole.erase(cut, 1);
    score.emplace(std::move(whole), -static_cast<float>(rank));
  }
  const float never = -static_cast<float>(spec->merges.size()) - 1;
  int bytes = 0;
  for (auto& piece : spec->pieces) {
    if (piece.type != PieceType::kNormal) continue;
    if (byte_fallback && BytePiece(piece.text) >= 0) {
      piece.type = PieceType::kByte;
      ++bytes;
      continue;
    }
    const auto known = score.find(piece.text);
    piece.score = known != score.end() ? known->second : never;
  }
  spec->byte_fallback = bytes == 256;
  if (spec->unk >= 0) spec->pieces[spec->unk].type = PieceType::kUnknown;
}

constexpr const char* kSplitsFault =
    "its tokenizer splits words in a way that GGUF has no name for";

std::string ByteLevelFault(const TokenizerSpec& spec) {
  if (spec.pre.empty()) return kSplitsFault;
  if (spec.add_space_prefix)
    return "its tokenizer puts a space before a text, which a GGUF of this kind cannot say";
  if (spec.normalizes && !spec.nfc)
    return "its tokenizer normalises text in a way that GGUF has no name for";
  return "";
}

// GGUF's "llama" turns spaces into marks and may put one before every run of text, no more.
std::string MetaSpaceFault(const TextSteps& steps, const TokenizerSpec& spec) {
  using Kind = NormalizerSpec::Kind;
  bool marks = false;
  for (const NormalizerSpec& step : steps.normalizers) {
    if (step.kind == Kind::kReplaceText && step.pattern == " " && step.content == kMetaSpace) {
      marks = true;
    } else if (step.kind != Kind::kPrepend || step.content != kMetaSpace) {
      return "its tokenizer normalises text in a way that GGUF has no name for";
    } else if (step.where == NormalizerSpec::Where::kFirstRun) {
      return "its tokenizer puts a space before the beginning of a text alone (prepend_scheme 'first'), which a GGUF cannot say";
    } else if (step.unless_there) {
      return "its tokenizer puts a space only before a text that begins with none (Metaspace), which a GGUF cannot say";
    }
  }
  if (!marks) return "its tokenizer keeps spaces as they are, which a GGUF of this kind cannot say";
  for (const SplitSpec& split : steps.splits) {
    // No space is left to split at, and no piece could reach over a mark anyway.
    const bool idle = split.literal && (split.pattern == " " ||
                                        (split.pattern == kMetaSpace && MarksOnlyLead(spec)));
    if (!idle) return kSplitsFault;
  }
  return spec.ignore_merges
             ? "its tokenizer ignores its merges for whole words, which a GGUF of this kind cannot say"
             : "";
}

}  // namespace

BpePipeline ParseTokenizerJson(std::string text, const std::string& where, TokenizerSpec* spec) {
  Json parsed = ParseJson(text, where);
  if (!parsed.is_object() || !parsed.contains("model") || !parsed["model"].is_object()) {
    throw InputError(where, ": must be an object with a 'model'");
  }
  const Json vocab = Take(&parsed["model"], "vocab");
  Json merges = Take(&parsed["model"], "merges");
  const Json file = parsed;
  const Json& model = file["model"];
  const Json added = Member(file, "added_tokens");
  const std::string in_model = where + ": model";
  CheckModel(model, in_model);
  if (!vocab.is_object()) throw InputError(in_model, ": 'vocab' must be an object");

  spec->kind = TokenizerSpec::Kind::kBpe;
  spec->tokenizer_json = std::move(text);
  const size_t limit = vocab.size() + added.size() + kMaxGaps;
  ReadVocabulary(vocab, limit, in_model, spec);
  ReadMerges(std::move(merges), in_model, spec);
  ReadAddedTokens(added, limit, where + ": added_tokens", spec);

  BpePipeline pipeline;
  pipeline.options = ReadModelOptions(model, in_model, spec);
  TextSteps steps = ReadTextSteps(Member(file, "normalizer"), Member(file, "pre_tokenizer"), where);
  spec->byte_level = steps.byte_level;
  spec->add_space_prefix =
      std::any_of(steps.normalizers.begin(), steps.normalizers.end(),
                  [](const NormalizerSpec& n) { return n.kind == NormalizerSpec::Kind::kPrepend; });
  spec->normalizes = !steps.normalizers.empty();
  if (steps.byte_level) {
    spec->pre = PreName(steps.splits);
    spec->nfc = steps.normalizers == std::vector<NormalizerSpec>{{NormalizerSpec::Kind::kNfc}};
    spec->gguf_fault = ByteLevelFault(*spec);
  } else {
    FinishMetaSpacePieces(pipeline.options.byte_fallback, spec);
    if (steps.splits.empty()) spec->pre = "default";
    spec->gguf_fault = MetaSpaceFault(steps, *spec);
  }
  ReadPostProcessor(Member(file, "post_processor"), where + ": post_processor", spec);
  CheckDecoder(Member(file, "decoder"), where + ": decoder");

  for (const auto& token : spec->added) {
    (token.special || !token.normalized ? pipeline.raw_tokens : pipeline.normalized_tokens)
        .push_back(token);
  }
  pipeline.normalizers = std::move(steps.normalizers);
  pipeline.splits = std::move(steps.splits);
  return pipeline;
}

}  // namespace retort
