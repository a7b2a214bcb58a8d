// SPDX-License-Identifier: Apache-2.0
// tokenizer.json files that test one feature each.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "tokenizer/tokenizer.h"

namespace retort {
namespace {

using Ids = std::vector<int32_t>;

class TokenizerJson : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              ("retort_tokenizer_json_" + std::to_string(::getpid()));
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    file_ = ParseJson(R"({"added_tokens": [], "normalizer": null, "pre_tokenizer": null,
      "post_processor": null, "decoder": null,
      "model": {"type": "BPE", "vocab": {}, "merges": []}})",
                      "test");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // A vocabulary of these pieces, ids in this order.
  void Vocabulary(const std::vector<std::string>& pieces) {
    for (const std::string& piece : pieces) {
      file_["model"]["vocab"][piece] = file_["model"]["vocab"].size();
    }
  }
  std::unique_ptr<Tokenizer> Load() const {
    WriteTextAtomically(folder_ / "tokenizer.json", DumpJson(file_));
    return Tokenizer::Load(folder_);
  }
  std::string Refusal() const {
    try {
      Load();
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), Error::Kind::kInput);
      return e.what();
    }
    return "accepted";
  }
  // The text of each token, joined by "|".
  std::string Pieces(const Tokenizer& t, const std::string& text) const {
    std::vector<std::string> pieces;
    for (const int32_t id : t.Encode(text)) pieces.push_back(t.PieceText(id));
    return Join(pieces, "|");
  }

  Path folder_;
  Json file_;
};

Json Step(const char* text) { return ParseJson(text, "step"); }

TEST_F(TokenizerJson, MergesByRankThenFromTheLeft) {
  Vocabulary({"a", "b", "c", "ab", "bc", "aa", "aab"});
  file_["model"]["merges"] = {"b c", "a b", "a a", "aa b"};
  const auto t = Load();
  EXPECT_EQ(Pieces(*t, "abc"), "a|bc");  // rank 0 first, though "ab" stands further left
  EXPECT_EQ(Pieces(*t, "aaa"), "aa|a");  // of equals the leftmost
  EXPECT_EQ(Pieces(*t, "aab"), "a|ab");  // "ab" is better than "aa"
  EXPECT_EQ(Pieces(*t, "xaby"), "ab");   // without an unknown token, unknown characters vanish
  file_["model"]["ignore_merges"] = true;
  EXPECT_EQ(Pieces(*Load(), "aab"), "aab");  // the word is a piece
  file_["model"]["merges"] = Step(R"([["a", "b"]])");
  EXPECT_EQ(Pieces(*Load(), "abc"), "ab|c");
}

TEST_F(TokenizerJson, FallsBackToBytesOrUnknown) {
  Vocabulary({"<unk>", "a", "<0xC3>", "<0xA9>"});
  file_["model"]["unk_token"] = "<unk>";
  EXPECT_EQ(Pieces(*Load(), "a\xC3\xA9\xC3\xA9"), "a|<unk>|<unk>");
  file_["model"]["fuse_unk"] = true;
  EXPECT_EQ(Pieces(*Load(),
                   "a\xC3\xA9\xC3\xA9"
                   "a"),
            "a|<unk>|a");
  file_["model"]["byte_fallback"] = true;
  const auto t = Load();
  EXPECT_EQ(Pieces(*t, "a\xC3\xA9\xC3\xAA"), "a|<0xC3>|<0xA9>|<unk>");  // no piece for byte AA
  EXPECT_EQ(t->Decode({1, 2, 3}), "a\xC3\xA9");
}

TEST_F(TokenizerJson, AddsTokensAsTheirFlagsSay) {
  Vocabulary({"a", " ", "b", "[", "]"});
  file_["added_tokens"] = {
      Step(R"({"id": 5, "content": "[L]", "special": false, "normalized": false, "lstrip": true})"),
      Step(R"({"id": 6, "content": "[R]", "special": false, "normalized": false, "rstrip": true})"),
      Step(R"({"id": 7, "content": "[R]]", "special": false, "normalized": false})"),
      Step(
          R"({"id": 8, "content": "ab", "special": false, "normalized": false, "single_word": true})")};
  const auto t = Load();
  EXPECT_EQ(t->Encode("a [L] a"), (Ids{0, 5, 1, 0}));
  EXPECT_EQ(t->Encode("a [R] \n a"), (Ids{0, 1, 6, 0}));
  EXPECT_EQ(t->Encode("[R]]"), (Ids{7}));  // the longest that begins there
  EXPECT_EQ(t->Encode("a ab [R]"), (Ids{0, 1, 8, 1, 6}));
  EXPECT_EQ(t->Encode("aab"), (Ids{0, 0, 2}));  // no word of its own
}

TEST_F(TokenizerJson, FindsNormalizedTokensInNormalizedText) {
  Vocabulary({"a", "b"});
  file_["normalizer"] = Step(R"({"type": "Replace", "pattern": {"Regex": "x+"}, "content": "b"})");
  file_["added_tokens"] =
      Json::array({Step(R"({"id": 2, "content": "axa", "special": false, "normalized": true})")});
  EXPECT_EQ(Load()->Encode("aaxxxab"), (Ids{0, 2, 1}));
}

