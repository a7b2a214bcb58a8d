// SPDX-License-Identifier: Apache-2.0
// Shared by all kinds of tokenizers: the pieces' bytes, and decoding.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tokenizer/added_tokens.h"
#include "tokenizer/tokenizer.h"

namespace retort {

class BaseTokenizer : public Tokenizer {
 public:
  // Throws Error{kInput} if special ids of the spec are outside its pieces, or a byte piece does
  // not name a byte.
  BaseTokenizer(TokenizerSpec spec, const std::string& where);

  const TokenizerSpec& spec() const override { return spec_; }
  std::string Bytes(int32_t id, bool special) const override;
  std::string Decode(const std::vector<int32_t>& ids, bool special) const override;

  std::vector<int32_t> Encode(const std::vector<Segment>& segments,
                              bool continuation) const override;
  std::optional<std::vector<int32_t>> EncodeAtMost(const std::vector<Segment>& segments,
                                                   bool continuation, size_t limit) const override;

 protected:
  // Appends the ids of a text. Once there are more than `limit`, or are certain to be, it may stop
  // and return false.
  virtual bool EncodeMarked(const MarkedText& text, bool continuation, size_t limit,
                            std::vector<int32_t>* ids) const = 0;

  // The most bytes that one token can stand for; 0: there is no bound.
  virtual size_t BytesPerToken() const = 0;
  // Whether so many bytes have more than `limit` tokens for certain.
  static bool TooMany(size_t bytes, size_t bytes_per_token, size_t limit) {
    return bytes > 0 && bytes_per_token > 0 && (bytes - 1) / bytes_per_token >= limit;
  }

  const std::vector<std::string>& spoken() const { return spoken_; }  // bytes of each piece

 private:
  TokenizerSpec spec_;
  std::vector<std::string> spoken_;
};

struct BpePipeline;

// One for each TokenizerSpec::Kind.
std::unique_ptr<Tokenizer> MakeSentencePieceTokenizer(TokenizerSpec spec, const std::string& where);
std::unique_ptr<Tokenizer> MakeBpeTokenizer(TokenizerSpec spec, BpePipeline pipeline,
                                            const std::string& where);

}  // namespace retort
