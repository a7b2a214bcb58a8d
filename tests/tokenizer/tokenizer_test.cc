// SPDX-License-Identifier: Apache-2.0
// Real tokenizers: against llama.cpp's ids, against the SentencePiece library, and after conversion
// to the spec that a GGUF file would contain.
#include "tokenizer/tokenizer.h"

#include <gtest/gtest.h>
#include <sentencepiece_processor.h>

#include <algorithm>
#include <sstream>
#include <thread>

#include "base/error.h"
#include "tests/support/shared_data.h"

namespace retort {
namespace {

using Ids = std::vector<int32_t>;

// llama.cpp's test strings, and the ids that it expects of each.
struct Expected {
  std::vector<std::string> texts;
  std::vector<Ids> ids;
};

Expected ReadExpected(const Path& stem) {
  Expected expected;
  const std::string input = ReadText(stem.string() + ".inp");
  const std::string mark = "\n__ggml_vocab_test__\n";
  for (size_t begin = 0, end; (end = input.find(mark, begin)) != input.npos;
       begin = end + mark.size()) {
    expected.texts.push_back(input.substr(begin, end - begin));
  }
  std::istringstream lines(ReadText(stem.string() + ".out"));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream numbers(line);
    Ids& ids = expected.ids.emplace_back();
    for (int32_t id; numbers >> id;) ids.push_back(id);
  }
  return expected;
}

// What a GGUF file keeps of a spec.
TokenizerSpec Stripped(TokenizerSpec spec) {
  spec.tokenizer_json.clear();
  spec.sentencepiece_model.clear();
  spec.added.clear();
  if (spec.kind == TokenizerSpec::Kind::kBpe && !spec.byte_level) {
    spec.kind = TokenizerSpec::Kind::kSentencePiece;  // GGUF's "llama"
    spec.merges.clear();
  } else if (spec.kind == TokenizerSpec::Kind::kBpe) {
    spec.ignore_merges = false;  // GGUF has no such key; the name of `pre` implies it
    for (auto& piece : spec.pieces) piece.score = 0;
  }
  return spec;
}

struct Case {
  const char* folder;
  const char* expected;
  const char* pre;
};

class KnownTokenizer : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    RETORT_NEEDS(shared, "real/tokenizers");
    tokenizer_ = Tokenizer::Load(shared / GetParam().folder);
    expected_ = ReadExpected(shared / "expected" / GetParam().expected);
    ASSERT_EQ(expected_.texts.size(), 46u);
    ASSERT_EQ(expected_.ids.size(), 46u);
  }
  void ExpectAll(const Tokenizer& tokenizer) const {
    for (size_t i = 0; i < expected_.texts.size(); ++i) {
      EXPECT_EQ(tokenizer.Encode(expected_.texts[i]), expected_.ids[i]) << expected_.texts[i];
    }
  }
  std::unique_ptr<Tokenizer> tokenizer_;
  Expected expected_;
};

TEST_P(KnownTokenizer, GivesTheExpectedIds) {
  ExpectAll(*tokenizer_);
  ExpectAll(*tokenizer_);  // now from the word cache
}

TEST_P(KnownTokenizer, IsTheSameWithoutItsFile) {
  EXPECT_EQ(tokenizer_->spec().pre, GetParam().pre);
  ExpectAll(*Tokenizer::FromSpec(Stripped(tokenizer_->spec()), "model.gguf"));
}

TEST_P(KnownTokenizer, IsTheSameFromItsWholeSpec) {
  const auto again = Tokenizer::FromSpec(tokenizer_->spec(), "again");
  ExpectAll(*again);
  EXPECT_EQ(again->spec().bos, tokenizer_->spec().bos);
  EXPECT_EQ(again->spec().eos, tokenizer_->spec().eos);
  EXPECT_EQ(again->spec().chat_template, tokenizer_->spec().chat_template);
}

TEST_P(KnownTokenizer, DecodesWhatItEncoded) {
  for (const std::string& text : expected_.texts) {
    const Ids ids = tokenizer_->Encode(text);
    EXPECT_EQ(tokenizer_->Decode(ids), text);
    StreamDecoder stream(*tokenizer_, /*at_start=*/true);
    std::string streamed;
    for (const int32_t id : ids) streamed += stream.Push(id);
    EXPECT_EQ(streamed + stream.Flush(), text);
  }
}

