// SPDX-License-Identifier: Apache-2.0
// Shared by all kinds of tokenizers: the pieces' bytes, and decoding.
#pragma once

#include <memory>
#include <string>
#include <vector>

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

 protected:
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
