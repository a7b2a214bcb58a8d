// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/write_tokenizer.h"

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "tests/formats/support.h"
#include "tests/tokenizer/made_tokenizer.h"
#include "tokenizer/load_tokenizer.h"
#include "tokenizer/pre_names.h"
#include "tokenizer/scored_merges.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

using Kind = TokenizerSpec::Kind;
using PieceType = TokenizerSpec::PieceType;

const std::vector<std::string> kWrittenTexts = {
    "",
    "Hello world",
    " two  spaces,\ttabs\nand\r\n\r\n lines ",
    "It's 12345678 DON'T we'LL x...!? (a) [b] {c}",
    "naïve café 東京 カナ \xF0\x9F\x98\x80 Ünïcödé \xCC\x81",
    "for (int i = 0; i < n; ++i) { sum += x[i]; }",
    "\xFF\xFE broken",
    "a<|end|>b <mark> c"};

class WritingTokenizers : public ::testing::Test {
 protected:
  // The tokenizer of the files that are written for a spec.
  std::unique_ptr<Tokenizer> Written(const TokenizerSpec& spec) {
    std::filesystem::remove_all(folder_ / "t");
    std::filesystem::create_directories(folder_ / "t");
    notes_ = WriteTokenizerFiles(spec, 512, folder_ / "t", "test.gguf");
    return Tokenizer::Load(folder_ / "t");
  }
  bool HasFile(const char* name) const { return std::filesystem::exists(folder_ / "t" / name); }

  // `broken`: also where a text is no UTF-8, which SentencePiece alone replaces.
  void ExpectAlike(const Tokenizer& one, const Tokenizer& other, bool broken = true) {
    for (const std::string& text : kWrittenTexts) {
      if (!broken && text.starts_with('\xFF')) continue;
      for (const bool markup : {false, true}) {
        const std::vector<Segment> segments = {{text, markup}};
        EXPECT_EQ(one.Encode(segments, false), other.Encode(segments, false)) << text;
        EXPECT_EQ(one.Encode(segments, true), other.Encode(segments, true)) << text;
      }
      EXPECT_EQ(one.EncodePrompt(text), other.EncodePrompt(text)) << text;
      const std::vector<int32_t> ids = one.Encode(text);
      EXPECT_EQ(one.Decode(ids), other.Decode(ids)) << text;
    }
    const TokenizerSpec &a = one.spec(), &b = other.spec();
    EXPECT_EQ(a.add_bos, b.add_bos);
    EXPECT_EQ(a.add_eos, b.add_eos);
    EXPECT_EQ(a.bos, b.bos);
    EXPECT_EQ(a.eos, b.eos);
    EXPECT_EQ(a.pad, b.pad);
    EXPECT_EQ(a.chat_template, b.chat_template);
  }

  TemporaryFolder folder_;
  std::vector<std::string> notes_;
};

TokenizerSpec ByteLevel(const std::string& pre) {
  TokenizerSpec spec =
      ByteLevelSpec({"he", "ll", "hell", " w", "or", "12", "\n\n", "  ", "'s"}, {{"h", "e"},
                                                                                 {"l", "l"},
                                                                                 {"he", "ll"},
                                                                                 {" ", "w"},
                                                                                 {"o", "r"},
                                                                                 {"1", "2"},
                                                                                 {"\n", "\n"},
                                                                                 {" ", " "},
                                                                                 {"'", "s"}});
  spec.pre = pre;
  spec.pieces.push_back({"<|start|>", 0, PieceType::kControl});
  spec.pieces.push_back({"<|end|>", 0, PieceType::kControl});
  spec.pieces.push_back({"<mark>", 0, PieceType::kUserDefined});
  spec.pieces.push_back({"[PAD1]", 0, PieceType::kUnused});
  return spec;
}

TokenizerSpec FromGguf(const TokenizerSpec& spec) {
  GgufMetadata m = MetadataOf(spec);
  const auto size = static_cast<uint32_t>(spec.pieces.size());
  m.Set("tokenizer.ggml.bos_token_id", size - 4);
  m.Set("tokenizer.ggml.eos_token_id", size - 3);
  m.Set("tokenizer.ggml.add_bos_token", true);
  m.Set("tokenizer.chat_template", std::string("{{ messages }}"));
  return SpecFromGguf(m, "test.gguf");
}