INSTANTIATE_TEST_SUITE_P(All, KnownTokenizer,
                         testing::Values(Case{"llama2-spm", "ggml-vocab-llama-spm.gguf", "default"},
                                         Case{"gpt2", "ggml-vocab-gpt-2.gguf", "gpt-2"},
                                         Case{"llama3_2", "ggml-vocab-llama-bpe.gguf", "llama-bpe"},
                                         Case{"qwen2_5", "ggml-vocab-qwen2.gguf", "qwen2"}),
                         [](const auto& info) {
                           std::string name = info.param.folder;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// Words are encoded one by one from a cache: the same as the library on the whole text.
TEST(SentencePieceTokenizer, FollowsTheLibrary) {
  RETORT_NEEDS(shared, "real");
  for (const char* folder : {"tokenizers/llama2-spm", "tokenizers/mistral-v3-spm"}) {
    const auto tokenizer = Tokenizer::Load(shared / folder);
    sentencepiece::SentencePieceProcessor library;
    ASSERT_TRUE(library.Load((shared / folder / "tokenizer.model").string()).ok());
    for (const char* data : {"datasets/wikitext-2/test.txt", "datasets/banking77/test.jsonl"}) {
      const std::string text = ReadText(shared / data);
      std::vector<int> ids;
      ASSERT_TRUE(library.Encode(text, &ids).ok());
      EXPECT_EQ(tokenizer->Encode(text), ids) << folder << " " << data;
    }
  }
}

TEST(SentencePieceTokenizer, FollowsTheLibraryOnBytesThatAreNoText) {
  RETORT_NEEDS(shared, "real/tokenizers/llama2-spm");
  const auto tokenizer = Tokenizer::Load(shared);
  sentencepiece::SentencePieceProcessor library;
  ASSERT_TRUE(library.Load((shared / "tokenizer.model").string()).ok());
  const std::string alphabet =
      " \xE2\x96\x81"
      "ab\xFF\xF0\x9F\n";
  uint32_t state = 1;
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (int i = 0; i < 24; ++i) {
      text += alphabet[(state = state * 1664525 + 1013904223) >> 16 & 7];
      if (state >> 30 == 0) text += "\xE2\x96\x81";
    }
    std::vector<int> ids;
    ASSERT_TRUE(library.Encode(text, &ids).ok());
    ASSERT_EQ(tokenizer->Encode(text), ids) << testing::PrintToString(text);
  }
}

TEST(SentencePieceTokenizer, AddsBosWhereTheFilesDo) {
  RETORT_NEEDS(shared, "real/models");
  for (const char* folder : {"stories260K", "llama2xs-280K", "babyllama-936K"}) {
    const auto tokenizer = Tokenizer::Load(shared / folder);
    const Ids ids = tokenizer->EncodePrompt("Once upon a time");
    EXPECT_EQ(ids.at(0), 1) << folder;
    EXPECT_EQ(tokenizer->spec().eos, 2);
    EXPECT_EQ(tokenizer->Decode(ids), "Once upon a time");
    EXPECT_EQ(tokenizer->PieceText(ids.at(0)), "<s>");
  }
  EXPECT_EQ(Tokenizer::Load(shared / "stories260K")->EncodePrompt("Once upon a time"),
            (Ids{1, 403, 407, 261, 378}));
}

// As the library, by which the models were trained.
TEST(SentencePieceTokenizer, RemovesExtraSpacesWhereItsFileSaysSo) {
  RETORT_NEEDS(shared, "real");
  const auto decoded = [&](const char* folder, const char* text, bool continuation) {
    const auto tokenizer = Tokenizer::Load(shared / folder);
    return tokenizer->Decode(tokenizer->Encode(text, continuation));
  };
  constexpr const char* kRemoves = "models/stories260K";
  EXPECT_EQ(decoded(kRemoves, " a  b ", false), "a b");
  EXPECT_EQ(decoded(kRemoves, "\n a", false), "\n a");
  EXPECT_EQ(decoded(kRemoves, "   ", false), "");
  for (const char* text : {" a", "a  b ", "   ", "\n a"})
    EXPECT_EQ(decoded("tokenizers/llama2-spm", text, false), text);
  // What continues a text may begin with a space.
  const auto tokenizer = Tokenizer::Load(shared / kRemoves);
  const Ids ids = tokenizer->Encode("  day", /*continuation=*/true);
  EXPECT_EQ(tokenizer->Bytes(ids.at(0))[0], ' ');
}

TEST(SentencePieceTokenizer, ContinuesWithoutAPrefix) {
  RETORT_NEEDS(shared, "real/tokenizers/llama2-spm");
  const auto tokenizer = Tokenizer::Load(shared);
  EXPECT_EQ(tokenizer->PieceText(tokenizer->Encode("Hello")[0]), "\xE2\x96\x81Hello");
  EXPECT_EQ(tokenizer->PieceText(tokenizer->Encode("Hello", true)[0]), "Hello");
  EXPECT_TRUE(tokenizer->Encode("").empty());
  // After a special token the text gets its own prefix, in a continuation too.
  const Ids ids = tokenizer->Encode({{"a</s>b", true}}, /*continuation=*/true);
  ASSERT_EQ(ids.size(), 3u);
  EXPECT_EQ(ids[1], 2);
  EXPECT_EQ(tokenizer->PieceText(ids[2]),
            "\xE2\x96\x81"
            "b");
}

TEST(SpecialTokens, AreReadInMarkupAlone) {
  RETORT_NEEDS(shared, "real/tokenizers");
  struct Marks {
    const char *folder, *open, *close;
  };
  for (const Marks m :
       {Marks{"qwen2_5", "<|im_start|>", "<|im_end|>"},
        Marks{"llama3_2", "<|start_header_id|>", "<|eot_id|>"}, Marks{"llama2-spm", "<s>", "</s>"},
        Marks{"mistral-v3-spm", "[INST]", "[/INST]"}}) {
    const auto tokenizer = Tokenizer::Load(shared / m.folder);
    const auto special = [&](const Ids& ids) {
      return std::count_if(ids.begin(), ids.end(), [&](int32_t id) {
        return tokenizer->spec().pieces[id].type == TokenizerSpec::PieceType::kControl;
      });
    };
    const std::string open = m.open, close = m.close;
    EXPECT_EQ(special(tokenizer->Encode({{open + "user" + close, true}}, false)), 2) << open;
    EXPECT_EQ(special(tokenizer->Encode({{open + "user" + close, false}}, false)), 0) << open;
    EXPECT_EQ(special(tokenizer->Encode(open)), 0);
    // Neither with the help of markup around it.
    const size_t half = open.size() / 2;
    const Ids split =
        tokenizer->Encode({{open.substr(0, half), true}, {open.substr(half), false}}, false);
    EXPECT_EQ(special(split), 0);
    EXPECT_EQ(split, tokenizer->Encode(open));
    // Markup in parts is one markup.
    EXPECT_EQ(special(tokenizer->Encode({{open.substr(0, half), true}, {open.substr(half), true}},
                                        false)),
              1);
    const Ids both = tokenizer->Encode({{open, true}, {close, false}}, false);
    EXPECT_EQ(special(both), 1);
    EXPECT_EQ(tokenizer->Bytes(both[0]), "");
    EXPECT_EQ(tokenizer->Bytes(both[0], true), open);
  }
}

TEST(SpecialTokens, CutATextOnlyWhereTheyStand) {
  RETORT_NEEDS(shared, "real/tokenizers/qwen2_5");
  const auto tokenizer = Tokenizer::Load(shared);
  // Segments are one text: " b" is one word although two segments hold it.
  EXPECT_EQ(tokenizer->Encode({{"a ", true}, {"b", false}}, false), tokenizer->Encode("a b"));
  // Not special in its file, so a word like any other.
  EXPECT_EQ(tokenizer->Encode("<tool_call>").size(), 1u);
  EXPECT_EQ(tokenizer->spec().eos, 151645);
  EXPECT_EQ(tokenizer->spec().bos, -1);
  EXPECT_FALSE(tokenizer->spec().add_bos);
  EXPECT_EQ(tokenizer->vocab_size(), 151665);
}

TEST(BpeTokenizer, ReadsWhatItsNeighboursSay) {
  RETORT_NEEDS(shared, "real/tokenizers/llama3_2");
  const auto tokenizer = Tokenizer::Load(shared);
  const TokenizerSpec& spec = tokenizer->spec();
  EXPECT_EQ(spec.bos, 128000);
  EXPECT_EQ(spec.eos, 128009);
  EXPECT_TRUE(spec.add_bos);
  EXPECT_TRUE(spec.ignore_merges);
  EXPECT_NE(spec.chat_template.find("<|start_header_id|>"), std::string::npos);
  EXPECT_EQ(tokenizer->EncodePrompt("Hello world"), (Ids{128000, 9906, 1917}));
  EXPECT_EQ(tokenizer->Encode("Hello world"), (Ids{9906, 1917}));
}

TEST(BpeTokenizer, KeepsBytesThatAreNoText) {
  RETORT_NEEDS(shared, "real/tokenizers/qwen2_5");
  const auto tokenizer = Tokenizer::Load(shared);
  for (const std::string text : {"a\xFF"
                                 "b",
                                 "\x80\x80 \xE2\x96", "e\xCC\xFF\x81 \xF0\x9F\x98"}) {
    EXPECT_EQ(tokenizer->Decode(tokenizer->Encode(text)), text);
  }
}

TEST(BpeTokenizer, ComposesCharacters) {
  RETORT_NEEDS(shared, "real/tokenizers/qwen2_5");
  const auto tokenizer = Tokenizer::Load(shared);
  EXPECT_EQ(tokenizer->Encode("cafe\xCC\x81 x"), tokenizer->Encode("caf\xC3\xA9 x"));
  // Across a stretch of ASCII nothing joins; two marks sort by their class before they join.
  EXPECT_EQ(tokenizer->Decode(tokenizer->Encode("a\xCC\xA3\xCC\x82z\xE1\x84\x80\xE1\x85\xA1")),
            "\xE1\xBA\xADz\xEA\xB0\x80");
}

TEST(BpeTokenizer, TakesTimeInProportionToAWord) {
  RETORT_NEEDS(shared, "real/tokenizers/gpt2");
  const auto tokenizer = Tokenizer::Load(shared);
  for (const std::string unit : {"a", " ", "ab", "\n", "=", "\xF0\x9F\x98\x80"}) {
    std::string text;
    while (text.size() < 1000000) text += unit;
    EXPECT_EQ(tokenizer->Decode(tokenizer->Encode(text)), text);  // a quadratic one takes hours
  }
}

TEST(BpeTokenizer, ServesThreadsAtOnce) {
  RETORT_NEEDS(shared, "real/tokenizers/gpt2");
  const auto tokenizer = Tokenizer::Load(shared);
  const Expected expected = ReadExpected(shared.parent_path() / "expected/ggml-vocab-gpt-2.gguf");
  std::vector<std::thread> threads;
  std::vector<int> wrong(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < 20; ++round) {
        for (size_t i = 0; i < expected.texts.size(); ++i) {
          wrong[t] += tokenizer->Encode(expected.texts[i]) != expected.ids[i];
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4));
}

// SentencePiece-style BPE: no words, merges across spaces, unknown characters.
TEST(TinyStories, ReadsAsItsFileSays) {
  RETORT_NEEDS(shared, "real/models/tinystories-656K");
  const auto tokenizer = Tokenizer::Load(shared);
  const TokenizerSpec& spec = tokenizer->spec();
  EXPECT_EQ(spec.bos, 1);
  EXPECT_EQ(spec.eos, 2);
  EXPECT_EQ(spec.unk, 0);
  EXPECT_TRUE(spec.add_bos);
  EXPECT_FALSE(spec.byte_level);
  EXPECT_FALSE(spec.byte_fallback);  // asked for, but there are no byte pieces
  const std::string text = "Once upon a time, there was a little girl.";
  const Ids ids = tokenizer->EncodePrompt(text);
  EXPECT_EQ(ids[0], 1);
  EXPECT_EQ(tokenizer->Decode(ids), text);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 0), 0);
  // Neighbouring unknown characters are one.
  const Ids unknown = tokenizer->Encode("\xF0\x9F\x98\x80\xF0\x9F\x98\x80");
  EXPECT_EQ(std::count(unknown.begin(), unknown.end(), 0), 1);
  EXPECT_EQ(tokenizer->Encode({{"<|end_story|>", true}}, false), Ids{2});
}

