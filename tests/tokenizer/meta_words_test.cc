// SPDX-License-Identifier: Apache-2.0
// Texts encoded word by word, compared with the same model on whole texts.
#include "tokenizer/meta_words.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "tokenizer/bpe.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

const std::string kMark(kMetaSpace);

TokenizerSpec OfPieces(const std::vector<std::string>& texts) {
  TokenizerSpec spec;
  for (const std::string& text : texts) spec.pieces.push_back({text});
  return spec;
}

TEST(MetaWords, MarksLeadUnlessOneStandsBehind) {
  EXPECT_TRUE(MarksOnlyLead(OfPieces({"a", kMark, kMark + "a", kMark + kMark + "ab"})));
  EXPECT_FALSE(MarksOnlyLead(OfPieces({"a", "a" + kMark})));
  EXPECT_FALSE(MarksOnlyLead(OfPieces({kMark + "a" + kMark + "b"})));
  EXPECT_FALSE(MarksOnlyLead(OfPieces({"a b"})));
  TokenizerSpec control = OfPieces({"a" + kMark});
  control.pieces[0].type = TokenizerSpec::PieceType::kControl;  // text never becomes one
  EXPECT_TRUE(MarksOnlyLead(control));
}

TEST(MetaWords, BeginAtMarksBehindAnotherCharacter) {
  const auto cut = [](const std::string& text) {
    std::vector<PreTokenizer::Range> words;
    CutAtMarks(text, &words);
    std::vector<std::string> parts;
    for (const auto& r : words) parts.push_back(text.substr(r.begin, r.end - r.begin));
    return Join(parts, "|");
  };
  EXPECT_EQ(cut(""), "");
  EXPECT_EQ(cut("ab"), "ab");
  EXPECT_EQ(cut(kMark + "a" + kMark + kMark + "b" + kMark),
            kMark + "a|" + kMark + kMark + "b|" + kMark);
  EXPECT_EQ(cut(kMark + kMark), kMark + kMark);
}

class Made {
 public:
  uint32_t Below(uint32_t n) { return ((state_ = state_ * 1664525 + 1013904223) >> 8) % n; }

  // A tokenizer.json over few characters in which merges compete, some of them across words.
  Json File(bool crossing) {
    Json file = ParseJson(R"({"added_tokens": [], "pre_tokenizer": null, "post_processor": null,
        "decoder": null, "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        "model": {"type": "BPE", "unk_token": "<unk>", "vocab": {}, "merges": []}})",
                          "test");
    std::vector<std::string> pieces = {"<unk>", kMark, "a", "b", "c"};
    std::vector<std::string> merges;
    while (merges.size() < 30) {
      const std::string left = pieces[1 + Below(static_cast<uint32_t>(pieces.size()) - 1)];
      const std::string right = pieces[1 + Below(static_cast<uint32_t>(pieces.size()) - 1)];
      const std::string whole = left + right;
      const bool there = std::ranges::find(pieces, whole) != pieces.end();
      if (there || whole.size() > 12 || (!crossing && !MarksOnlyLead(OfPieces({whole})))) continue;
      pieces.push_back(whole);
      merges.push_back(left + " " + right);
    }
    for (const std::string& piece : pieces)
      file["model"]["vocab"][piece] = file["model"]["vocab"].size();
    file["model"]["merges"] = merges;
    file["model"]["fuse_unk"] = Below(2) == 0;
    return file;
  }
  std::string Text() {
    static const std::vector<std::string> kParts = {
        " ", " ", "a", "b", "c", "ab", "x", kMark, "\xC3\xA9", "\xFF", "\xF0\x9F", "  "};
    std::string text;
    for (uint32_t k = Below(30); k > 0; --k) text += kParts[Below(12)];
    return text;
  }

 private:
  uint32_t state_ = 1;
};

TEST(MetaWords, GiveTheIdsOfTheWholeText) {
  Made made;
  for (int round = 0; round < 200; ++round) {
    const bool crossing = round % 4 == 0;
    TokenizerSpec given;
    const Json file = made.File(crossing);
    given.tokenizer_json = DumpJson(file);
    const auto tokenizer = Tokenizer::FromSpec(given, "test");
    const BpeModel whole(tokenizer->spec(), {}, {.fuse_unk = file["model"]["fuse_unk"] == true},
                         "test");
    BpeModel::Scratch scratch;
    for (int k = 0; k < 60; ++k) {
      const std::string text = made.Text();
      std::vector<int32_t> want;
      whole.Encode(ReplaceAll(text, " ", kMark), &scratch, &want);
      ASSERT_EQ(tokenizer->Encode(text), want) << round << " " << testing::PrintToString(text);
    }
  }
}

}  // namespace
}  // namespace retort
