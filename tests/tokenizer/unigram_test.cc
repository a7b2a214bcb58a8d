// SPDX-License-Identifier: Apache-2.0
// Unigram models of a tokenizer.json, worked out by hand.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "formats/gguf_metadata.h"
#include "tokenizer/load_tokenizer.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/write_tokenizer.h"

namespace retort {
namespace {

class Unigram : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / Cat("retort_unigram_", ::getpid());
    std::filesystem::create_directories(folder_);
    file_ = ParseJson(R"({"added_tokens": [], "normalizer": null, "pre_tokenizer": null,
      "post_processor": null, "decoder": null, "model": {"type": "Unigram", "unk_id": 0,
      "vocab": [["<unk>", 0], ["a", -1], ["b", -1.5], ["ab", -2], ["abc", -6.5], ["c", -3],
                ["bc", -5.25]]}})",
                      "test");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<Tokenizer> Load() const {
    WriteTextAtomically(folder_ / "tokenizer.json", DumpJson(file_));
    return Tokenizer::Load(folder_);
  }
  void Add(const char* text, double score) {
    file_["model"]["vocab"].push_back(Json::array({text, score}));
  }
  static std::string Pieces(const Tokenizer& t, const std::string& text) {
    std::vector<std::string> pieces;
    for (const int32_t id : t.Encode(text)) pieces.push_back(t.PieceText(id));
    return Join(pieces, "|");
  }

  Path folder_;
  Json file_;
};

TEST_F(Unigram, TheBestSumOfScoresWins) {
  const auto t = Load();
  EXPECT_EQ(Pieces(*t, "ab"), "ab");     // -2 against -2.5
  EXPECT_EQ(Pieces(*t, "abc"), "ab|c");  // -5 against -6.5, -5.5 and -6.25
  EXPECT_EQ(Pieces(*t, "bc"), "b|c");    // -4.5 against -5.25
  EXPECT_EQ(Pieces(*t, "aab"), "a|ab");
  EXPECT_EQ(Pieces(*t, ""), "");
}

TEST_F(Unigram, NeighbouringUnknownCharactersAreOneToken) {
  const auto t = Load();
  EXPECT_EQ(Pieces(*t, "x\xC3\xA9z"), "<unk>");
  EXPECT_EQ(Pieces(*t, "axyb"), "a|<unk>|b");
}

// A character that begins a piece without being one is unknown alone, and cheaper within it.
TEST_F(Unigram, APieceOfUnknownCharactersIsKnown) {
  Add("xy", -9);
  EXPECT_EQ(Pieces(*Load(), "axyxb"), "a|xy|<unk>|b");
}

TEST_F(Unigram, ByteFallbackNeedsAllBytesOfARun) {
  Add("<0xC3>", -9);
  Add("<0xA9>", -9);
  file_["model"]["byte_fallback"] = true;
  const auto t = Load();
  EXPECT_EQ(Pieces(*t, "a\xC3\xA9\xC3\xA9"), "a|<0xC3>|<0xA9>|<0xC3>|<0xA9>");
  EXPECT_EQ(Pieces(*t,
                   "\xC3\xA9\xC3\xAA"
                   "a"),
            "<unk>|a");
  EXPECT_EQ(t->Decode(t->Encode("a\xC3\xA9")), "a\xC3\xA9");
}

TEST_F(Unigram, ASpecialTokenIsFoundInMarkupAlone) {
  Add("<s>", 0);
  for (const char c : {'<', 's', '>'}) Add(std::string(1, c).c_str(), -4);
  file_["added_tokens"] = ParseJson(R"([{"id": 7, "content": "<s>", "special": true}])", "test");
  const auto t = Load();
  EXPECT_EQ(Pieces(*t, "a<s>"), "a|<|s|>");
  EXPECT_EQ(t->Encode({{"a<s>", true}}, false), (std::vector<int32_t>{1, 7}));
}