TEST(TinyStories, IsTheSameFromScores) {
  RETORT_NEEDS(shared, "real");
  const auto tokenizer = Tokenizer::Load(shared / "models/tinystories-656K");
  const auto from_gguf = Tokenizer::FromSpec(Stripped(tokenizer->spec()), "model.gguf");
  EXPECT_EQ(from_gguf->EncodePrompt("a"), tokenizer->EncodePrompt("a"));
  std::istringstream lines(ReadText(shared / "datasets/tinystories/train.jsonl"));
  int rows = 0, same = 0;
  for (std::string line; rows < 500 && std::getline(lines, line); ++rows) {
    same += from_gguf->Encode(line) == tokenizer->Encode(line);
  }
  EXPECT_EQ(same, rows);
  EXPECT_EQ(rows, 500);
}

TEST(StreamDecoder, GivesWholeCharacters) {
  RETORT_NEEDS(shared, "real/tokenizers/gpt2");
  const auto tokenizer = Tokenizer::Load(shared);
  const Ids ids =
      tokenizer->Encode("x\xF0\x9F\xA6\x99y");  // GPT-2 needs several tokens for a llama
  ASSERT_GE(ids.size(), 4u);
  StreamDecoder stream(*tokenizer);
  std::vector<std::string> parts;
  for (const int32_t id : ids) {
    const std::string part = stream.Push(id);
    if (!part.empty()) parts.push_back(part);
  }
  EXPECT_EQ(parts, (std::vector<std::string>{"x", "\xF0\x9F\xA6\x99", "y"}));
  EXPECT_EQ(stream.Flush(), "");

  stream.Push(ids[1]);
  EXPECT_EQ(stream.Push(ids.back()), "\xEF\xBF\xBDy");  // the character never ended
  stream.Push(ids[1]);
  EXPECT_EQ(stream.Flush(), "\xEF\xBF\xBD");
  EXPECT_EQ(stream.Flush(), "");
}

TEST(Load, NamesAFolderWithoutATokenizer) {
  try {
    Tokenizer::Load("/nowhere");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), Error::Kind::kInput);
    EXPECT_NE(std::string(e.what()).find("/nowhere: no tokenizer here"), std::string::npos);
  }
}

}  // namespace
}  // namespace retort
