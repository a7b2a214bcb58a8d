// SPDX-License-Identifier: Apache-2.0
// Our encoder for SentencePiece's byte-pair models against the library: synthetic models with every
// kind of piece on synthetic texts, and trained and real models on real texts.
#include "tokenizer/sentencepiece_bpe.h"

#include <gtest/gtest.h>
#include <sentencepiece_processor.h>

#include <algorithm>

#include "base/error.h"
#include "data/rows.h"
#include "tests/support/shared_data.h"
#include "tokenizer/sentencepiece_file.h"
#include "tokenizer/sentencepiece_library.h"

namespace retort {
namespace {

using Ids = std::vector<int32_t>;
using PieceType = TokenizerSpec::PieceType;

constexpr char kMetaSpaceText[] = "\xE2\x96\x81";
const std::vector<std::string> kParts = {" ",
                                         " ",
                                         "  ",
                                         kMetaSpaceText,
                                         "a",
                                         "a",
                                         "b",
                                         "b",
                                         "c",
                                         "x",
                                         "\n",
                                         "\xC3\xA9",
                                         "\xF0\x9F\x98\x80",
                                         std::string(1, '\0'),
                                         "\xEF\xBF\xBD",
                                         "\xFF",
                                         "\xE2\x96",
                                         "\xF0\x9F\x98",
                                         "\xC0\xAF",
                                         "\xED\xA0\x80",
                                         "\xF4\x90\x80\x80"};  // no UTF-8

class RandomParts {
 public:
  size_t Below(size_t n) { return ((state_ = state_ * 1664525 + 1013904223) >> 8) % n; }
  std::string Text(size_t parts) {
    std::string text;
    const size_t kinds = 1 + Below(kParts.size()), first = Below(kParts.size());
    for (; parts > 0; --parts) text += kParts[(first + Below(kinds)) % kParts.size()];
    return text;
  }

