// SPDX-License-Identifier: Apache-2.0
// Added tokens as Hugging Face's library finds them (expected pieces: tokenizers 0.23.3), and steps
// of tokenizer.json around them.
#include "tokenizer/added_tokens.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "tests/formats/support.h"
#include "tests/tokenizer/made_tokenizer.h"
#include "tokenizer/tokenizer.h"

namespace retort {
namespace {

using Ids = std::vector<int32_t>;

constexpr const char* kPrefixAndMarks =
    R"({"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},
        {"type":"Replace","pattern":{"String":" "},"content":"▁"}]})";

// A tokenizer of single characters with these added tokens, whose ids begin at 16.
class Flags {
 public:
  explicit Flags(const std::vector<std::string>& tokens, const char* normalizer = "null",
                 const char* pre_tokenizer = "null") {
    Json file = {
        {"model", {{"type", "BPE"}, {"vocab", Json::object()}, {"merges", Json::array()}}}};
    for (const char* piece :
         {"a", "b", "c", "é", ".", "_", "-", "。", "<", "x", ">", "▁", " ", "²", "\n", "1"})
      file["model"]["vocab"][piece] = file["model"]["vocab"].size();
    file["added_tokens"] = Json::array();
    for (size_t i = 0; i < tokens.size(); ++i) {
      Json token = ParseJson(tokens[i], "token");
      token["id"] = 16 + i;
      token.emplace("normalized", false);
      file["added_tokens"].push_back(std::move(token));
    }
    file["normalizer"] = ParseJson(normalizer, "normalizer");
    file["pre_tokenizer"] = ParseJson(pre_tokenizer, "pre_tokenizer");
    TokenizerSpec spec;
    spec.tokenizer_json = DumpJson(file);
    tokenizer_ = Tokenizer::FromSpec(std::move(spec), "test");
  }
  // The pieces, joined by "|".
  std::string Of(const std::string& text, bool markup = false) const {
    std::vector<std::string> pieces;
    for (const int32_t id : tokenizer_->Encode({{text, markup}}, false))
      pieces.push_back(tokenizer_->PieceText(id));
    return Join(pieces, "|");
  }
  const Tokenizer& tokenizer() const { return *tokenizer_; }

 private:
  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST(AddedTokens, StandAloneBetweenCharactersThatAreNoWords) {
  const Flags t({R"({"content":"<x>","single_word":true})"});
  for (const char* alone : {"<x>", "-|<x>|-", "。|<x>|。", "²|<x>"}) {
    std::string text = alone;
    std::erase(text, '|');
    EXPECT_EQ(t.Of(text), alone);
  }
  EXPECT_EQ(t.Of("a<x>"), "a|<|x|>");
  EXPECT_EQ(t.Of("é<x>"), "é|<|x|>");
  EXPECT_EQ(t.Of("_<x>"), "_|<|x|>");
  EXPECT_EQ(t.Of("<x>\u200D"), "<|x|>");  // a joiner is of a word
}

TEST(AddedTokens, HideWhatBeginsWithinThem) {
  const Flags t({R"({"content":"a<x>","single_word":true})", R"({"content":"<x>"})"});
  EXPECT_EQ(t.Of("b a<x> "), "b| |a<x>| ");
  EXPECT_EQ(t.Of("ba<x>b"), "b|a|<|x|>|b");
}

TEST(AddedTokens, AreFoundInSpacesThatAnotherTookAway) {
  const Flags t({R"({"content":"<x>","rstrip":true})", R"({"content":" a"})",
                 R"({"content":"b","lstrip":true})"});
  EXPECT_EQ(t.Of("<x>  a"), "<x>| a");
  EXPECT_EQ(t.Of("a   b"), "a|b");
  EXPECT_EQ(t.Of("<x>   b"), "<x>|b");
}

TEST(AddedTokens, HaveTheFlagsOfTheirLastEntry) {
  const Flags t(
      {R"({"content":"<x>","rstrip":true,"special":true})", R"({"content":"<x>","lstrip":true})"});
  EXPECT_EQ(t.Of("a <x> a", true), "a|<x>| |a");
  EXPECT_EQ(t.Of("a<x>"), "a|<|x|>");  // still special
}

TEST(AddedTokens, AreNormalizedWithTheirPrefix) {
  const Flags t({R"({"content":"<x>","normalized":true})"}, kPrefixAndMarks);
  EXPECT_EQ(t.Of("<x>a"), "<x>|a");
  EXPECT_EQ(t.Of("a<x>a"), "▁|a|<|x|>|a");  // it is looked for as "▁<x>"
  EXPECT_EQ(t.Of("a <x>"), "▁|a|<x>");
  EXPECT_EQ(t.Of("<x> <x>"), "<x>|<x>");
}

TEST(AddedTokens, AreFoundBeforeMetaspaceRewrites) {
  const Flags t({R"({"content":"<x>","normalized":true})"}, "null",
                R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":true})");
  EXPECT_EQ(t.Of("<x>a"), "<x>|a");
  EXPECT_EQ(t.Of("a<x>a"), "▁|a|<x>|a");
  EXPECT_EQ(t.Of("a <x>"), "▁|a|▁|<x>");
}

// Special tokens in normalised text: in markup alone, and beside content too.
TEST(AddedTokens, AreSpecialInNormalizedTextToo) {
  const Flags t({R"({"content":"<x>","normalized":true,"special":true})"}, kPrefixAndMarks);
  EXPECT_EQ(t.Of("<x>a <x>", true), "<x>|a|<x>");
  EXPECT_EQ(t.Of("<x>a"), "▁|<|x|>|a");
  const Ids ids = t.tokenizer().Encode({{"<x>", true}, {"a <x>", false}, {" <x>", true}}, false);
  EXPECT_EQ(ids, (Ids{16, 0, 11, 8, 9, 10, 16}));
}

// Each step of the sequence sees the words of the one before; after "ByteLevel", bytes in its alphabet.
TEST(Steps, FollowEachOther) {
  const Flags prefix({}, "null", R"({"type":"Sequence","pretokenizers":[
      {"type":"Split","pattern":{"String":"-"},"behavior":"Isolated"},
      {"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":false}]})");
  EXPECT_EQ(prefix.Of("a-b"), "▁|a|▁|-|▁|b");
  TokenizerSpec spec;
  spec.tokenizer_json =
      R"({"model":{"type":"BPE","vocab":{"Â":0,"½":1,"Â½":2,"a":3},"merges":["Â ½"]},
      "pre_tokenizer":{"type":"Sequence","pretokenizers":[
        {"type":"ByteLevel","add_prefix_space":false,"use_regex":false},
        {"type":"Digits","individual_digits":false}]}})";
  // ½ is C2 BD, and BD is written ½, a number: it is cut off.
  EXPECT_EQ(Tokenizer::FromSpec(spec, "test")->Encode("a½"), (Ids{3, 0, 1}));
}

