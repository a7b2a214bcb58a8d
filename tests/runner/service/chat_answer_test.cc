// SPDX-License-Identifier: Apache-2.0
#include "runner/service/chat_answer.h"

#include <gtest/gtest.h>

#include "tests/tokenizer/byte_tokenizer.h"

namespace retort {
namespace {

// Whether an answer to a chat that has begun so goes on within a thought.
bool GoesOnInThought(const std::string& opens, const std::string& begun) {
  const ByteTokenizer tokenizer;
  const ChatTemplate chat = ChatTemplate::Own(
      Cat("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
          "{% if add_generation_prompt %}<|im_start|>assistant\n",
          opens, "{% endif %}"),
      "a template");
  std::vector<int32_t> prompt = EncodeChat(tokenizer, chat, {{"user", "hi"}}, true, "");
  if (!begun.empty()) {
    for (const int32_t id : tokenizer.Encode(begun, true)) prompt.push_back(id);
  }
  return ChatAnswers(chat, tokenizer).BeginsInThought(prompt, begun);
}

TEST(ChatAnswers, AThoughtGoesOnUntilItIsClosed) {
  EXPECT_TRUE(GoesOnInThought("<think>\n", ""));
  EXPECT_TRUE(GoesOnInThought("<think>\n", "So, "));
  EXPECT_FALSE(GoesOnInThought("<think>\n", "So.\n</think>\n\nYes"));
  EXPECT_FALSE(GoesOnInThought("", ""));
  EXPECT_FALSE(GoesOnInThought("", "Yes"));
  EXPECT_TRUE(GoesOnInThought("", "<think>\nSo, "));
  EXPECT_FALSE(GoesOnInThought("", "<think>\nSo.\n</think>\n\nYes"));
}

}  // namespace
}  // namespace retort
