// SPDX-License-Identifier: Apache-2.0
// Converts text to token ids and back, for every kind of tokenizer that Retort supports.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace retort {

// The contents of a tokenizer, independent of the file format. Export writes it into a GGUF; the
// GGUF reader restores it.
struct TokenizerSpec {
  enum class Kind {
    kSentencePiece,  // a SentencePiece model, unigram or BPE; same ids as the library
    kBpe,            // merges over pieces, byte-level (GPT-2's alphabet) or SentencePiece-style
    kUnigram,        // scores of pieces as Hugging Face's library adds them up
  };
  // Numbered as in GGUF, which is the same as in SentencePiece.
  enum class PieceType : uint8_t { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };
  struct Piece {
    std::string text;  // as spelt in the file
    double score = 0;  // f32 in all files but a tokenizer.json
    PieceType type = PieceType::kNormal;
  };
  struct AddedToken {
    int32_t id;
    std::string text;
    bool special = false, lstrip = false, rstrip = false, single_word = false, normalized = false;
  };

  Kind kind = Kind::kBpe;
  std::vector<Piece> pieces;        // by id; for byte-level BPE in GPT-2's alphabet
  std::vector<std::string> merges;  // "left right", best first; BPE only
  int32_t model_pieces = 0;         // kUnigram: the first so many; others are added tokens alone
  std::vector<AddedToken> added;
  std::string sentencepiece_model;  // the .model file's bytes; empty if not loaded from one
  std::string tokenizer_json;       // the file's text; empty if not loaded from one
  // The same without vocabulary and merges: from a GGUF whose own keys cannot say it all.
  std::string tokenizer_steps;
  // GGUF's tokenizer.ggml.pre, such as "llama-bpe" (pre_names.h). Empty if a tokenizer.json does not
  // split words in the very words of a known name; export compares thoroughly.
  std::string pre;
  // What a tokenizer.json does that GGUF's own keys cannot say, such as "its tokenizer normalises text in
  // a way that GGUF has no name for"; "" if nothing. (How it splits words is in `pre`.)
  std::string gguf_fault;
  std::vector<std::string> gguf_notes;  // what llama.cpp does otherwise with rare texts
  bool nfc = false;         // byte-level BPE: text is brought into Unicode's form NFC first
  bool normalizes = false;  // a tokenizer.json has normalisers
  bool byte_level = false;  // BPE: GPT-2's byte alphabet, as opposed to "▁" and byte pieces
  bool byte_fallback = false;
  bool unigram = false;  // SentencePiece: a unigram model (GGUF's "t5"), else BPE; kUnigram: true
  std::string charsmap;  // SentencePiece: the normaliser's table; may be empty
  bool remove_extra_whitespaces = false;  // SentencePiece: as in the library
  // SentencePiece: user-defined pieces cut a text, as llama.cpp reads a GGUF, so that what follows
  // one gets its own dummy prefix. Else they are symbols within the text, as in the library.
  bool cut_user_defined = false;
  bool add_space_prefix = false;
  bool strip_space = false;  // decoding takes away a space at the beginning
  bool ignore_merges = false;
  bool add_bos = false, add_eos = false;
  int32_t bos = -1, eos = -1, unk = -1, pad = -1;
  // BPE: what files call the unknown token though no text becomes it (GPT-2's, SmolLM2's).
  int32_t idle_unk = -1;
  std::string chat_template;  // the Jinja text; empty: none
};

// A piece of text to encode. In markup, the text of a special token is encoded as that token; in
// content it never is (a user's "<|im_end|>" is ten plain characters).
struct Segment {
  std::string text;
  bool markup = false;
};

