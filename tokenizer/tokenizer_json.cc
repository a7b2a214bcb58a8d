// SPDX-License-Identifier: Apache-2.0
// Reads tokenizer.json, the format of Hugging Face's tokenizers library, with a BPE model.
#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/error.h"
#include "base/json.h"
#include "base/seeded_hash.h"
#include "tokenizer/bpe_pipeline.h"
#include "tokenizer/meta_words.h"
#include "tokenizer/pre_names.h"
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

// A text that is listed twice keeps its first id and, once it was special, stays so; the last
// entry's other flags hold.
void PutAddedToken(TokenizerSpec::AddedToken token, TokenizerSpec* spec,
                   std::unordered_map<std::string, size_t, SeededTextHash>* places) {
  const auto [place, is_new] = places->emplace(token.text, spec->added.size());
  if (is_new) return spec->added.push_back(std::move(token));
  TokenizerSpec::AddedToken& known = spec->added[place->second];
  token.id = known.id;
  token.special |= known.special;
  known = std::move(token);
}

TokenizerSpec::AddedToken ReadAddedToken(const Json& token, const std::string& where) {
  TokenizerSpec::AddedToken added;
  added.text = GetString(token, "content", where);
  added.special = GetBool(token, "special", where, false);
  added.lstrip = GetBool(token, "lstrip", where, false);
  added.rstrip = GetBool(token, "rstrip", where, false);
  added.single_word = GetBool(token, "single_word", where, false);
  added.normalized = GetBool(token, "normalized", where, !added.special);
  const int64_t id = GetInt(token, "id", where);
  if (id < 0 || id > std::numeric_limits<int32_t>::max())
    throw InputError(where, ": the id ", id, " of '", added.text, "' is no id");
  added.id = static_cast<int32_t>(id);
  return added;
}

Json JsonOf(const std::vector<TokenizerSpec::AddedToken>& tokens) {
  Json list = Json::array();
  for (const TokenizerSpec::AddedToken& token : tokens) {
    list.push_back({{"id", token.id},
                    {"content", token.text},
                    {"special", token.special},
                    {"lstrip", token.lstrip},
                    {"rstrip", token.rstrip},
                    {"single_word", token.single_word},
                    {"normalized", token.normalized}});
  }
  return list;
}

void ReadAddedTokens(const Json& list, size_t limit, const std::string& where,
                     TokenizerSpec* spec) {
  std::unordered_map<std::string, size_t, SeededTextHash> places;
  for (const Json& token : list) {
    TokenizerSpec::AddedToken added = ReadAddedToken(token, where);
    PutPiece(added.id, added.text, PieceType::kUserDefined, limit, where, spec);
    PutAddedToken(std::move(added), spec, &places);
  }
  for (const TokenizerSpec::AddedToken& token : spec->added) {
    if (token.special) spec->pieces[static_cast<size_t>(token.id)].type = PieceType::kControl;
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

// The id of ["<s>", 0].
int32_t PairId(const Json& processor, const char* key, const std::string& where,
               const TokenizerSpec& spec) {
  const Json pair = Member(processor, key);
  const bool good = pair.is_array() && pair.size() == 2 && pair[1].is_number_integer();
  const int64_t id = good ? pair[1].get<int64_t>() : -1;
  if (id < 0 || id >= std::ssize(spec.pieces))
    throw InputError(where, ": '", key, "' must be a list of a token and its id");
  return static_cast<int32_t>(id);
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
      // Command R ends a text with two tokens; the last one is its end.
      if (before && spec->add_bos)
        throw InputError(where, ": more than one token before the text is not known");
      (before ? spec->add_bos : spec->add_eos) = true;
      (before ? spec->bos : spec->eos) = id;
    }
  } else if (type == "RobertaProcessing" || type == "BertProcessing") {
    spec->add_bos = spec->add_eos = true;
    spec->bos = PairId(processor, "cls", where, *spec);
    spec->eos = PairId(processor, "sep", where, *spec);
  } else if (type != "ByteLevel") {
    throw InputError(where, ": post-processor '", type,
                     "' is not known; known: BertProcessing, ByteLevel, RobertaProcessing, "
                     "Sequence, TemplateProcessing");
  }
}

// What a decoder does to a text beyond joining its pieces' bytes.
struct DecoderSteps {
  bool fused = false;        // the pieces are one text already
  bool marks = false;        // "▁" becomes a space
  bool strip_space = false;  // one space at the text's beginning goes
};

Error UnknownDecoder(const std::string& where, std::string_view what) {
  return InputError(where, ": ", what,
                    " is not known; known: ByteLevel; Metaspace; or Replace of \"▁\" by a space, "
                    "ByteFallback, Fuse, and Strip of one space at the beginning");
}

void ReadStrip(const Json& decoder, const std::string& where, DecoderSteps* steps) {
  const int64_t start = GetInt(decoder, "start", where), stop = GetInt(decoder, "stop", where);
  if (start == 0 && stop == 0) return;
  if (start != 1 || stop != 0 || GetString(decoder, "content", where) != " " || !steps->fused)
    throw UnknownDecoder(where, "this decoder 'Strip'");
  steps->strip_space = true;
}