 private:
  uint32_t state_ = 1;
};

// Pieces over few characters, so that pairs compete; many scores are equal. Not all characters are
// pieces themselves.
TokenizerSpec MadeUp(RandomParts& random, bool byte_fallback) {
  TokenizerSpec spec;
  spec.kind = TokenizerSpec::Kind::kSentencePiece;
  spec.pieces = {{"<unk>", 0, PieceType::kUnknown}, {"<s>", 0, PieceType::kControl}};
  spec.byte_fallback = byte_fallback;
  for (int b = 0; byte_fallback && b < 256; ++b) {
    const char* digits = "0123456789ABCDEF";
    spec.pieces.push_back({Cat("<0x", digits[b / 16], digits[b % 16], ">"), 0, PieceType::kByte});
  }
  const std::vector<std::string> letters = {kMetaSpaceText,    "a", "b", "c", "\xC3\xA9",
                                            "\xF0\x9F\x98\x80"};
  for (size_t tries = 10 + random.Below(60); tries > 0; --tries) {
    TokenizerSpec::Piece piece;
    for (size_t k = 1 + random.Below(random.Below(8) ? 3 : 9); k > 0; --k)
      piece.text += letters[random.Below(letters.size())];
    piece.score = -static_cast<float>(random.Below(12)) / 4;
    if (random.Below(12) == 0) piece.type = PieceType::kUserDefined;
    const bool there = std::ranges::any_of(
        spec.pieces, [&](const TokenizerSpec::Piece& p) { return p.text == piece.text; });
    if (!there) spec.pieces.push_back(piece);
  }
  return spec;
}

Ids EncodeOwn(const SentencePieceBpe& own, std::string_view text) {
  SentencePieceBpe::Scratch scratch;
  Ids ids;
  own.Encode(text, &scratch, &ids);
  return ids;
}

TEST(SentencePieceBpe, FollowsTheLibraryOnMadeUpModels) {
  RandomParts random;
  for (int round = 0; round < 400; ++round) {
    TokenizerSpec spec = MadeUp(random, round % 2);
    spec.add_space_prefix = round % 4 < 2;
    spec.remove_extra_whitespaces = round % 8 < 4;
    CheckSentencePieceSpec(spec, "test");
    const auto own = SentencePieceBpe::Make(spec);
    ASSERT_TRUE(own || spec.remove_extra_whitespaces);
    const SentencePieceLibrary library(spec, false, "test");
    const SentencePieceLibrary prefixed(spec, spec.add_space_prefix, "test");
    const auto tokenizer = Tokenizer::FromSpec(spec, "test");
    for (int k = 0; k < 50; ++k) {
      const std::string text = random.Text(1 + random.Below(k % 10 ? 20 : 120));
      const std::string shorter =
          spec.remove_extra_whitespaces ? WithoutExtraSpaces(text, false) : text;
      if (own) {
        ASSERT_EQ(EncodeOwn(*own, shorter), library.Encode(text))
            << round << " " << testing::PrintToString(text);
      }
      ASSERT_EQ(tokenizer->Encode(text), prefixed.Encode(text))
          << round << " " << testing::PrintToString(text);
    }
  }
}

TEST(SentencePieceBpe, LeavesTheRestToTheLibrary) {
  RandomParts random;
  const TokenizerSpec spec = MadeUp(random, true);
  ASSERT_NE(SentencePieceBpe::Make(spec), nullptr);
  const auto with = [&](auto change) {
    TokenizerSpec other = spec;
    change(other);
    return SentencePieceBpe::Make(other) != nullptr;
  };
  EXPECT_FALSE(with([](TokenizerSpec& s) { s.unigram = true; }));
  EXPECT_FALSE(with([](TokenizerSpec& s) { s.charsmap = "x"; }));
  EXPECT_TRUE(with([](TokenizerSpec& s) { s.remove_extra_whitespaces = true; }));
  const auto with_piece = [&](TokenizerSpec::Piece piece) {
    return with([&](TokenizerSpec& s) { s.pieces.push_back(piece); });
  };
  EXPECT_TRUE(with_piece({"zz"}));
  EXPECT_TRUE(with_piece({"zz", 0, PieceType::kControl}));
  EXPECT_FALSE(with_piece({"z", 0, PieceType::kControl}));  // the library makes it of a text's z
  EXPECT_FALSE(with_piece({"zz", 0, PieceType::kUnused}));
  EXPECT_FALSE(with_piece({std::string(300, 'z')}));
  EXPECT_FALSE(with_piece({"z\xFF", 0, PieceType::kUserDefined}));
  EXPECT_TRUE(with_piece({"z\xFF"}));
}

// An unused piece is cut up again by the library, which the tokenizer then asks.
TEST(SentencePieceBpe, FollowsTheLibraryOnUnusedPieces) {
  RandomParts random;
  for (int round = 0; round < 60; ++round) {
    TokenizerSpec spec = MadeUp(random, round % 2);
    for (TokenizerSpec::Piece& piece : spec.pieces) {
      if (piece.type == PieceType::kNormal && random.Below(4) == 0) piece.type = PieceType::kUnused;
    }
    const SentencePieceLibrary library(spec, false, "test");
    const auto tokenizer = Tokenizer::FromSpec(spec, "test");
    for (int k = 0; k < 50; ++k) {
      const std::string text = random.Text(1 + random.Below(20));
      ASSERT_EQ(tokenizer->Encode(text), library.Encode(text)) << testing::PrintToString(text);
    }
  }
}

TEST(SentencePieceBpe, TakesTimeInProportionToAText) {
  RandomParts random;
  const TokenizerSpec spec = MadeUp(random, true);
  const auto own = SentencePieceBpe::Make(spec);
  for (const std::string unit : {"a", " ", "ab", "z", "\xF0\x9F\x98\x80", "\xFF"}) {
    std::string text;
    while (text.size() < 1000000) text += unit;
    EXPECT_GT(EncodeOwn(*own, text).size(), 1000u);  // a quadratic one takes hours
  }
}

// One in sixteen texts of all rows, and of every file a stretch of a sixteenth as one text; `part`
// says which. `retort bench tokenize` holds all texts of a file to the library in the same way.
std::vector<std::string> RealTexts(const Path& datasets, size_t part) {
  std::vector<std::string> texts;
  size_t count = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(datasets)) {
    const Path& path = entry.path();
    if (path.extension() != ".txt" && path.extension() != ".jsonl") continue;
    const std::string whole = ReadText(path);
    texts.push_back(whole.substr(whole.size() / 16 * part, whole.size() / 16));
    if (path.extension() == ".txt") continue;
    const Rows rows = Rows::Open({{path}});
    for (int64_t i = 0; i < rows.size(); ++i) {
      if (count++ % 16 != part) continue;
      const Row row = rows.Read(i);
      for (const std::string& text : {row.prompt, row.completion, row.text}) {
        if (!text.empty()) texts.push_back(text);
      }
    }
  }
  return texts;
}

class RealSentencePiece : public testing::TestWithParam<std::pair<const char*, size_t>> {};

// The library is given the file itself.
TEST_P(RealSentencePiece, FollowsTheLibraryOnRealTexts) {
  RETORT_NEEDS(datasets, "real/datasets");
  RETORT_NEEDS(folder, std::string("real/") + GetParam().first);
  const auto tokenizer = Tokenizer::Load(folder);
  ASSERT_NE(SentencePieceBpe::Make(tokenizer->spec()), nullptr);
  sentencepiece::SentencePieceProcessor library;
  ASSERT_TRUE(library.LoadFromSerializedProto(tokenizer->spec().sentencepiece_model).ok());
  int64_t tokens = 0;
  for (const std::string& text : RealTexts(datasets, GetParam().second)) {
    std::vector<int> want;
    ASSERT_TRUE(library.Encode(text, &want).ok());
    ASSERT_TRUE(tokenizer->Encode(text) == want) << text.substr(0, 200);
    tokens += static_cast<int64_t>(want.size());
  }
  EXPECT_GT(tokens, 400000);
}

INSTANTIATE_TEST_SUITE_P(All, RealSentencePiece,
                         testing::Values(std::pair{"tokenizers/llama2-spm", 0},
                                         std::pair{"tokenizers/mistral-v3-spm", 3},
                                         std::pair{"models/stories260K", 6},
                                         std::pair{"models/llama2xs-280K", 9},
                                         std::pair{"models/babyllama-936K", 12}),
                         [](const auto& info) {
                           std::string name = Path(info.param.first).filename();
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace retort
