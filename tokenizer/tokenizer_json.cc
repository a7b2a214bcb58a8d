// SPDX-License-Identifier: Apache-2.0
// Reads tokenizer.json, the format of Hugging Face's tokenizers library.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "tokenizer/bpe_pipeline.h"
#include "tokenizer/gguf_fit.h"
#include "tokenizer/output_steps_json.h"
#include "tokenizer/piece_ids.h"
#include "tokenizer/pre_names.h"
#include "tokenizer/text_steps_json.h"
#include "tokenizer/vocabulary_json.h"

namespace retort {
namespace {

// Moves a member out of the object, so that the rest is small.
Json Take(Json* object, const char* key) {
  const auto it = object->is_object() ? object->find(key) : object->end();
  return it == object->end() ? Json() : std::move(*it);
}

Json Member(const Json& object, const char* key) {
  const auto it = object.find(key);
  return it == object.end() ? Json() : *it;
}

void CheckModel(const Json& model, const std::string& where) {
  // Old files do not name the model's type; BPE is assumed, since only BPE has merges.
  const std::string type = GetString(model, "type", where, "BPE");
  if (type == "Unigram") return;
  if (type != "BPE")
    throw InputError(where, ": model '", type, "' is not known; known: BPE, Unigram");
  if (GetNumber(model, "dropout", where, 0) != 0) {
    throw InputError(where, ": 'dropout' must be null or 0: it would make ids a matter of chance");
  }
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const std::string affix = GetString(model, key, where, "");
    if (!affix.empty()) throw InputError(where, ": ", key, " '", affix, "' is not known");
  }
}

BpeOptions ReadModelOptions(const Json& model, const std::string& where, TokenizerSpec* spec) {
  const std::string unk = GetString(model, "unk_token", where, "");
  if (!unk.empty()) {
    spec->unk = PieceId(*spec, unk);
    if (spec->unk < 0) throw InputError(where, ": unk_token '", unk, "' is not in the vocabulary");
  }
  spec->ignore_merges = GetBool(model, "ignore_merges", where, false);
  return {spec->ignore_merges, GetBool(model, "byte_fallback", where, false),
          GetBool(model, "fuse_unk", where, false)};
}

bool IsUnigram(const Json& model, const std::string& where) {
  return GetString(model, "type", where, "") == "Unigram";
}

void ReadUnigramOptions(const Json& model, const std::string& where, TokenizerSpec* spec) {
  spec->kind = TokenizerSpec::Kind::kUnigram;
  spec->unigram = true;
  if (spec->model_pieces == 0)
    spec->model_pieces = static_cast<int32_t>(
        std::clamp<int64_t>(GetInt(model, kPieceCount, where), 1, std::ssize(spec->pieces)));
  const int64_t unk = GetInt(model, "unk_id", where, -1);
  if (unk < -1 || unk >= spec->model_pieces)
    throw InputError(where, ": unk_id ", unk, " is not in the vocabulary of ", spec->model_pieces);
  spec->unk = static_cast<int32_t>(unk);
  spec->byte_fallback = GetBool(model, "byte_fallback", where, false);
}

bool Prepends(const TextSteps& steps) {
  const auto prepends = [](const NormalizerSpec& step) {
    return step.kind == NormalizerSpec::Kind::kPrepend;
  };
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
  const bool unigram = IsUnigram(model, in_model);
  if (unigram)
    ReadUnigramOptions(model, in_model, spec);
  else
    pipeline.options = ReadModelOptions(model, in_model, spec);
  TextSteps steps = ReadTextSteps(Member(file, "normalizer"), Member(file, "pre_tokenizer"), where);
  spec->byte_level = steps.byte_level;
  spec->add_space_prefix = Prepends(steps);
  spec->normalizes = !steps.normalizers.empty();
  if (unigram) {
    spec->pre = "default";
    FitUnigram(steps, spec);
  } else if (steps.byte_level) {
    spec->pre = PreNameFor(steps.stages, *spec, /*thorough=*/false);
    spec->nfc = steps.normalizers == std::vector<NormalizerSpec>{{NormalizerSpec::Kind::kNfc}};
    FitByteLevel(steps, spec);
  } else {
    spec->pre = "default";
    FitMetaSpace(steps, pipeline.options.byte_fallback, spec);
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
  spec->kind = TokenizerSpec::Kind::kBpe;
  spec->tokenizer_json = std::move(text);
  const size_t limit = vocab.size() + Member(parsed, "added_tokens").size() + kMaxGaps;
  if (IsUnigram(parsed["model"], in_model)) {
    ReadScores(vocab, in_model, spec);
  } else {
    ReadVocabulary(vocab, limit, in_model, spec);
    ReadMerges(std::move(merges), in_model, spec);
  }
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
  if (spec.kind == TokenizerSpec::Kind::kUnigram) parsed["model"][kPieceCount] = spec.model_pieces;
  parsed["added_tokens"] = AddedTokensList(spec.added);
  return DumpJson(parsed);
}

std::string PreNameOf(const TokenizerSpec& spec, const std::string& where) {
  if (!spec.pre.empty() || spec.tokenizer_json.empty()) return spec.pre;
  const Json parsed = ParsedFile(spec.tokenizer_json, where);
  return PreNameFor(ReadTextSteps(Json(), Member(parsed, "pre_tokenizer"), where).stages, spec,
                    /*thorough=*/true);
}

}  // namespace retort
