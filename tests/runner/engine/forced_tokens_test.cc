// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/forced_tokens.h"

#include <gtest/gtest.h>

#include "tests/runner/engine/scripted_model.h"

namespace retort {
namespace {

using Ids = std::vector<int32_t>;

class ForcedTokensTest : public testing::Test {
 protected:
  // What is said where the model draws these pieces one after the other; "." ends its answer.
  std::string Said(bool in_thought, const std::vector<std::string>& drawn) {
    std::vector<ScriptPiece> script;
    for (const std::string& text : drawn) script.push_back({text});
    const ScriptTokenizer tokenizer(script);
    ForcedTokens forced{Ids{'c', 'a'}, Ids{'\n', 'c', 'a'}, Ids{'/'},
                        "<think>",     "</think>",          in_thought};
    ForcedBeginning beginning(forced);
    std::string out;
    for (size_t i = 0; i < drawn.size(); ++i) {
      const int32_t id = tokenizer.first() + static_cast<int32_t>(i);
      const int32_t said = beginning.Instead(id, drawn[i] == ".", tokenizer);
      out += tokenizer.Bytes(said, true);
    }
    return out;
  }
};

TEST_F(ForcedTokensTest, BeginAnAnswer) {
  EXPECT_EQ(Said(false, {"x", "y", "z", "."}), "caz.");
  EXPECT_EQ(Said(false, {".", ".", "z"}), "caz");
  EXPECT_EQ(Said(false, {"<", "think", ">"}), "ca>");  // a part of the mark is none
}

TEST_F(ForcedTokensTest, FollowAThought) {
  EXPECT_EQ(Said(false, {"<think>", "a", "</think>", "b", "c", "d", "e", "."}),
            "<think>a</think>\ncae.");
  EXPECT_EQ(Said(true, {"a", "</thi", "nk>", "b", "c", "d", "e"}), "a</think>\ncae");
  EXPECT_EQ(Said(true, {"a", "b</think>x", "b", "c", "d", "e"}), "ab</think>x\ncae");
  // An answer that would end within the thought.
  EXPECT_EQ(Said(true, {"a", ".", "b", "c", "d", "e"}), "a/\ncae");
}

TEST_F(ForcedTokensTest, NoneAreNone) {
  const ScriptTokenizer tokenizer({});
  ForcedBeginning none(ForcedTokens{});
  for (int32_t id = 0; id < 5; ++id) EXPECT_EQ(none.Instead(id, id == 3, tokenizer), id);
}

}  // namespace
}  // namespace retort