void ReadDecoder(const Json& decoder, bool byte_level, const std::string& where,
                 DecoderSteps* steps) {
  if (decoder.is_null()) return;
  const std::string type = GetString(decoder, "type", where);
  if (type == "Sequence") {
    for (const Json& one : Member(decoder, "decoders")) ReadDecoder(one, byte_level, where, steps);
  } else if (type == "ByteLevel") {
    if (!byte_level) throw UnknownDecoder(where, "the decoder 'ByteLevel' of other pieces");
  } else if (type == "Replace") {
    const Json pattern = Member(decoder, "pattern");
    const bool mark = pattern.is_object() &&
                      GetString(pattern, "String", where, "") == kMetaSpace &&
                      GetString(decoder, "content", where) == " ";
    if (!mark) throw UnknownDecoder(where, "this decoder 'Replace'");
    steps->marks = true;
  } else if (type == "Metaspace") {
    if (GetString(decoder, "replacement", where, std::string(kMetaSpace)) != kMetaSpace)
      throw UnknownDecoder(where, "this decoder 'Metaspace'");
    const bool legacy = GetBool(decoder, "add_prefix_space", where, true);
    steps->marks = true;
    steps->strip_space =
        GetString(decoder, "prepend_scheme", where, legacy ? "always" : "never") != "never";
  } else if (type == "Fuse") {
    steps->fused = true;
  } else if (type == "Strip") {
    ReadStrip(decoder, where, steps);
  } else if (type != "ByteFallback") {
    throw UnknownDecoder(where, Cat("decoder '", type, "'"));
  }
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
  bool spelt[256] = {};  // bytes that have a piece
  for (auto& piece : spec->pieces) {
    if (piece.type == PieceType::kByte) piece.type = PieceType::kNormal;
    if (piece.type != PieceType::kNormal) continue;
    if (const int byte = BytePiece(piece.text); byte_fallback && byte >= 0) {
      piece.type = PieceType::kByte;
      spelt[byte] = true;
      continue;
    }
    if (piece.text.size() == 1) spelt[static_cast<uint8_t>(piece.text[0])] = true;
    const auto known = score.find(piece.text);
    piece.score = known != score.end() ? known->second : never;
  }
  spec->byte_fallback = byte_fallback && std::ranges::all_of(spelt, [](bool is) { return is; });
  if (spec->unk >= 0) spec->pieces[spec->unk].type = PieceType::kUnknown;
}

std::string ByteLevelFault(const TextSteps& steps, const TokenizerSpec& spec) {
  if (spec.add_space_prefix)
    return "its tokenizer puts a space before a text, which a GGUF of this kind cannot say";
  if (!steps.normalizers.empty() && !spec.nfc)
    return "its tokenizer normalises text in a way that GGUF has no name for";
  return "";
}

using Kind = NormalizerSpec::Kind;

std::string StepFault(const NormalizerSpec& step, bool* marks, std::vector<std::string>* notes) {
  if (step.kind == Kind::kReplaceText && step.pattern == " " && step.content == kMetaSpace) {
    *marks = true;
    return "";
  }
  if (step.kind != Kind::kPrepend || step.content != kMetaSpace)
    return "its tokenizer normalises text in a way that GGUF has no name for";
  if (step.where == NormalizerSpec::Where::kFirstRun) {
    notes->push_back(
        "llama.cpp puts a space also before text that follows a special token; the tokenizer puts one before the beginning of a text alone (prepend_scheme 'first')");
  } else if (step.unless_there) {
    notes->push_back(
        "llama.cpp puts a space also before a text that begins with one; the tokenizer does not (Metaspace)");
  }
  return "";
}

// GGUF's "llama" turns spaces into marks and may put one before every run of text, no more.
std::string MetaSpaceFault(const TextSteps& steps, TokenizerSpec* out) {
  const TokenizerSpec& spec = *out;
  bool marks = false;
  std::vector<NormalizerSpec> rewrites = steps.normalizers;
  std::vector<SplitSpec> splits;
  for (const TextStage& stage : steps.stages) {
    rewrites.insert(rewrites.end(), stage.rewrites.begin(), stage.rewrites.end());
    splits.insert(splits.end(), stage.splits.begin(), stage.splits.end());
  }
  for (const NormalizerSpec& step : rewrites) {
    std::string fault = StepFault(step, &marks, &out->gguf_notes);
    if (!fault.empty()) return fault;
  }
  if (!marks) return "its tokenizer keeps spaces as they are, which a GGUF of this kind cannot say";
  for (const SplitSpec& split : splits) {
    // No space is left to split at, and no piece could reach over a mark anyway.
    const bool idle = split.literal && (split.pattern == " " ||
                                        (split.pattern == kMetaSpace && MarksOnlyLead(spec)));
    if (!idle) return "its tokenizer splits words in a way that GGUF has no name for";
  }
  return spec.ignore_merges
             ? "its tokenizer ignores its merges for whole words, which a GGUF of this kind cannot say"
             : "";
}

