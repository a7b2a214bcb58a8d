// SPDX-License-Identifier: Apache-2.0
// Files and texts made to take long. Without bounds each takes minutes at least, and most hours.
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "tests/tokenizer/made_tokenizer.h"
#include "tokenizer/load_tokenizer.h"
#include "tokenizer/sentencepiece_file.h"

namespace retort {
namespace {

using Ids = std::vector<int32_t>;
using PieceType = TokenizerSpec::PieceType;

std::unique_ptr<Tokenizer> FromMetadata(const GgufMetadata& m) {
  return Tokenizer::FromSpec(SpecFromGguf(m, "test.gguf"), "test.gguf");
}

std::string Repeated(std::string_view unit, size_t bytes) {
  std::string text;
  while (text.size() < bytes) text += unit;
  return text;
}

// A tokenizer.json over single bytes, with the members given.
std::unique_ptr<Tokenizer> FromJson(const std::string& members) {
  Json file = ParseJson(Cat("{", members, "}"), "test");
  file["model"] = {{"type", "BPE"}, {"vocab", Json::object()}, {"merges", Json::array()}};
  for (int byte = 0; byte < 256; ++byte)
    file["model"]["vocab"][LettersOf(std::string(1, static_cast<char>(byte)))] = byte;
  file["model"]["vocab"]["<0x0A>"] = 256;
  TokenizerSpec spec;
  spec.tokenizer_json = DumpJson(file);
  return Tokenizer::FromSpec(std::move(spec), "tokenizer.json");
}

TEST(BoundedWork, AMergeOfManySpaces) {
  TokenizerSpec spec = ByteLevelSpec({}, {});
  spec.merges = {std::string(1000000, ' ')};
  ExpectRefusal(RefusalOf([&] { FromMetadata(MetadataOf(spec)); }), "merge 0 '      ");
  // With a piece as long as the two parts would make, every space has to be tried.
  spec.pieces.push_back({std::string(999999, ' ')});
  ExpectRefusal(RefusalOf([&] { FromMetadata(MetadataOf(spec)); }), "too many spaces");
}

TEST(BoundedWork, MergesOfPiecesThatHoldSpacesAreStillRead) {
  TokenizerSpec spec = ByteLevelSpec({}, {});
  for (size_t spaces = 1; spaces <= 128; ++spaces)
    spec.pieces.push_back({std::string(spaces, ' ')});
  for (size_t spaces = 2; spaces <= 128; ++spaces) spec.merges.emplace_back(spaces + 1, ' ');
  EXPECT_EQ(RefusalOf([&] { FromMetadata(MetadataOf(spec)); }), "accepted");
}

// Eight bytes that the former, unkeyed hash mapped to one place of any table: it multiplied and
// shifted, so that the difference of two texts could be undone.
TEST(BoundedWork, AVocabularyOfOneHashValue) {
  constexpr uint64_t kFactor = 0x9E3779B97F4A7C15u;
  uint64_t inverse = 1;
  for (int i = 0; i < 6; ++i) inverse *= 2 - kFactor * inverse;
  TokenizerSpec spec = ByteLevelSpec({}, {});
  for (uint64_t high = 1; spec.pieces.size() < 200000; ++high) {
    // The hash h ^ h >> 29 of h = (8 ^ text) * factor has only its high bits set.
    const uint64_t want = high << 36;
    uint64_t hash = want;
    hash = want ^ hash >> 29;
    hash = want ^ hash >> 29;
    const uint64_t text = (hash * inverse) ^ 8;
    std::string bytes(8, ' ');
    std::memcpy(bytes.data(), &text, 8);
    if (bytes.find('\0') == std::string::npos)
      spec.pieces.push_back({bytes, 0, PieceType::kUserDefined});
  }
  EXPECT_EQ(FromMetadata(MetadataOf(spec))->vocab_size(), 200000);
}

// Pairs of ids that the former hash of merges mapped to one place.
TEST(BoundedWork, MergesOfOneHashValue) {
  std::vector<std::string> pieces;
  for (int i = 0; i < 700; ++i) pieces.push_back(Cat("p", i));
  std::vector<std::pair<std::string, std::string>> merges;
  std::vector<std::string> whole;
  constexpr uint64_t kFactor = 0x9E3779B97F4A7C15u;
  for (uint64_t left = 256; left < 956; ++left) {
    for (uint64_t right = 256; right < 956; ++right) {
      if ((((left << 32 | right) * kFactor) >> 20 & 15) != 0) continue;
      merges.emplace_back(pieces[left - 256], pieces[right - 256]);
      whole.push_back(pieces[left - 256] + pieces[right - 256]);
    }
  }
  pieces.insert(pieces.end(), whole.begin(), whole.end());
  EXPECT_GT(FromMetadata(MetadataOf(ByteLevelSpec(pieces, merges)))->vocab_size(), 20000);
}

TEST(BoundedWork, LongUserDefinedPieces) {
  TokenizerSpec spec;
  spec.kind = TokenizerSpec::Kind::kSentencePiece;
  spec.pieces = {{"<unk>", 0, PieceType::kUnknown}, {"a"}};
  for (int i = 0; i < 8000; ++i) {
    std::string piece(4090, 'a');
    piece += Cat(i);
    spec.pieces.push_back({piece, 0, PieceType::kUserDefined});
  }
  CheckSentencePieceSpec(spec, "test");  // a comparison of all beginnings takes half a minute
}

TEST(BoundedWork, UserDefinedPiecesThatBeginAlike) {
  TokenizerSpec spec;
  spec.kind = TokenizerSpec::Kind::kSentencePiece;
  spec.pieces = {{"<unk>", 0, PieceType::kUnknown}, {"a"}};
  for (int i = 0; i < 20000; ++i)
    spec.pieces.push_back({std::string(200, 'a') + Cat("b", i), 0, PieceType::kUserDefined});
  const auto tokenizer = Tokenizer::FromSpec(spec, "test");
  EXPECT_EQ(tokenizer->Encode(std::string(500000, 'a')).size(), 500000u);
  EXPECT_EQ(tokenizer->Encode("aa" + spec.pieces[1234].text + "a"), (Ids{1, 1, 1234, 1}));
}

TEST(BoundedWork, AddedTokensThatBeginAlike) {
  std::string tokens;
  for (int i = 0; i < 30000; ++i) {
    tokens += Cat(i ? "," : "", R"({"id":)", 300 + i, R"(,"content":")", std::string(60, 'a'), "b",
                  i, R"(","special":false,"normalized":)", i % 2 ? "true}" : "false}");
  }
  const auto tokenizer = FromJson(Cat(R"("added_tokens":[)", tokens, "]"));
  EXPECT_EQ(tokenizer->Encode(std::string(1000000, 'a')).size(), 1000000u);
  EXPECT_EQ(tokenizer->Encode("a" + std::string(60, 'a') + "b7" + "a"), (Ids{97, 307, 97}));
}