// 0.1 and 0.2 in double, where the sum of floats would tie.
TEST_F(Unigram, ScoresAreDoublesHereAndInAGguf) {
  file_["model"]["vocab"] = ParseJson(
      R"([["<unk>", -30], ["a", -0.1], ["b", -0.2], ["ab", -0.3], ["ba", -0.3000000001]])", "test");
  const auto t = Load();
  EXPECT_EQ(Pieces(*t, "ab"), "ab");
  EXPECT_EQ(Pieces(*t, "ba"), "b|a");
  GgufMetadata m;
  SpecToGguf(t->spec(), 5, "test", m);
  const auto again = Tokenizer::FromSpec(SpecFromGguf(m, "test"), "test");
  for (size_t id = 0; id < 5; ++id)
    EXPECT_EQ(again->spec().pieces[id].score, t->spec().pieces[id].score);
  EXPECT_EQ(Pieces(*again, "ab"), "ab");
  EXPECT_EQ(Pieces(*again, "ba"), "b|a");
}

// The library reads -3.6649248676457002 as the double above it, so that two ways to write "ab" tie,
// and the one found first stays (ids of tokenizers 0.23).
TEST_F(Unigram, NumbersAreReadAsTheLibraryReadsThem) {
  file_["model"]["vocab"] = ParseJson(
      R"([["<unk>", 0], ["a", -1], ["b", -2.6649248676457], ["ab", -3.6649248676457002]])", "test");
  EXPECT_EQ(Pieces(*Load(), "ab"), "ab");
}

TEST_F(Unigram, AGgufAndItsFolderHaveTheSameIds) {
  file_["pre_tokenizer"] = ParseJson(
      R"({"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"},
          {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"}]})",
      "test");
  file_["decoder"] = {{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "always"}};
  Add("▁", -2.5);
  Add("▁a", -2.25);
  // Beyond the model's own pieces.
  file_["added_tokens"] = ParseJson(R"([{"id": 9, "content": "<x>", "special": false}])", "test");
  const auto t = Load();
  EXPECT_EQ(Pieces(*t, "a  bc\ta<x>a"), "▁a|▁|b|c|▁a|<x>|▁a");
  GgufMetadata m;
  SpecToGguf(t->spec(), 12, "test", m);
  EXPECT_EQ(m.Text("tokenizer.ggml.model"), "t5");
  EXPECT_TRUE(m.Bool("tokenizer.ggml.remove_extra_whitespaces", false));
  const TokenizerSpec spec = SpecFromGguf(m, "test");
  WriteTokenizerFiles(spec, 64, folder_, "test");
  const auto folder = Tokenizer::Load(folder_), gguf = Tokenizer::FromSpec(spec, "test");
  for (const char* text : {"a  bc\ta<x>a", "xa b", "<x>", "abc abc"}) {
    EXPECT_EQ(gguf->Encode(text), t->Encode(text)) << text;
    EXPECT_EQ(folder->Encode(text), t->Encode(text)) << text;
  }
}

TEST_F(Unigram, AWayToSplitThatGgufHasNoNameForIsLeftToRetort) {
  file_["pre_tokenizer"] = {{"type", "Whitespace"}};
  GgufMetadata m;
  const auto notes = SpecToGguf(Load()->spec(), 7, "test", m);
  EXPECT_EQ(m.Text("tokenizer.ggml.model"), "retort");
  ASSERT_FALSE(notes.empty());
  EXPECT_NE(notes[0].find("only Retort reads this file"), std::string::npos);
}

TEST_F(Unigram, FaultsAreNamed) {
  const auto refusal = [&] {
    try {
      Load();
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("accepted");
  };
  file_["model"]["unk_id"] = 7;
  EXPECT_NE(refusal().find("unk_id 7 is not in the vocabulary of 7"), std::string::npos);
  file_["model"]["unk_id"] = nullptr;
  const auto t = Load();
  EXPECT_EQ(Pieces(*t, "ab"), "ab");
  EXPECT_THROW(t->Encode("x"), Error);
  file_["model"]["vocab"] = ParseJson(R"([["a", "b"]])", "test");
  EXPECT_NE(refusal().find("entry 0 of 'vocab' must be a text and its score"), std::string::npos);
  file_["model"]["vocab"] = Json::array();
  EXPECT_NE(refusal().find("'vocab' must be a list that is not empty"), std::string::npos);
}

}  // namespace
}  // namespace retort