TEST_F(TokenizerJson, PutsMetaspaceWhereItsSchemeSays) {
  const std::string mark = "\xE2\x96\x81";
  Vocabulary({mark, "a", "b", mark + "a", "[S]"});
  file_["model"]["merges"] = Json::array({mark + " a"});
  file_["added_tokens"] = Json::array({Step(R"({"id": 4, "content": "[S]", "special": true})")});
  file_["pre_tokenizer"] =
      Step(R"({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first"})");
  const std::vector<Segment> marked = {{"a b[S]a", true}};
  EXPECT_EQ(Load()->Encode(marked, false), (Ids{3, 0, 2, 4, 1}));
  EXPECT_EQ(Load()->Encode(marked, true), (Ids{1, 0, 2, 4, 1}));
  file_["pre_tokenizer"]["prepend_scheme"] = "always";
  EXPECT_EQ(Load()->Encode(marked, false), (Ids{3, 0, 2, 4, 3}));
  EXPECT_EQ(Load()->Encode(marked, true), (Ids{1, 0, 2, 4, 3}));
  EXPECT_EQ(Load()->Encode(" a"), (Ids{3}));  // there already
  file_["pre_tokenizer"]["prepend_scheme"] = "never";
  EXPECT_EQ(Load()->Encode(marked, false), (Ids{1, 0, 2, 4, 1}));
}

TEST_F(TokenizerJson, SplitsAsTheBehaviorSays) {
  Vocabulary({"a", "-", "b", "a-", "-b", "--", "ab"});
  file_["model"]["merges"] = {"a -", "- b", "- -", "a b"};
  const auto pieces = [&](const char* behavior, bool invert = false) {
    file_["pre_tokenizer"] = Step(R"({"type": "Split", "pattern": {"String": "-"}})");
    file_["pre_tokenizer"]["behavior"] = behavior;
    file_["pre_tokenizer"]["invert"] = invert;
    return Pieces(*Load(), "a--b");
  };
  EXPECT_EQ(pieces("Isolated"), "a|-|-|b");
  EXPECT_EQ(pieces("Removed"), "a|b");
  EXPECT_EQ(pieces("Removed", true), "-|-");
  EXPECT_EQ(pieces("MergedWithPrevious"), "a-|-|b");
  EXPECT_EQ(pieces("MergedWithNext"), "a|-|-b");
  EXPECT_EQ(pieces("Contiguous"), "a|--|b");
}

TEST_F(TokenizerJson, KnowsSmolLm) {
  Vocabulary({"1", "2", "12", "a"});
  file_["model"]["merges"] = Json::array({"1 2"});
  file_["pre_tokenizer"] = Step(R"({"type": "Sequence", "pretokenizers": [
    {"type": "Digits", "individual_digits": true},
    {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true}]})");
  const auto t = Load();
  EXPECT_EQ(t->spec().pre, "smollm");
  EXPECT_EQ(Pieces(*t, "12a"), "1|2|a");
  file_["pre_tokenizer"]["pretokenizers"][0]["individual_digits"] = false;
  EXPECT_EQ(Load()->spec().pre, "");  // GGUF has no name for it
}

TEST_F(TokenizerJson, SeesUnicodesSpaces) {
  // U+180E was a space once and PCRE2 still says so; U+0085 and U+3000 are.
  Vocabulary({"a"});
  file_["added_tokens"] =
      Json::array({Step(R"({"id": 1, "content": "S", "special": false, "normalized": true})")});
  file_["normalizer"] = Step(R"({"type": "Replace", "pattern": {"Regex": "\\s"}, "content": "S"})");
  EXPECT_EQ(Load()->Encode("a\xC2\x85"
                           "a\xE3\x80\x80"
                           "a\xE1\xA0\x8E"
                           "a"),
            (Ids{0, 1, 0, 1, 0, 0}));
  file_["normalizer"]["pattern"]["Regex"] = "[^\\sa]|\\S";
  EXPECT_EQ(Load()->Encode("\xE1\xA0\x8E\xE3\x80\x80"), (Ids{1}));
}

