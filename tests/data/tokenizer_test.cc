// SPDX-License-Identifier: Apache-2.0
#include "data/tokenizer.h"

#include <gtest/gtest.h>

#include <sstream>

#include "base/error.h"
#include "tests/support/shared_data.h"

namespace retort {
namespace {

// llama.cpp's test strings, and the ids that it expects of each.
struct Expected {
  std::vector<std::string> texts;
  std::vector<std::vector<int32_t>> ids;
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
    auto& ids = expected.ids.emplace_back();
    for (int32_t id; numbers >> id;) ids.push_back(id);
  }
  return expected;
}

struct Case {
  const char* folder;
  const char* expected;
  bool byte_level;
};

class KnownTokenizer : public testing::TestWithParam<Case> {};

TEST_P(KnownTokenizer, GivesTheExpectedIds) {
  RETORT_NEEDS(shared, "real/tokenizers");
  const auto tokenizer = Tokenizer::Load(shared / GetParam().folder);
  const Expected expected = ReadExpected(shared / "expected" / GetParam().expected);
  ASSERT_EQ(expected.texts.size(), 46u);
  ASSERT_EQ(expected.texts.size(), expected.ids.size());
  for (size_t i = 0; i < expected.texts.size(); ++i) {
    EXPECT_EQ(tokenizer->Encode(expected.texts[i]), expected.ids[i]) << i << ": " << expected.texts[i];
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, KnownTokenizer,
    testing::Values(Case{"llama2-spm", "ggml-vocab-llama-spm.gguf", false},
                    Case{"gpt2", "ggml-vocab-gpt-2.gguf", true},
                    Case{"llama3_2", "ggml-vocab-llama-bpe.gguf", true},
                    Case{"qwen2_5", "ggml-vocab-qwen2.gguf", true}),
    [](const auto& info) {
      std::string name = info.param.folder;
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

}  // namespace
}  // namespace retort