TEST_F(WritingTokenizers, EveryPreTokenizerIsWrittenAndReadBack) {
  for (const std::string& name : Split(KnownPreNames(), ',')) {
    const std::string pre(name.substr(name.starts_with(' ') ? 1 : 0));
    SCOPED_TRACE(pre);
    const TokenizerSpec spec = FromGguf(ByteLevel(pre));
    const auto source = Tokenizer::FromSpec(spec, "test.gguf");
    const auto written = Written(spec);
    ExpectAlike(*source, *written);
    EXPECT_TRUE(notes_.empty());
    EXPECT_EQ(written->vocab_size() + 1, source->vocab_size());  // without the padding
    ASSERT_FALSE(written->spec().pre.empty());
    EXPECT_EQ(FindPreName(written->spec().pre)->splits, FindPreName(pre)->splits);
    EXPECT_EQ(written->spec().nfc, spec.nfc);
  }
}

TEST_F(WritingTokenizers, OnlyAddedTokensAtTheEndStayOutOfTheVocabulary) {
  TokenizerSpec made = ByteLevel("gpt-2");
  made.pieces.insert(made.pieces.begin(), {"<first>", 0, PieceType::kControl});
  Written(FromGguf(made));
  const Json file = ReadJson(folder_ / "t/tokenizer.json");
  EXPECT_EQ(file["model"]["vocab"].size(), made.pieces.size() - 4);
  EXPECT_EQ(file["model"]["vocab"]["<first>"], 0);
  EXPECT_EQ(file["added_tokens"].size(), 4u);
  EXPECT_EQ(file["added_tokens"][3]["content"], "<mark>");
  EXPECT_EQ(file["added_tokens"][3]["special"], false);
  EXPECT_EQ(file["pre_tokenizer"]["type"], "ByteLevel");
}

TokenizerSpec SentencePiece() {
  TokenizerSpec spec;
  spec.kind = Kind::kSentencePiece;
  spec.pre = "default";
  spec.byte_fallback = spec.cut_user_defined = true;
  spec.add_space_prefix = spec.strip_space = true;
  spec.pieces = {{"<unk>", 0, PieceType::kUnknown},
                 {"<s>", 0, PieceType::kControl},
                 {"<|end|>", 0, PieceType::kControl},
                 {"<mark>", 0, PieceType::kUserDefined}};
  for (int byte = 0; byte < 256; ++byte) {
    char text[8];
    std::snprintf(text, sizeof text, "<0x%02X>", byte);
    spec.pieces.push_back({text, 0, PieceType::kByte});
  }
  const std::string space(kMetaSpace);
  float score = 0;
  const std::vector<std::string> joined = {space + "w", "he",  "ll",         space + space, "hell",
                                           "aa",        "aaa", space + "wo", "or"};
  for (const std::string& text : joined)
    spec.pieces.push_back({text, score -= 1, PieceType::kNormal});
  for (const char* c : {"h", "e", "l", "o", "w", "r", "a", "d", "é", "東"})
    spec.pieces.push_back({c, score -= 1, PieceType::kNormal});
  spec.pieces.push_back({space, score -= 1, PieceType::kNormal});
  spec.unk = 0, spec.bos = 1, spec.eos = 2;
  spec.add_bos = true;
  return spec;
}

TEST_F(WritingTokenizers, SentencePieceBecomesBothFiles) {
  const TokenizerSpec spec = SentencePiece();
  const auto source = Tokenizer::FromSpec(spec, "test.gguf");
  const auto written = Written(spec);
  ASSERT_TRUE(HasFile("tokenizer.json"));
  ASSERT_TRUE(HasFile("tokenizer.model"));
  EXPECT_EQ(written->spec().kind, Kind::kBpe);
  ExpectAlike(*source, *written, /*broken=*/false);
  EXPECT_EQ(written->Encode("hello aaaaa"), source->Encode("hello aaaaa"));
  std::filesystem::remove(folder_ / "t/tokenizer.json");
  const auto model = Tokenizer::Load(folder_ / "t");
  EXPECT_EQ(model->spec().kind, Kind::kSentencePiece);
  EXPECT_EQ(model->spec().pieces[270].score, spec.pieces[270].score);
  ExpectAlike(*source, *model);
}