TEST_F(TokenizerJson, RefusesWhatItDoesNotKnowByName) {
  Vocabulary({"a", "b"});
  const auto refuses = [&](const char* member, const char* step, const char* name) {
    const Json before = file_[member];
    file_[member] = Step(step);
    const std::string refusal = Refusal();
    EXPECT_NE(refusal.find("tokenizer.json: "), refusal.npos) << refusal;
    EXPECT_NE(refusal.find(name), refusal.npos) << refusal;
    file_[member] = before;
  };
  refuses("normalizer", R"({"type": "Sequence", "normalizers": [{"type": "Frobnicate"}]})",
          "normalizer 'Frobnicate' is not known");
  refuses("pre_tokenizer", R"({"type": "BertPreTokenizer"})", "pre-tokenizer 'BertPreTokenizer'");
  refuses("pre_tokenizer",
          R"({"type": "Split", "pattern": {"Regex": "\\p{Klingon}"}, "behavior": "Isolated"})",
          "the property 'Klingon' is not known");
  refuses("pre_tokenizer",
          R"({"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated"})",
          "the expression '(' is not understood");
  refuses("pre_tokenizer", R"({"type": "Split", "pattern": {"String": "-"}, "behavior": "Odd"})",
          "behavior 'Odd'");
  refuses("post_processor", R"({"type": "BertProcessing"})", "'cls' must be a list");
  refuses("post_processor", R"({"type": "Odd"})", "post-processor 'Odd'");
  refuses("decoder", R"({"type": "WordPiece"})", "decoder 'WordPiece'");
  refuses("decoder", R"({"type": "Strip", "content": " ", "start": 2, "stop": 0})", "'Strip'");
  refuses("decoder", R"({"type": "Replace", "pattern": {"String": "x"}, "content": "y"})",
          "'Replace'");
  refuses("model", R"({"type": "WordPiece", "vocab": {}})", "model 'WordPiece'");
  refuses("model", R"({"vocab": {"a": 0}, "merges": ["a b"]})", "merge 0 'a b'");
  refuses("model", R"({"vocab": {"a": 0}, "merges": [["a"]]})", "merge 0");
  refuses("model", R"({"vocab": {"a": 0}, "merges": [], "end_of_word_suffix": "</w>"})", "</w>");
  refuses("model", R"({"vocab": {"a": 0}, "merges": [], "dropout": 0.1})", "dropout");
  refuses("model", R"({"vocab": {"a": 0}, "merges": [], "unk_token": "?"})", "unk_token '?'");
  refuses("model", R"({"vocab": {"a": 4000000000}, "merges": []})", "4000000000");
  refuses("model", R"({"vocab": {"a": -1}, "merges": []})", "-1");
  refuses("model", R"({"vocab": {}, "merges": []})", "empty");
  refuses("added_tokens", R"([{"id": 99999999, "content": "x"}])", "99999999");
  refuses("added_tokens", R"({"id": 1})", "added_tokens");
}

TEST_F(TokenizerJson, ReadsTokensFromItsNeighbours) {
  Vocabulary({"<s>", "</s>", "<p>", "a"});
  WriteTextAtomically(folder_ / "tokenizer_config.json",
                      R"({"eos_token": {"content": "</s>"}, "add_bos_token": true,
                          "chat_template": [{"name": "tools", "template": "T"},
                                            {"name": "default", "template": "D"}]})");
  WriteTextAtomically(folder_ / "special_tokens_map.json", R"({"pad_token": "<p>"})");
  WriteTextAtomically(folder_ / "config.json", R"({"bos_token_id": 0, "eos_token_id": 3})");
  const auto t = Load();
  EXPECT_EQ(t->spec().bos, 0);
  EXPECT_EQ(t->spec().eos, 1);  // the tokenizer's own file over the model's
  EXPECT_EQ(t->spec().pad, 2);
  EXPECT_EQ(t->spec().chat_template, "D");
  EXPECT_EQ(t->EncodePrompt("a"), (Ids{0, 3}));
  WriteTextAtomically(folder_ / "tokenizer_config.json", R"({"eos_token": "<nowhere>"})");
  EXPECT_NE(Refusal().find("eos_token '<nowhere>' is not in the vocabulary"), std::string::npos);
}

TEST_F(TokenizerJson, SurvivesDamage) {
  Vocabulary({"a", "b", "ab", "<0x61>"});
  file_["model"]["merges"] = Json::array({"a b"});
  file_["added_tokens"] = Json::array({Step(R"({"id": 4, "content": "[S]", "special": true})")});
  file_["normalizer"] = Step(R"({"type": "NFC"})");
  file_["pre_tokenizer"] =
      Step(R"({"type": "Split", "pattern": {"Regex": "a|b"}, "behavior": "Isolated"})");
  const std::string whole = DumpJson(file_);
  uint32_t state = 1;
  int accepted = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string damaged = whole;
    for (int k = 0; k < 1 + round % 3; ++k) {
      state = state * 1664525 + 1013904223;
      damaged[(state >> 8) % damaged.size()] = static_cast<char>("0a{}[]\",:-9\xFFxn"[state % 14]);
    }
    if (round % 5 == 0) damaged.resize((state >> 8) % damaged.size());
    TokenizerSpec spec;
    spec.tokenizer_json = damaged;
    try {
      const auto t = Tokenizer::FromSpec(spec, "test");
      t->Decode(t->Encode("ab a[S]\xC3\xA9"), true);
      ++accepted;
    } catch (const Error& e) {
      ASSERT_NE(e.kind(), Error::Kind::kBug) << e.what() << "\n" << damaged;
    }
  }
  EXPECT_GT(accepted, 0);
  EXPECT_LT(accepted, 3000);
}

}  // namespace
}  // namespace retort