// For EncodeAtMost() and its like.
inline constexpr size_t kNoLimit = std::numeric_limits<size_t>::max();

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // Loads a folder with tokenizer.json, tekken.json or tokenizer.model (and tokenizer_config.json,
  // special_tokens_map.json, config.json, generation_config.json if present). The first of
  // these that is there is read. Throws Error{kInput} naming an unsupported feature.
  static std::unique_ptr<Tokenizer> Load(const Path& folder);
  static std::unique_ptr<Tokenizer> FromSpec(TokenizerSpec spec, const std::string& where);

  virtual const TokenizerSpec& spec() const = 0;
  int32_t vocab_size() const { return static_cast<int32_t>(spec().pieces.size()); }
  // Ids from here on stand for nothing: a GGUF has names for all rows of a model.
  int32_t used_ids() const;

  // Encodes the concatenated segments as one text, except for special tokens (see Segment). Adds no
  // BOS and no end token. `continuation`: the text follows other tokens, so no dummy prefix ("▁")
  // is put before it. Text that follows a special token gets its own dummy prefix, as in llama.cpp.
  // Added tokens that the file does not mark as special are found in content too. Throws
  // Error{kInput} on a text that the file's expressions or normalisers would need too long for
  // (text_steps.h). Thread-safe.
  virtual std::vector<int32_t> Encode(const std::vector<Segment>& segments,
                                      bool continuation) const = 0;
  std::vector<int32_t> Encode(std::string_view text, bool continuation = false) const {
    return Encode(std::vector<Segment>{{std::string(text), false}}, continuation);
  }
  // The same ids, or nullopt if there are more than `limit`, which is found out early: a
  // text too long for `limit` tokens of any kind is not looked at, and encoding ends at the first
  // token too many. (Only what the SentencePiece library itself encodes is encoded whole.)
  virtual std::optional<std::vector<int32_t>> EncodeAtMost(const std::vector<Segment>& segments,
                                                           bool continuation, size_t limit) const;
  std::optional<std::vector<int32_t>> EncodeAtMost(std::string_view text, bool continuation,
                                                   size_t limit) const {
    return EncodeAtMost(std::vector<Segment>{{std::string(text), false}}, continuation, limit);
  }
  // Whether a prompt begins with BOS.
  bool puts_bos() const { return spec().add_bos && spec().bos >= 0; }
  // The input of `run --prompt` and the beginning of a training row: BOS if the model's files want
  // one, then the text.
  std::vector<int32_t> EncodePrompt(std::string_view text) const;
  // nullopt: more than `limit` tokens, BOS included. Markup that begins with BOS, as texts of chat
  // templates do, has it already and gets no second one.
  std::optional<std::vector<int32_t>> EncodePromptAtMost(std::vector<Segment> segments,
                                                         size_t limit) const;
  std::optional<std::vector<int32_t>> EncodePromptAtMost(std::string_view text,
                                                         size_t limit) const {
    return EncodePromptAtMost({{std::string(text), false}}, limit);
  }
  // The same of a text in which special tokens are found.
  std::optional<std::vector<int32_t>> EncodeMarkupAtMost(std::string_view text,
                                                         size_t limit) const {
    return EncodePromptAtMost({{std::string(text), true}}, limit);
  }

  // The bytes that a token represents in a text ("▁" as a space); empty for control tokens unless
  // `special`.
  virtual std::string Bytes(int32_t id, bool special = false) const = 0;
  // The text of ids from the start of a sequence, without the dummy prefix's space.
  virtual std::string Decode(const std::vector<int32_t>& ids, bool special = false) const = 0;
  // The piece as spelt in the file, for display.
  const std::string& PieceText(int32_t id) const;
};

// Decodes token by token: returns UTF-8 characters as soon as they are complete. Bytes that cannot
// become a character are returned as U+FFFD.
class StreamDecoder {
 public:
  // shown: control tokens whose text is part of what is decoded; of others nothing is.
  explicit StreamDecoder(const Tokenizer& tokenizer, bool at_start = false,
                         std::vector<int32_t> shown = {});
  std::string Push(int32_t id);  // returns the newly completed characters
  std::string Flush();           // returns the rest, at the end

 private:
  const Tokenizer& tokenizer_;
  bool at_start_;
  std::vector<int32_t> shown_;
  std::string pending_;
};

// Trains a SentencePiece model (byte fallback, no normalisation, spaces unchanged) on the lines of
// `texts` and writes tokenizer.model and tokenizer_config.json into `folder`, which must exist.
// Ids: 0 <unk>, 1 <s>, 2 </s>, then control_symbols, user_symbols, 256 bytes, pieces.
// Deterministic. Throws Error{kInput} if the texts do not yield exactly `vocab` pieces.
struct SentencePieceTraining {
  int vocab = 512;
  bool bpe = true;                           // else unigram
  std::vector<std::string> control_symbols;  // chat marks: found in markup, never in content
  std::vector<std::string> user_symbols;     // whole pieces wherever they occur
  // 1: every digit is a piece. 2 (BPE only): numbers are split into pairs from the left, "48|21|3".
  // A small model copies these more reliably, since a pair identifies its position in the number
  // better than a digit.
  int digits = 1;
};
void TrainSentencePiece(const std::vector<std::string>& texts, const SentencePieceTraining& options,
                        const Path& folder);

}  // namespace retort