TEST(Steps, NormalizeAsTheLibrary) {
  const auto normalized = [](const char* type, const std::string& text) {
    return Flags({}, Cat(R"({"type":")", type, R"("})").c_str()).Of(text);
  };
  EXPECT_EQ(normalized("Lowercase", "AB"), "a|b");
  EXPECT_EQ(normalized("StripAccents", "a\u0301b"), "a|b");
  EXPECT_EQ(normalized("Strip", " \n a b \u3000"), "a| |b");
  EXPECT_EQ(normalized("Nmt", "a\tb\u200B\x01"), "a| |b| ");
  EXPECT_EQ(normalized("NFC", "e\u0301"), "é");
  EXPECT_EQ(normalized("NFKC", "\u00B2\uFF41"), "a");
  // U+1DFA is newer than the library's forms: it neither moves nor takes part.
  EXPECT_EQ(normalized("NFC", "e\u1DFA\u0301"), "");
}

TEST(Steps, DecodeAsTheirDecoderSays) {
  const auto decoded = [](const char* decoder) {
    TokenizerSpec spec;
    spec.tokenizer_json = Cat(
        R"({"model":{"type":"BPE","vocab":{"▁":0,"a":1},"merges":[]},"normalizer":)",
        R"({"type":"Replace","pattern":{"String":" "},"content":"▁"},"decoder":)", decoder, "}");
    return Tokenizer::FromSpec(spec, "test")->Decode({0, 1, 0, 1});
  };
  constexpr const char* kMarks = R"({"type":"Replace","pattern":{"String":"▁"},"content":" "})";
  EXPECT_EQ(decoded(kMarks), " a a");
  EXPECT_EQ(decoded(Cat(R"({"type":"Sequence","decoders":[)", kMarks,
                        R"(,{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]})")
                        .c_str()),
            "a a");
  EXPECT_EQ(decoded(R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"always"})"), "a a");
  EXPECT_EQ(decoded(R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"never"})"), " a a");
}

// transformers adds what tokenizer_config.json lists beyond the tokenizer.json, and calls named
// tokens special.
TEST(Neighbours, AddTokensBesideATokenizerJson) {
  TemporaryFolder folder;
  folder.Put("tokenizer.json",
             R"({"model":{"type":"BPE","vocab":{"a":0,"[UNUSED]":1,"<s>":2},"merges":[]},
                 "added_tokens":[{"id":3,"content":"<y>","special":true}]})");
  folder.Put("tokenizer_config.json", R"({"bos_token":"<s>","added_tokens_decoder":{
      "1":{"content":"<x>","special":true}, "3":{"content":"<y>","rstrip":true},
      "4":{"content":"<z>","lstrip":true,"normalized":false}}})");
  const auto t = Tokenizer::Load(folder.path());
  EXPECT_EQ(t->Encode({{"<x>a<y> a <z><s>", true}}, false), (Ids{1, 0, 3, 0, 4, 2}));
  EXPECT_EQ(t->Encode("a<s><x><y> <z>"), (Ids{0, 4}));
  EXPECT_EQ(t->PieceText(1), "<x>");
  EXPECT_EQ(t->spec().pieces[3].type, TokenizerSpec::PieceType::kControl);
  folder.Put("tokenizer_config.json", R"({"eos_token":"<w>","added_tokens_decoder":{
      "4":{"content":"<w>","special":false,"normalized":false}}})");
  const auto named = Tokenizer::Load(folder.path());
  EXPECT_EQ(named->spec().pieces[4].type, TokenizerSpec::PieceType::kControl);
  EXPECT_EQ(named->Encode("a<w>"), (Ids{0}));  // what is named is special
  folder.Put("tokenizer_config.json", R"({"added_tokens_decoder":{"9":{"content":"<x>"}}})");
  ExpectRefusal(RefusalOf([&] { Tokenizer::Load(folder.path()); }), "leave out id 4");
}

}  // namespace
}  // namespace retort
