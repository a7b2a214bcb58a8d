// SPDX-License-Identifier: Apache-2.0
// What is read from a GGUF that leaves something out, and what is not written to one.
#include "tokenizer/gguf_rules.h"

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "tests/formats/support.h"
#include "tests/tokenizer/made_tokenizer.h"
#include "tokenizer/load_tokenizer.h"

namespace retort {
namespace {

using Ids = std::vector<int32_t>;
using PieceType = TokenizerSpec::PieceType;

TokenizerSpec SentencePieceSpec() {
  TokenizerSpec spec;
  spec.kind = TokenizerSpec::Kind::kSentencePiece;
  spec.pre = "default";
  spec.add_space_prefix = spec.byte_fallback = true;
  spec.pieces = {{"<unk>", 0, PieceType::kUnknown},
                 {"<s>", 0, PieceType::kControl},
                 {"</s>", 0, PieceType::kControl}};
  const char* digits = "0123456789ABCDEF";
  for (int b = 0; b < 256; ++b)
    spec.pieces.push_back({Cat("<0x", digits[b / 16], digits[b % 16], ">"), 0, PieceType::kByte});
  for (const char* text : {"a", "b", "\xE2\x96\x81",
                           "\xE2\x96\x81"
                           "a",
                           "\xE2\x96\x81"
                           "b"})
    spec.pieces.push_back({text, -1});
  return spec;
}

std::unique_ptr<Tokenizer> Read(const GgufMetadata& m) {
  return Tokenizer::FromSpec(SpecFromGguf(m, "test.gguf"), "test.gguf");
}

// A spec as written to a GGUF and read back.
std::unique_ptr<Tokenizer> Reread(const TokenizerSpec& spec, const std::string& name = "model") {
  GgufMetadata m("test.gguf");
  m.Set("general.name", name);
  SpecToGguf(spec, std::ssize(spec.pieces), "models/x", m);
  return Read(m);
}

// What SpecToGguf says of llama.cpp, joined.
std::string NotesOf(const TokenizerSpec& spec, const std::string& name = "model") {
  GgufMetadata m("test.gguf");
  m.Set("general.name", name);
  return Join(SpecToGguf(spec, std::ssize(spec.pieces), "models/x", m), "; ");
}

std::string ExportRefusal(const TokenizerSpec& spec, const std::string& name = "model") {
  return RefusalOf([&] { Reread(spec, name); });
}

TEST(GgufDefaults, GiveLlamasItsUsualTokens) {
  const auto tokenizer = Read(MetadataOf(SentencePieceSpec()));
  EXPECT_EQ(tokenizer->spec().bos, 1);
  EXPECT_EQ(tokenizer->spec().eos, 2);
  EXPECT_EQ(tokenizer->spec().unk, 0);
  EXPECT_TRUE(tokenizer->spec().add_bos);
  EXPECT_EQ(tokenizer->EncodePrompt("a"), (Ids{1, 262}));
}

TEST(GgufDefaults, TellTheUnknownTokenByItsId) {
  TokenizerSpec spec = SentencePieceSpec();
  const auto ids = Read(MetadataOf(spec))->EncodePrompt("a\xC3\xA9");
  GgufMetadata m = MetadataOf(spec);
  std::vector<int32_t> types;
  for (const int64_t type : m.Ints("tokenizer.ggml.token_type"))
    types.push_back(static_cast<int32_t>(type));
  types[0] = static_cast<int32_t>(PieceType::kControl);
  m.Set("tokenizer.ggml.token_type", GgufArray(types));
  m.Set("tokenizer.ggml.unknown_token_id", uint32_t{0});
  const auto tokenizer = Read(m);
  EXPECT_EQ(tokenizer->spec().unk, 0);
  EXPECT_EQ(tokenizer->EncodePrompt("a\xC3\xA9"), ids);
}

TEST(GgufDefaults, PutBosWhereThePreTokenizerDoes) {
  for (const auto& [pre, adds] :
       {std::pair("llama-bpe", true), std::pair("llama-v3", true), std::pair("llama3", true),
        std::pair("gpt-2", false), std::pair("qwen2", false), std::pair("default", false)}) {
    TokenizerSpec spec = ByteLevelSpec({}, {});
    spec.pre = pre;
    spec.pieces.push_back({"<b>", 0, PieceType::kControl});
    GgufMetadata m = MetadataOf(spec);
    m.Set("tokenizer.ggml.bos_token_id", uint32_t{256});
    EXPECT_EQ(Read(m)->EncodePrompt("a"), adds ? (Ids{256, 97}) : (Ids{97})) << pre;
    m.Set("tokenizer.ggml.add_bos_token", !adds);
    EXPECT_EQ(Read(m)->EncodePrompt("a"), adds ? (Ids{97}) : (Ids{256, 97})) << pre;
  }
}

TEST(GgufDefaults, AddNoBosThatIsNotThere) {
  GgufMetadata m = MetadataOf(ByteLevelSpec({}, {}));
  m.Set("tokenizer.ggml.add_bos_token", true);
  const auto tokenizer = Read(m);
  EXPECT_FALSE(tokenizer->spec().add_bos);
  EXPECT_EQ(tokenizer->EncodePrompt("a"), Ids{97});
}

// A token that is not special cuts a text in a GGUF: what follows gets its own mark for a space.
TEST(GgufTokenizer, CutsAtUserDefinedPieces) {
  TokenizerSpec spec = SentencePieceSpec();
  const auto id = static_cast<int32_t>(spec.pieces.size());
  spec.pieces.push_back({"<x>", 0, PieceType::kUserDefined});
  const auto tokenizer = Read(MetadataOf(spec));
  EXPECT_EQ(tokenizer->Encode("<x>a<x>b"), (Ids{id, 262, id, 263}));
}

TEST(GgufTokenizer, KnowsWhichTokensTakeSpaces) {
  TokenizerSpec spec = SentencePieceSpec();
  const auto id = static_cast<int32_t>(spec.pieces.size());
  spec.pieces.push_back({"<|user|>", 0, PieceType::kControl});
  GgufMetadata m = MetadataOf(spec);
  const std::vector<Segment> text = {{"<|user|>", true}, {" \na", false}};
  EXPECT_EQ(Read(m)->Encode(text, false).size(), 5u);
  m.Set("general.name", std::string("Phi-3 mini"));
  EXPECT_EQ(Read(m)->Encode(text, false), (Ids{id, 262}));
  const std::vector<Segment> begin = {{"<s>", true}, {" a", false}};
  EXPECT_EQ(Read(m)->Encode(begin, false).size(), 3u);
}

TEST(GgufTokenizer, KeepsATableOfReplacements) {
  GgufMetadata m = MetadataOf(SentencePieceSpec());
  m.Set("tokenizer.ggml.precompiled_charsmap", GgufArray(std::vector<uint8_t>{1, 2, 3}));
  ExpectRefusal(RefusalOf([&] { Read(m); }), "normaliser's table is damaged");
}

// As SmolLM2's and GPT-2's files do, which have a piece for every byte.
TEST(GgufTokenizer, KeepsTheNameOfAnUnknownTokenThatNoTextBecomes) {
  TokenizerSpec spec = ByteLevelSpec({"<|endoftext|>"}, {});
  spec.idle_unk = 256;
  GgufMetadata m("test.gguf");
  SpecToGguf(spec, 257, "models/x", m);
  EXPECT_EQ(m.Int("tokenizer.ggml.unknown_token_id"), 256);
  const auto tokenizer = Read(m);
  EXPECT_EQ(tokenizer->spec().unk, -1);
  EXPECT_EQ(tokenizer->spec().idle_unk, 256);
}

TEST(GgufTokenizer, NormalisesAsItsFolderDid) {
  TokenizerSpec spec = ByteLevelSpec({}, {});
  spec.pre = "qwen2";
  const std::string apart = "e\xCC\x81";
  for (const bool nfc : {true, false}) {
    spec.nfc = nfc;
    EXPECT_EQ(Reread(spec)->Encode(apart).size(), nfc ? 2u : 3u);
  }
  // A file of another program has no such key: the name tells.
  spec.nfc = false;
  EXPECT_EQ(Read(MetadataOf(spec))->Encode(apart).size(), 2u);
}

TEST(GgufLosses, AreNamedAndKeptInKeysOfItsOwn) {
  TokenizerSpec spec = ByteLevelSpec({}, {});
  spec.pieces.push_back({"<x>", 0, PieceType::kUserDefined});
  const auto with = [&](const char* flag, auto set) {
    TokenizerSpec::AddedToken token{.id = 256, .text = "<x>"};
    set(token);
    spec.added = {token};
    ExpectRefusal(NotesOf(spec), "added token '<x>'");
    ExpectRefusal(NotesOf(spec), flag);
    for (const char* text : {"a <x> b", "a<x>b", "<x>"}) {
      EXPECT_EQ(Reread(spec)->Encode(text), Tokenizer::FromSpec(spec, "test")->Encode(text))
          << flag << " " << text;
    }
  };
  with("(lstrip)", [](auto& t) { t.lstrip = true; });
  with("(rstrip)", [](auto& t) { t.rstrip = true; });
  with("(single_word)", [](auto& t) { t.single_word = true; });
  spec.added = {{.id = 256, .text = "<x>", .normalized = true}};
  EXPECT_EQ(NotesOf(spec), "");  // nothing is normalised
  spec.added[0].rstrip = true;
  EXPECT_EQ(NotesOf(spec, "phi3"), "");  // readers tell it by the name
}

TEST(GgufLosses, NameTokensOfOneKindOnce) {
  TokenizerSpec spec = ByteLevelSpec({"<x>", "<y>", "<z>"}, {});
  for (int32_t id = 256; id < 259; ++id)
    spec.added.push_back(
        {.id = id, .text = spec.pieces[static_cast<size_t>(id)].text, .lstrip = true});
  EXPECT_EQ(NotesOf(spec),
            "added token '<x>' takes away the spaces before it (lstrip), and so do 2 more");
}

TEST(GgufLosses, NamePiecesThatAGgufCutsAt) {
  TokenizerSpec spec = SentencePieceSpec();
  spec.pieces.push_back({"<x>", 0, PieceType::kUserDefined});
  ExpectRefusal(NotesOf(spec), "user-defined piece '<x>'");
  EXPECT_EQ(Reread(spec)->Encode("a<x>a"), Tokenizer::FromSpec(spec, "test")->Encode("a<x>a"));
  EXPECT_EQ(Reread(spec)->Encode("a<x>a").size(), 3u);
  spec.add_space_prefix = false;  // then it makes no difference
  EXPECT_EQ(NotesOf(spec), "");
  spec.add_space_prefix = true;
  spec.added = {{.id = static_cast<int32_t>(spec.pieces.size()) - 1, .text = "<x>"}};
  EXPECT_EQ(NotesOf(spec), "");  // added beside the model, it cuts there too
}

TEST(GgufLosses, NameSpacesThatLlamaCppKeeps) {
  TokenizerSpec spec = SentencePieceSpec();
  spec.remove_extra_whitespaces = true;
  ExpectRefusal(NotesOf(spec), "extra spaces");
  EXPECT_EQ(Reread(spec)->Encode("  a  b "), (Ids{262, 263}));
}

// What a folder adds beside its SentencePiece model cuts a text.
TEST(AddedBesideTheModel, CutsAText) {
  TokenizerSpec spec = SentencePieceSpec();
  const auto id = static_cast<int32_t>(spec.pieces.size());
  spec.pieces.push_back({"<x>", 0, PieceType::kUserDefined});
  spec.added = {{.id = id, .text = "<x>", .rstrip = true}};
  EXPECT_EQ(Tokenizer::FromSpec(spec, "test")->Encode("<x>a<x> b"), (Ids{id, 262, id, 263}));
}

TEST(GgufFault, NamesIdsOfOneSpelling) {
  TokenizerSpec spec = ByteLevelSpec({"ab", "cd", "ab"}, {});
  ExpectRefusal(ExportRefusal(spec), "ids 256 and 258 are both spelt 'ab'");
}

// A model with more rows than ids gets names for them that no token has.
TEST(GgufFault, IsNoneForRowsWithoutIds) {
  TokenizerSpec spec = ByteLevelSpec({"[PAD258]"}, {});
  GgufMetadata m("test.gguf");
  SpecToGguf(spec, 260, "models/x", m);
  const auto tokenizer = Read(m);
  EXPECT_EQ(tokenizer->PieceText(258), "[PAD258]_");
  EXPECT_EQ(tokenizer->Decode({97, 257, 258, 259, 98}), "ab");
  EXPECT_EQ(tokenizer->Bytes(5000), "");
}

// A folder with a tokenizer.json of these members.
class FolderTokenizer : public testing::Test {
 protected:
  std::unique_ptr<Tokenizer> Load(const std::string& members) {
    Json file = ParseJson(Cat("{", members, "}"), "test");
    file["model"] = {{"type", "BPE"},
                     {"vocab", {{"a", 0}, {"\xE2\x96\x81", 1}, {"b", 2}, {"<unk>", 3}}},
                     {"merges", Json::array()},
                     {"unk_token", "<unk>"}};
    folder_.Put("tokenizer.json", DumpJson(file));
    return Tokenizer::Load(folder_.path());
  }
  // The export says `why`, and reading back gives the same ids.
  void Says(const std::string& members, std::string_view why) {
    const auto tokenizer = Load(members);
    ExpectRefusal(NotesOf(tokenizer->spec()), why);
    const auto again = Reread(tokenizer->spec());
    for (const char* text : {"a b", " a", "ba", "b<t>a", "<t>", "a  b "}) {
      EXPECT_EQ(again->Encode(text), tokenizer->Encode(text)) << members << " " << text;
      const std::vector<Segment> marked = {{text, true}};
      EXPECT_EQ(again->Encode(marked, false), tokenizer->Encode(marked, false));
    }
  }
  TemporaryFolder folder_;
};

TEST_F(FolderTokenizer, SaysWhatLlamaCppDoesOtherwise) {
  const std::string marks = R"({"type":"Replace","pattern":{"String":" "},"content":"▁"})";
  const std::string prefix = R"({"type":"Prepend","prepend":"▁"})";
  const auto sequence = [](const std::vector<std::string>& steps) {
    return Cat(R"("normalizer":{"type":"Sequence","normalizers":[)", Join(steps, ","), "]}");
  };
  EXPECT_EQ(NotesOf(Load(sequence({prefix, marks}))->spec()), "");
  Says(sequence({R"({"type":"NFKC"})", marks}), "its tokenizer normalises text");
  Says(R"("normalizer":null)", "keeps spaces as they are");
  Says(sequence({prefix, marks}) + R"(,"pre_tokenizer":{"type":"Digits","individual_digits":true})",
       "its tokenizer splits words");
  Says(R"("pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"first"})",
       "prepend_scheme 'first'");
  Says(sequence({prefix, marks}) + R"(,"added_tokens":[{"id":4,"content":"<t>","special":false}])",
       "(normalized)");
  Says(R"("pre_tokenizer":{"type":"ByteLevel","add_prefix_space":true})", "puts a space before");
  Says(
      R"("normalizer":{"type":"NFKC"},"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false})",
      "its tokenizer normalises text");
}

// llama.cpp must not open what it would read as another tokenizer.
TEST_F(FolderTokenizer, IsOfNoModelOfLlamaCppsIfItWouldBeReadOtherwise) {
  GgufMetadata m("test.gguf");
  const auto tokenizer = Load(R"("normalizer":{"type":"NFKC"})");
  SpecToGguf(tokenizer->spec(), 4, "models/x", m);
  EXPECT_EQ(m.Text("tokenizer.ggml.model"), "retort");
}

TEST_F(FolderTokenizer, NeedsTheBosThatItIsToAdd) {
  folder_.Put("tokenizer_config.json", R"({"add_bos_token": true})");
  ExpectRefusal(RefusalOf([&] { Load(R"("normalizer":null)"); }), "there is no bos_token");
}

}  // namespace
}  // namespace retort
