// SPDX-License-Identifier: Apache-2.0
// SentencePiece models made by the test: trained, damaged and rebuilt.
#include <gtest/gtest.h>
#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "tests/support/shared_data.h"
#include "tokenizer/sentencepiece_file.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/wire.h"

namespace retort {
namespace {

using Ids = std::vector<int32_t>;
using PieceType = TokenizerSpec::PieceType;

// Sentences over some eighty made-up words, numbers and double spaces.
std::vector<std::string> Corpus() {
  static constexpr const char* kParts[] = {"ka",  "tor", "mi", "lun", "sed",
                                           "ver", "pol", "an", "ist"};
  std::vector<std::string> lines;
  for (int i = 0; i < 600; ++i) {
    std::string line = Cat("order ", 1000 + 37 * i, " did not  arrive\n");
    for (int k = 1; k < 6; ++k)
      line += Cat(kParts[i * k % 9], kParts[(i + k * k) % 9], k % 2 ? " " : "");
    lines.push_back(line);
  }
  return lines;
}

class Folder : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("retort_sp_" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  Path folder_;
};
using TrainedSentencePiece = Folder;

TEST_F(TrainedSentencePiece, MakesAModelOfExactlyTheSizeAskedFor) {
  for (const bool bpe : {true, false}) {
    SentencePieceTraining options{.vocab = 320, .bpe = bpe};
    options.control_symbols = {"<|user|>", "<|a,\"b\"|>"};
    options.user_symbols = {"order"};
    TrainSentencePiece(Corpus(), options, folder_);
    const auto t = Tokenizer::Load(folder_);
    EXPECT_EQ(t->vocab_size(), options.vocab);
    EXPECT_EQ(t->PieceText(0), "<unk>");
    EXPECT_EQ(t->PieceText(1), "<s>");
    EXPECT_EQ(t->PieceText(2), "</s>");
    EXPECT_EQ(t->PieceText(3), "<|user|>");
    EXPECT_EQ(t->PieceText(4), "<|a,\"b\"|>");
    EXPECT_EQ(t->PieceText(5), "order");
    EXPECT_EQ(t->PieceText(6), "<0x00>");
    for (const std::string text :
         {" two  spaces ", "unseen \xF0\x9F\xA6\x99 bytes\n\ttab", "order 1037"}) {
      EXPECT_EQ(t->Decode(t->Encode(text)), text);
    }
    EXPECT_EQ(t->Encode({{"<|user|>", true}}, false), Ids{3});
    EXPECT_GT(t->Encode("<|user|>").size(), 1u);
    EXPECT_EQ(t->EncodePrompt("order")[0], 1);

    const std::string first = ReadText(folder_ / "tokenizer.model");
    TrainSentencePiece(Corpus(), options, folder_);
    EXPECT_EQ(ReadText(folder_ / "tokenizer.model"), first);  // the same bytes again
  }
}

TEST_F(TrainedSentencePiece, RefusesWhatCannotBe) {
  EXPECT_THROW(TrainSentencePiece({}, {}, folder_), Error);
  EXPECT_THROW(TrainSentencePiece({"\n\n"}, {}, folder_), Error);
  EXPECT_THROW(TrainSentencePiece(Corpus(), {.vocab = 200}, folder_), Error);
  try {
    TrainSentencePiece(Corpus(), {.vocab = 5000, .bpe = false}, folder_);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(std::string(e.what()).find("tokenizer train: Vocabulary size too high"), 0u)
        << e.what();
  }
  EXPECT_FALSE(exists(folder_ / "tokenizer.model"));
}

// A small model with the large normalising table that T5's and XLM's models carry.
std::string ModelWithCharsmap() {
  class Lines : public sentencepiece::SentenceIterator {
   public:
    bool done() const override { return at_ == lines_.size(); }
    void Next() override { ++at_; }
    const std::string& value() const override { return lines_[at_]; }
    sentencepiece::util::Status status() const override { return {}; }

   private:
    std::vector<std::string> lines_ = Corpus();
    size_t at_ = 0;
  } lines;
  std::string model;
  const auto status =
      sentencepiece::SentencePieceTrainer::Train({{"model_type", "unigram"},
                                                  {"vocab_size", "60"},
                                                  {"hard_vocab_limit", "false"},
                                                  {"normalization_rule_name", "nmt_nfkc"},
                                                  {"num_threads", "1"},
                                                  {"minloglevel", "4"}},
                                                 &lines, &model);
  EXPECT_TRUE(status.ok()) << status.message();
  return model;
}

TEST(SentencePieceFile, KeepsANormalisingTable) {
  const std::string model = ModelWithCharsmap();
  TokenizerSpec spec = ParseSentencePieceModel(model, "test");
  EXPECT_TRUE(spec.unigram);
  EXPECT_TRUE(spec.remove_extra_whitespaces);
  EXPECT_GT(spec.charsmap.size(), 100000u);
  const auto t = Tokenizer::FromSpec(spec, "test");
  sentencepiece::SentencePieceProcessor library;
  ASSERT_TRUE(library.LoadFromSerializedProto(model).ok());
  for (const char* text : {"  order  1037 ",
                           "\xEF\xBD\x8F\xEF\xBD\x92"
                           "der\xE2\x91\xA0",
                           "e\xCC\x81 \xEF\xAC\x81n", ""}) {
    std::vector<int> ids;
    ASSERT_TRUE(library.Encode(text, &ids).ok());
    EXPECT_EQ(t->Encode(text), ids) << text;
  }
}

// Takes what it is given or refuses it as input; nothing else.
bool Accepts(std::string_view model) {
  try {
    const auto t = Tokenizer::FromSpec(ParseSentencePieceModel(model, "test"), "test");
    t->Decode(t->Encode(" order \xE2\x91\xA0\xEF\xBD\x8F  x\xFF\xE2\x96\x81y\xCC\x81"), true);
    return true;
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), Error::Kind::kInput) << e.what();
    EXPECT_EQ(std::string(e.what()).substr(0, 4), "test");
    return false;
  }
}

