// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/tekken.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "tests/formats/support.h"
#include "tests/tokenizer/made_tokenizer.h"
#include "tokenizer/pre_names.h"

namespace retort {
namespace {

using Ids = std::vector<int32_t>;

// Two special tokens, the 256 bytes, then "ab" "bc" "abc".
Json Small() {
  const char* digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  Json file = {{"config",
                {{"pattern", FindPreName("tekken")->splits[0].pattern},
                 {"default_vocab_size", 261},
                 {"default_num_special_tokens", 2}}},
               {"vocab", Json::array()}};
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text{digits[byte >> 2], digits[(byte & 3) << 4], '=', '='};
    file["vocab"].push_back({{"rank", byte}, {"token_bytes", text}});
  }
  for (const char* text : {"YWI=", "YmM=", "YWJj", "not read"})
    file["vocab"].push_back({{"rank", file["vocab"].size()}, {"token_bytes", text}});
  return file;
}

std::string TekkenRefusal(const Json& file) {
  return RefusalOf([&] { ParseTekken(DumpJson(file), "tekken.json"); });
}

TEST(Tekken, MergesTheBestSequenceFirst) {
  TemporaryFolder folder;
  folder.Put("tekken.json", DumpJson(Small()));
  const auto t = Tokenizer::Load(folder.path());
  EXPECT_EQ(t->vocab_size(), 261);
  EXPECT_EQ(t->spec().pre, "tekken");
  EXPECT_EQ(t->Encode("abb"), (Ids{258, 'b' + 2}));
  EXPECT_EQ(t->Encode("bbc"), (Ids{'b' + 2, 259}));
  EXPECT_EQ(t->Encode("abc"), (Ids{260}));
  EXPECT_EQ(t->Encode("xabc"), (Ids{'x' + 2, 260}));
  EXPECT_EQ(t->Decode(t->Encode("é abc\n")), "é abc\n");
  EXPECT_EQ(t->Encode({{"<s>a", true}}, false), (Ids{1, 'a' + 2}));
  EXPECT_EQ(t->EncodePrompt("a"), (Ids{1, 'a' + 2}));
}

TEST(Tekken, NamesItsSpecialTokens) {
  Json file = Small();
  file["special_tokens"] = ParseJson(R"([{"rank": 1, "token_str": "<odd>"}])", "test");
  const TokenizerSpec spec = ParseTekken(DumpJson(file), "test");
  EXPECT_EQ(spec.pieces[0].text, "<SPECIAL_0>");
  EXPECT_EQ(spec.pieces[1].text, "<odd>");
  EXPECT_EQ(spec.bos, -1);
  EXPECT_FALSE(spec.add_bos);
}

TEST(Tekken, RefusesByName) {
  Json file = Small();
  file["config"]["pattern"] = "a+";
  ExpectRefusal(TekkenRefusal(file), "tekken.json: config: the expression 'a+'");
  file = Small();
  file["config"]["default_num_special_tokens"] = 300;
  ExpectRefusal(TekkenRefusal(file), "300 special tokens of 261 ids");
  file = Small();
  file["config"]["default_vocab_size"] = 1000;
  ExpectRefusal(TekkenRefusal(file), "has 260 entries for 998 ids");
  file = Small();
  file["vocab"][3]["token_bytes"] = "?";
  ExpectRefusal(TekkenRefusal(file), "entry 3 of 'vocab'");
  file = Small();
  file["vocab"][3]["rank"] = 4;
  ExpectRefusal(TekkenRefusal(file), "entry 3 of 'vocab' has another rank");
  ExpectRefusal(TekkenRefusal(Json::array()), "must be an object");
}

}  // namespace
}  // namespace retort