TEST(BoundedWork, NormalisersThatMakeATextGrow) {
  const auto replaced = [](std::string_view from, std::string_view to) {
    return Cat(R"({"type":"Replace","pattern":{"String":")", from, R"("},"content":")", to,
               R"("})");
  };
  const auto grown = [&](const std::vector<std::string>& steps, const std::string& text) {
    return RefusalOf([&] {
      FromJson(Cat(R"("normalizer":{"type":"Sequence","normalizers":[)", Join(steps, ","), "]}"))
          ->Encode(text);
    });
  };
  const std::string tens(10, 'a');
  ExpectRefusal(grown(std::vector<std::string>(9, replaced("a", tens)), "a"),
                "cannot be normalised");
  ExpectRefusal(grown(std::vector<std::string>(31, replaced("a", "aa")), "aa"),
                "cannot be normalised");
  ExpectRefusal(grown({replaced("a", std::string(1 << 20, 'b'))}, std::string(1 << 20, 'a')),
                "cannot be normalised");
  ExpectRefusal(grown({R"({"type":"Replace","pattern":{"Regex":"a"},"content":")" +
                       std::string(1 << 20, 'b') + "\"}"},
                      std::string(1 << 20, 'a')),
                "cannot be normalised");
  ExpectRefusal(grown(std::vector<std::string>(100, replaced("a", "a")), "a"), "100 steps");
  EXPECT_EQ(grown({R"({"type":"NFKD"})", replaced(" ", "\xE2\x96\x81")},
                  Repeated("\xEF\xB7\xBA", 300000)),  // eighteen characters for each
            "accepted");
}

// Marks that stand in the wrong order, as many as the text holds.
TEST(BoundedWork, MarksOutOfOrder) {
  const auto tokenizer = FromJson(
      R"("normalizer":{"type":"NFC"},"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false})");
  EXPECT_EQ(tokenizer->Decode(tokenizer->Encode("a\xCC\x82\xCC\xA3.")), "\xE1\xBA\xAD.");
  const std::string text = "a" + Repeated("\xCC\x81\xCC\xA3", 1000000);
  EXPECT_EQ(tokenizer->Encode(text).size(), tokenizer->Decode(tokenizer->Encode(text)).size());
}

TEST(BoundedWork, SpacesThatBecomeMarks) {
  const auto tokenizer =
      FromJson(R"("normalizer":{"type":"Replace","pattern":{"String":" "},"content":"▁"})");
  EXPECT_EQ(tokenizer->Encode(std::string(2000000, ' ')).size(), 0u);  // no piece stands for a mark
}

TEST(BoundedWork, ExpressionsThatTakeLong) {
  const auto tokenizer = FromJson(
      R"("pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"(?:a|a)*[xy]"},"behavior":"Isolated"},{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]})");
  ExpectRefusal(RefusalOf([&] { tokenizer->Encode(Repeated(std::string(20, 'a') + ".", 4000)); }),
                "cannot be split into words");
  EXPECT_EQ(tokenizer->Encode("aax").size(), 3u);  // it is the text that was refused
}

// Words of one million characters, with merges that join them in all sizes.
TEST(BoundedWork, LongWords) {
  std::vector<std::string> pieces;
  std::vector<std::pair<std::string, std::string>> merges;
  for (const std::string unit : {"a", " ", "="}) {
    for (std::string piece = unit; piece.size() <= 512; piece += piece) {
      merges.emplace_back(piece, piece);
      pieces.push_back(piece + piece);
    }
  }
  for (const char first : std::string("qxzjkv")) {
    for (const char second : std::string("qxzjkv")) {
      merges.emplace_back(std::string(1, first), std::string(1, second));
      pieces.push_back({first, second});
    }
  }
  const auto tokenizer = FromMetadata(MetadataOf(ByteLevelSpec(pieces, merges)));
  for (const std::string unit : {"a", " ", "=", "qxzjkv", "qzxzvvkjqx"}) {
    const std::string text = Repeated(unit, 1000000);
    EXPECT_EQ(tokenizer->Decode(tokenizer->Encode(text)), text);
  }
}

}  // namespace
}  // namespace retort