bool Prepends(const TextSteps& steps) {
  const auto prepends = [](const NormalizerSpec& step) { return step.kind == Kind::kPrepend; };
  return std::ranges::any_of(steps.normalizers, prepends) ||
         std::ranges::any_of(steps.stages, [&](const TextStage& stage) {
           return std::ranges::any_of(stage.rewrites, prepends);
         });
}

// What follows once the vocabulary and the merges are read.
BpePipeline ReadSteps(const Json& file, size_t limit, const std::string& where,
                      TokenizerSpec* spec) {
  const Json& model = file["model"];
  const std::string in_model = where + ": model";
  spec->added.clear();
  spec->gguf_notes.clear();
  spec->add_bos = spec->add_eos = false;
  ReadAddedTokens(Member(file, "added_tokens"), limit, where + ": added_tokens", spec);
  BpePipeline pipeline;
  pipeline.options = ReadModelOptions(model, in_model, spec);
  TextSteps steps = ReadTextSteps(Member(file, "normalizer"), Member(file, "pre_tokenizer"), where);
  spec->byte_level = steps.byte_level;
  spec->add_space_prefix = Prepends(steps);
  spec->normalizes = !steps.normalizers.empty();
  if (steps.byte_level) {
    spec->pre = PreNameFor(steps.stages, *spec, /*thorough=*/false);
    spec->nfc = steps.normalizers == std::vector<NormalizerSpec>{{Kind::kNfc}};
    spec->gguf_fault = ByteLevelFault(steps, *spec);
  } else {
    FinishMetaSpacePieces(pipeline.options.byte_fallback, spec);
    spec->pre = "default";
    spec->gguf_fault = MetaSpaceFault(steps, spec);
  }
  ReadPostProcessor(Member(file, "post_processor"), where + ": post_processor", spec);
  DecoderSteps decoder;
  ReadDecoder(Member(file, "decoder"), spec->byte_level, where + ": decoder", &decoder);
  spec->strip_space = file.contains("decoder") && !file["decoder"].is_null()
                          ? decoder.strip_space
                          : spec->add_space_prefix;
  if (!spec->byte_level && spec->strip_space != spec->add_space_prefix)
    spec->gguf_notes.push_back(
        "llama.cpp keeps or takes away the space at a text's beginning otherwise");
  SortAddedTokens(*spec, &pipeline);
  pipeline.normalizers = std::move(steps.normalizers);
  pipeline.stages = std::move(steps.stages);
  return pipeline;
}

Json ParsedFile(const std::string& text, const std::string& where) {
  Json parsed = ParseJson(text, where);
  if (!parsed.is_object() || !parsed.contains("model") || !parsed["model"].is_object())
    throw InputError(where, ": must be an object with a 'model'");
  CheckModel(parsed["model"], where + ": model");
  return parsed;
}

}  // namespace

BpePipeline ParseTokenizerJson(std::string text, const std::string& where, TokenizerSpec* spec) {
  Json parsed = ParsedFile(text, where);
  const Json vocab = Take(&parsed["model"], "vocab");
  Json merges = Take(&parsed["model"], "merges");
  const std::string in_model = where + ": model";
  if (!vocab.is_object()) throw InputError(in_model, ": 'vocab' must be an object");
  spec->kind = TokenizerSpec::Kind::kBpe;
  spec->tokenizer_json = std::move(text);
  const size_t limit = vocab.size() + Member(parsed, "added_tokens").size() + kMaxGaps;
  ReadVocabulary(vocab, limit, in_model, spec);
  ReadMerges(std::move(merges), in_model, spec);
  return ReadSteps(parsed, limit, where, spec);
}

BpePipeline ParseTokenizerSteps(const std::string& text, const std::string& where,
                                TokenizerSpec* spec) {
  spec->kind = TokenizerSpec::Kind::kBpe;
  return ReadSteps(ParsedFile(text, where), spec->pieces.size(), where, spec);
}

std::string StepsOf(const TokenizerSpec& spec, const std::string& where) {
  Json parsed = ParsedFile(spec.tokenizer_json, where);
  parsed["model"].erase("vocab");
  parsed["model"].erase("merges");
  parsed["added_tokens"] = JsonOf(spec.added);
  return DumpJson(parsed);
}

std::string AddedTokensJson(const std::vector<TokenizerSpec::AddedToken>& tokens) {
  return DumpJson(JsonOf(tokens));
}

std::vector<TokenizerSpec::AddedToken> AddedTokensFromJson(const std::string& text,
                                                           const std::string& where) {
  std::vector<TokenizerSpec::AddedToken> tokens;
  for (const Json& token : ParseJson(text, where)) tokens.push_back(ReadAddedToken(token, where));
  return tokens;
}

std::string PreNameOf(const TokenizerSpec& spec, const std::string& where) {
  if (!spec.pre.empty() || spec.tokenizer_json.empty()) return spec.pre;
  const Json parsed = ParsedFile(spec.tokenizer_json, where);
  return PreNameFor(ReadTextSteps(Json(), Member(parsed, "pre_tokenizer"), where).stages, spec,
                    /*thorough=*/true);
}

}  // namespace retort