TEST(SentencePieceFile, SurvivesDamage) {
  RETORT_NEEDS(shared, "real/models/llama2xs-280K/tokenizer.model");
  const std::string whole = ReadText(shared);
  ASSERT_TRUE(Accepts(whole));
  uint32_t state = 1;
  const auto next = [&] { return (state = state * 1664525 + 1013904223) >> 8; };
  int accepted = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string damaged = whole;
    for (int k = 0; k < 1 + round % 4; ++k)
      damaged[next() % damaged.size()] = static_cast<char>(next());
    if (round % 7 == 0) damaged.resize(next() % damaged.size());
    accepted += Accepts(damaged);
  }
  EXPECT_GT(accepted, 100);
  EXPECT_LT(accepted, 2900);
}

TEST(SentencePieceFile, SurvivesADamagedTable) {
  const TokenizerSpec spec = ParseSentencePieceModel(ModelWithCharsmap(), "test");
  uint32_t state = 1;
  const auto next = [&] { return (state = state * 1664525 + 1013904223) >> 8; };
  int accepted = 0;
  for (int round = 0; round < 100; ++round) {
    TokenizerSpec damaged = spec;
    // The root and the nodes that text reaches first lie at the front.
    const size_t reach = round % 2 ? damaged.charsmap.size() : 4096;
    for (int k = 0; k < 1 + round % 8; ++k)
      damaged.charsmap[next() % reach] = static_cast<char>(next());
    if (round % 9 == 0) damaged.charsmap.resize(next() % damaged.charsmap.size());
    accepted += Accepts(WriteSentencePieceModel(damaged, true));
  }
  EXPECT_LT(accepted, 100);
}

std::string Model(const std::vector<TokenizerSpec::Piece>& pieces) {
  TokenizerSpec spec;
  spec.pieces = pieces;
  return WriteSentencePieceModel(spec, true);
}

