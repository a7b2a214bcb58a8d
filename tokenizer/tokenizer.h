// SPDX-License-Identifier: Apache-2.0
// Text to token ids and back, for every kind of tokenizer that Retort knows.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace retort {

// What a tokenizer is made of, whichever file it came from. Export writes it into a GGUF, the GGUF
// reader makes it again.
struct TokenizerSpec {
  enum class Kind {
    kSentencePiece,  // a SentencePiece model, unigram or BPE; the ids are the library's
    kBpe,            // merges over pieces, byte-level (GPT-2's alphabet) or SentencePiece-style
  };
  // GGUF's numbers; SentencePiece's own are the same.
  enum class PieceType : uint8_t { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };
  struct Piece {
    std::string text;  // as the file spells it
    float score = 0;
    PieceType type = PieceType::kNormal;
  };
  struct AddedToken {
    int32_t id;
    std::string text;
    bool special = false, lstrip = false, rstrip = false, single_word = false, normalized = false;
  };

  Kind kind = Kind::kBpe;
  std::vector<Piece> pieces;        // by id; for byte-level BPE in GPT-2's alphabet
  std::vector<std::string> merges;  // "left right", best first; BPE alone
  std::vector<AddedToken> added;
  std::string sentencepiece_model;  // the .model file's bytes; empty unless it came from one
  std::string tokenizer_json;       // the file's text; empty unless it came from one
  // GGUF's tokenizer.ggml.pre: "llama-bpe", "qwen2", "gpt-2", "smollm", "default". Empty when a
  // tokenizer.json splits words in a way that has no such name: it cannot be written as a GGUF.
  std::string pre;
  bool byte_level = false;  // BPE: GPT-2's byte alphabet, as opposed to "▁" and byte pieces
  bool byte_fallback = false;
  bool unigram = false;                   // SentencePiece: a unigram model (GGUF's "t5"), else BPE
  std::string charsmap;                   // SentencePiece: the normaliser's table, may be empty
  bool remove_extra_whitespaces = false;  // SentencePiece: as the library does it
  bool add_space_prefix = false;
  bool ignore_merges = false;
  bool add_bos = false, add_eos = false;
  int32_t bos = -1, eos = -1, unk = -1, pad = -1;
  std::string chat_template;  // the Jinja text, empty when none
};

// A stretch of text to encode. In markup the text of special tokens is read as those tokens; in
// content it never is (a user who types "<|im_end|>" has typed ten characters).
struct Segment {
  std::string text;
  bool markup = false;
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // From a folder with tokenizer.json or tokenizer.model (+ tokenizer_config.json,
  // special_tokens_map.json, config.json, generation_config.json where present), tokenizer.json
  // preferred when both are there. Throws Error{kInput} naming what the file asks for that is not
  // known.
  static std::unique_ptr<Tokenizer> Load(const Path& folder);
  static std::unique_ptr<Tokenizer> FromSpec(TokenizerSpec spec, const std::string& where);

  virtual const TokenizerSpec& spec() const = 0;
  int32_t vocab_size() const { return static_cast<int32_t>(spec().pieces.size()); }

  // Ids of the segments laid end to end, as if they were one text apart from the reading of special
  // tokens. No BOS and no end token is added. `continuation`: the text goes on after other tokens,
  // so no dummy prefix ("▁") is put before it. A stretch of text that follows a special token gets
  // its own dummy prefix, as in llama.cpp. Added tokens that their file does not call special are
  // words like any other and are read in content too. Thread-safe.
  virtual std::vector<int32_t> Encode(const std::vector<Segment>& segments,
                                      bool continuation) const = 0;
  std::vector<int32_t> Encode(std::string_view text, bool continuation = false) const {
    return Encode(std::vector<Segment>{{std::string(text), false}}, continuation);
  }
  // What `run --prompt` feeds and a training row begins with: BOS where the files add one, then the
  // text.
  std::vector<int32_t> EncodePrompt(std::string_view text) const;

  // The bytes a token stands for within a text ("▁" as a space); empty for control tokens unless
  // `special`.
  virtual std::string Bytes(int32_t id, bool special = false) const = 0;
  // The text of ids from the start of a sequence: the dummy prefix's space is taken away again.
  virtual std::string Decode(const std::vector<int32_t>& ids, bool special = false) const = 0;
  // The piece as the file spells it, for display.
  const std::string& PieceText(int32_t id) const;
};

// Text that comes token by token: whole UTF-8 characters as soon as they are complete. Bytes that
// can never become a character come out as U+FFFD.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, bool at_start = false);
  std::string Push(int32_t id);  // what became complete
  std::string Flush();           // the rest, at the end

 private:
  const Tokenizer& tokenizer_;
  bool at_start_;
  std::string pending_;
};

// Trains a SentencePiece model (byte fallback, no normalisation, spaces kept as they are) on the
// lines of `texts` and writes tokenizer.model and tokenizer_config.json into `folder`, which must
// exist. Ids: 0 <unk>, 1 <s>, 2 </s>, then control_symbols, user_symbols, 256 bytes, pieces.
// Deterministic. Throws Error{kInput} when the texts do not yield exactly `vocab` pieces.
struct SentencePieceTraining {
  int vocab = 512;
  bool bpe = true;                           // else unigram
  std::vector<std::string> control_symbols;  // chat marks: read in markup, never in content
  std::vector<std::string> user_symbols;     // whole pieces wherever they occur
  // 1: every digit is a piece. 2 (bpe alone): numbers are cut into pairs from the left, "48|21|3",
  // which a small model copies far more surely: a pair says better than a digit where in the number
  // it stands.
  int digits = 1;
};
void TrainSentencePiece(const std::vector<std::string>& texts, const SentencePieceTraining& options,
                        const Path& folder);

}  // namespace retort
