// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/spec_hash.h"

#include <bit>

#include "base/sha256.h"

namespace retort {
namespace {

// Every value is written with its length, so that no two lists of values are the same bytes.
class FieldsSum {
 public:
  void Add(std::string_view text) {
    Number(text.size());
    sum_.Add(std::as_bytes(std::span(text)));
  }
  template <class T>
  void Number(T value) {
    const auto wide = static_cast<uint64_t>(value);
    sum_.Add(std::as_bytes(std::span(&wide, 1)));
  }
  std::string Hex() { return sum_.Hex(); }

 private:
  Sha256Sum sum_;
};

}  // namespace

// The bindings name every field, so that a new one does not compile until it is hashed too.
std::string SpecHash(const TokenizerSpec& spec) {
  const auto& [kind, pieces, merges, model_pieces, added, sentencepiece_model, tokenizer_json,
               tokenizer_steps, pre, gguf_fault, gguf_notes, nfc, normalizes, byte_level,
               byte_fallback, unigram, charsmap, remove_extra_whitespaces, cut_user_defined,
               add_space_prefix, strip_space, ignore_merges, add_bos, add_eos, bos, eos, unk, pad,
               idle_unk, chat_template] = spec;
  FieldsSum sum;
  sum.Number(pieces.size());
  for (const auto& [text, score, type] : pieces) {
    sum.Add(text);
    sum.Number(std::bit_cast<uint64_t>(score));
    sum.Number(type);
  }
  sum.Number(added.size());
  for (const auto& [id, text, special, lstrip, rstrip, single_word, normalized] : added) {
    sum.Add(text);
    for (const int64_t n : {int64_t{id}, int64_t{special}, int64_t{lstrip}, int64_t{rstrip},
                            int64_t{single_word}, int64_t{normalized}})
      sum.Number(n);
  }
  for (const std::vector<std::string>* texts : {&merges, &gguf_notes}) {
    sum.Number(texts->size());
    for (const std::string& text : *texts) sum.Add(text);
  }
  for (const std::string* text : {&sentencepiece_model, &tokenizer_json, &tokenizer_steps, &pre,
                                  &gguf_fault, &charsmap, &chat_template})
    sum.Add(*text);
  for (const bool flag :
       {nfc, normalizes, byte_level, byte_fallback, unigram, remove_extra_whitespaces,
        cut_user_defined, add_space_prefix, strip_space, ignore_merges, add_bos, add_eos})
    sum.Number(flag);
  sum.Number(kind);
  for (const int32_t id : {model_pieces, bos, eos, unk, pad, idle_unk}) sum.Number(id);
  return sum.Hex();
}

}  // namespace retort
