// SPDX-License-Identifier: Apache-2.0
// A trivial tokenizer: the id of a byte is its value, and special tokens follow. A text that is not
// a continuation gets a dummy prefix ("▁"), so that a wrong `continuation` is detected.
#pragma once

#include <string>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace retort {

class ByteTokenizer : public Tokenizer {
 public:
  static constexpr int32_t kPrefix = 256, kBos = 257, kEos = 258, kUnknown = 259;

  explicit ByteTokenizer(std::vector<std::string> marks = AllMarks(), bool add_bos = true) {
    for (int i = 0; i < 256; ++i) Add(std::string(1, static_cast<char>(i)), false);
    Add("▁", false);
    Add("<s>", true);
    Add("</s>", true);
    Add("<unk>", true);
    for (const std::string& mark : marks) Add(mark, true);
    spec_.bos = kBos;
    spec_.eos = kEos;
    spec_.unk = kUnknown;
    spec_.add_bos = add_bos;
  }

  static std::vector<std::string> AllMarks() {
    return {"<|im_start|>",      "<|im_end|>", "<|start_header_id|>",
            "<|end_header_id|>", "<|eot_id|>", "<|begin_of_text|>"};
  }

  TokenizerSpec& mutable_spec() { return spec_; }
  const TokenizerSpec& spec() const override { return spec_; }
  int32_t Id(const std::string& special) const {
    for (const auto& token : spec_.added) {
      if (token.text == special) return token.id;
    }
    return -1;
  }

  using Tokenizer::Encode;
  std::vector<int32_t> Encode(const std::vector<Segment>& segments,
                              bool continuation) const override {
    std::vector<int32_t> ids;
    if (!continuation) ids.push_back(kPrefix);
    for (const Segment& segment : segments) {
      for (size_t at = 0; at < segment.text.size();) {
        const TokenizerSpec::AddedToken* token =
            segment.markup ? SpecialAt(segment.text, at) : nullptr;
        ids.push_back(token ? token->id : static_cast<unsigned char>(segment.text[at]));
        at += token ? token->text.size() : 1;
      }
    }
    return ids;
  }

  std::string Bytes(int32_t id, bool special) const override {
    if (id == kPrefix) return "";
    return id < 256 || special ? spec_.pieces.at(id).text : "";
  }
  std::string Decode(const std::vector<int32_t>& ids, bool special) const override {
    std::string text;
    for (const int32_t id : ids) text += Bytes(id, special);
    return text;
  }

 private:
  void Add(const std::string& text, bool special) {
    const int32_t id = static_cast<int32_t>(spec_.pieces.size());
    using Type = TokenizerSpec::PieceType;
    spec_.pieces.push_back({text, 0, special ? Type::kControl : Type::kNormal});
    if (special) spec_.added.push_back({id, text, true});
  }
  const TokenizerSpec::AddedToken* SpecialAt(const std::string& text, size_t at) const {
    for (const auto& token : spec_.added) {
      if (text.compare(at, token.text.size(), token.text) == 0) return &token;
    }
    return nullptr;
  }

  TokenizerSpec spec_;
};

}  // namespace retort