TEST_F(WritingTokenizers, WhatMergesCannotSayIsAModelAlone) {
  TokenizerSpec ties = SentencePiece();
  ties.pieces[261].score = ties.pieces[262].score;  // the leftmost of the two merges first
  EXPECT_FALSE(MergesOfScores(ties));
  TokenizerSpec spaces = SentencePiece();
  spaces.remove_extra_whitespaces = true;
  TokenizerSpec unigram = SentencePiece();
  unigram.unigram = true;
  for (const TokenizerSpec& spec : {ties, spaces, unigram}) {
    const auto written = Written(spec);
    EXPECT_FALSE(HasFile("tokenizer.json"));
    EXPECT_EQ(notes_.size(), 1u);
    ExpectAlike(*Tokenizer::FromSpec(spec, "test.gguf"), *written);
  }
}

// Runs of spaces with one score, as Llama has them: the leftmost grows first. User-defined pieces
// that are symbols within a text stay in the model alone.
TEST_F(WritingTokenizers, RunsMayHaveOneScore) {
  TokenizerSpec spec = SentencePiece();
  const std::string space(kMetaSpace);
  std::string run = space;
  for (int size = 2; size <= 6; ++size) {
    run += space;
    if (size > 2) spec.pieces.push_back({run, -1e9f, PieceType::kNormal});
  }
  spec.pieces[263].score = -1e9f;  // two spaces
  const auto source = Tokenizer::FromSpec(spec, "test.gguf");
  const auto written = Written(spec);
  ASSERT_TRUE(HasFile("tokenizer.json"));
  for (size_t count = 1; count < 40; ++count) {
    const std::string text = "he" + std::string(count, ' ') + "wo";
    EXPECT_EQ(written->Encode(text), source->Encode(text)) << count;
  }
  spec.cut_user_defined = false;
  ExpectAlike(*Tokenizer::FromSpec(spec, "test.gguf"), *Written(spec));
  EXPECT_FALSE(HasFile("tokenizer.json"));
}

// "aaa" is "a aa" and "aa a"; merging either first gives another rest of "a aa a".
TEST_F(WritingTokenizers, MergesFollowTheScores) {
  const auto merges = MergesOfScores(SentencePiece());
  ASSERT_TRUE(merges);
  const std::string space(kMetaSpace);
  const std::vector<std::string> wanted = {space + " w",  "h e", "l l",  space + " " + space,
                                           "he ll",       "a a", "aa a", "a aa",
                                           space + "w o", "o r"};
  EXPECT_EQ(*merges, wanted);
}

TEST_F(WritingTokenizers, FlagsOfAddedTokensAreKept) {
  TokenizerSpec spec = SentencePiece();
  spec.added = {{.id = 2, .text = "<|end|>", .special = true, .rstrip = true},
                {.id = 3, .text = "<mark>", .rstrip = true}};
  const auto source = Tokenizer::FromSpec(spec, "test.gguf");
  ExpectAlike(*source, *Written(spec), /*broken=*/false);
  std::filesystem::remove(folder_ / "t/tokenizer.json");
  ExpectAlike(*source, *Tokenizer::Load(folder_ / "t"));
}

TEST_F(WritingTokenizers, ASpaceBeforeSplitWordsIsRefused) {
  TokenizerSpec spec = FromGguf(ByteLevel("llama-bpe"));
  spec.add_space_prefix = true;
  EXPECT_NE(RefusalOf([&] { Written(spec); }).find("test.gguf: its tokenizer splits words before"),
            std::string::npos);
  spec = FromGguf(ByteLevel("gpt-2"));
  spec.add_space_prefix = true;
  ExpectAlike(*Tokenizer::FromSpec(spec, "test.gguf"), *Written(spec));
}

}  // namespace
}  // namespace retort