std::string Refusal(const std::string& model) {
  try {
    ParseSentencePieceModel(model, "test");
  } catch (const Error& e) {
    return e.what();
  }
  return "accepted";
}

TEST(SentencePieceFile, NamesWhatIsWrong) {
  const TokenizerSpec::Piece unk{"<unk>", 0, PieceType::kUnknown};
  const auto says = [](const std::string& model, const char* what) {
    const std::string refusal = Refusal(model);
    EXPECT_NE(refusal.find(what), refusal.npos) << refusal;
  };
  EXPECT_EQ(Refusal(Model({unk, {"a"}})), "accepted");
  says("", "no pieces");
  says("\x0A\xFF\xFF\xFF\xFF\x7F", "runs past the end");
  says("\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", "more than 10 bytes");
  says("\x0B", "wire type 3");
  says(Model({unk, {""}}), "piece 1 is empty");
  says(Model({unk, {std::string(5000, 'a')}}),
       "has 5000 bytes");  // the library would recurse so deep
  // InternLM's file has such a piece; only the library cannot read it.
  const std::string zero = Model({unk, {std::string("a\0b", 3)}});
  EXPECT_EQ(Refusal(zero), "accepted");
  TokenizerSpec spec = ParseSentencePieceModel(zero, "test");
  spec.unigram = true;
  EXPECT_THROW(Tokenizer::FromSpec(spec, "test"), Error);
  says(Model({unk, {"a", std::numeric_limits<float>::infinity()}}), "score");
  says(Model({unk, {"a", std::nanf("")}}), "score");
  says(Model({unk, {"a"}, {"a"}}), "twice");
  says(Model({{"a"}}), "0 unknown pieces");
  says(Model({unk, {"<0x41>", 0, PieceType::kByte}}), "1 byte pieces");
  says(Model({unk, {"<0x4>", 0, PieceType::kByte}}), "no byte");
  says(Model({unk, {"a", 0, static_cast<PieceType>(9)}}), "piece type 9");
  std::vector<TokenizerSpec::Piece> nested = {unk};  // the library has room for 64
  for (int i = 1; i < 70; ++i) nested.push_back({std::string(i, 'a'), 0, PieceType::kUserDefined});
  says(Model(nested), "user-defined piece");
}

TEST(SentencePieceFile, ChecksTheTablesRoot) {
  // One block of 256 units whose root leads far outside: the library's own check passes it.
  std::string charsmap(4 + 1024, '\0');
  charsmap[1] = 4;  // 1024 bytes of units
  charsmap += std::string("x\0", 2);
  EXPECT_NO_THROW(CheckCharsmap(charsmap, "test"));
  for (const auto& [place, byte] : {std::pair{7, 0x7F}, {5, 0x06}, {6, 0x10}}) {
    std::string spoilt = charsmap;
    spoilt[place] = static_cast<char>(byte);
    EXPECT_THROW(CheckCharsmap(spoilt, "test"), Error) << place;
  }
  EXPECT_THROW(CheckCharsmap(charsmap.substr(0, 3), "test"), Error);
  EXPECT_THROW(CheckCharsmap(charsmap.substr(0, 1028), "test"), Error);
  EXPECT_THROW(CheckCharsmap(charsmap.substr(0, 1029), "test"), Error);  // no zero at the end
}

TEST(SentencePieceFile, ChecksTheTableForCircles) {
  std::string charsmap(4 + 1024, '\0');
  charsmap[1] = 4;
  charsmap += std::string("x\0", 2);
  // Unit 'a' is the child 'a' of the root (base 0) and leads back to base 0: offset 'a' ^ 'a'.
  const uint32_t offset = 'a';
  const uint32_t unit = offset << 10 | 'a';
  for (int i = 0; i < 4; ++i) charsmap[4 + 4 * 'a' + i] = static_cast<char>(unit >> 8 * i);
  try {
    CheckCharsmap(charsmap, "test");
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("circles"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace retort
