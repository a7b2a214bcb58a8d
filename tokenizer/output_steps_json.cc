// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/output_steps_json.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "tokenizer/piece_ids.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

Json Part(const Json& object, const char* key) {
  const auto it = object.find(key);
  return it == object.end() ? Json() : *it;
}

// The id of ["<s>", 0].
int32_t PairId(const Json& processor, const char* key, const std::string& where,
               const TokenizerSpec& spec) {
  const Json pair = Part(processor, key);
  const bool good = pair.is_array() && pair.size() == 2 && pair[1].is_number_integer();
  const int64_t id = good ? pair[1].get<int64_t>() : -1;
  if (id < 0 || id >= std::ssize(spec.pieces))
    throw InputError(where, ": '", key, "' must be a list of a token and its id");
  return static_cast<int32_t>(id);
}

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

}  // namespace

void ReadPostProcessor(const Json& processor, const std::string& where, TokenizerSpec* spec) {
  if (processor.is_null()) return;
  const std::string type = GetString(processor, "type", where);
  if (type == "Sequence") {
    for (const Json& one : Part(processor, "processors")) ReadPostProcessor(one, where, spec);
  } else if (type == "TemplateProcessing") {
    bool before = true;
    for (const Json& part : Part(processor, "single")) {
      if (part.is_object() && part.contains("Sequence")) {
        before = false;
        continue;
      }
      const std::string name = GetString(Part(part, "SpecialToken"), "id", where);
      const int32_t id = PieceId(*spec, name);
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

void ReadDecoder(const Json& decoder, bool byte_level, const std::string& where,
                 DecoderSteps* steps) {
  if (decoder.is_null()) return;
  const std::string type = GetString(decoder, "type", where);
  if (type == "Sequence") {
    for (const Json& one : Part(decoder, "decoders")) ReadDecoder(one, byte_level, where, steps);
  } else if (type == "ByteLevel") {
    if (!byte_level) throw UnknownDecoder(where, "the decoder 'ByteLevel' of other pieces");
  } else if (type == "Replace") {
    const Json pattern = Part(decoder, "pattern");
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

}  // namespace retort
