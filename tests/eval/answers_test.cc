// SPDX-License-Identifier: Apache-2.0
// What counts as a row's answer.
#include "eval/answers.h"

#include <gtest/gtest.h>

#include "eval/choice.h"
#include "tests/data/support.h"
#include "tests/tokenizer/byte_tokenizer.h"

namespace retort {
namespace {

// Writes thoughts and calls of tools.
constexpr const char* kJinja =
    "{% for m in messages %}<{{ m.role }}>{% if m.reasoning_content %}({{ m.reasoning_content }})"
    "{% endif %}{{ m.content or '' }}{% for c in m.tool_calls or [] %}{{ c.function.name }}!"
    "{% endfor %}{{ m.name or '' }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}";

class AnswersTest : public testing::Test {
 protected:
  std::vector<Answer> Read(const std::string& assistant) {
    const std::string row =
        Cat(R"({"messages": [{"role": "user", "content": "u"}, {"role": "assistant", )", assistant,
            "}]}");
    return ReadAnswers(Rows::Open({{folder_.Write("rows.jsonl", row)}}), tokenizer_, &chat_);
  }

  const ByteTokenizer tokenizer_;
  const ChatTemplate chat_ = ChatTemplate::Own(kJinja, "m");
  TempFolder folder_;
};

TEST_F(AnswersTest, ATurnIsItsContent) {
  const Answer answer = Read(R"("content": " a ")").at(0);
  EXPECT_EQ(answer.text, " a ");
  EXPECT_TRUE(answer.turn.empty());
}

// All that the model has to write, without its end.
TEST_F(AnswersTest, CallsAndThoughtsAreOfTheAnswer) {
  const std::string call = R"("content": null, "tool_calls": [{"function": {"name": "f"}}])",
                    thought = R"("content": "a", "reasoning_content": "hm")";
  for (const auto& [assistant, text] : {std::pair{call, "f!"}, {thought, "(hm)a"}}) {
    const std::vector<Answer> answers = Read(assistant);
    const Answer& answer = answers.at(0);
    EXPECT_EQ(answer.text, text);
    const std::vector<int32_t> ids = EncodeAnswer(answer, answer.text, tokenizer_, &chat_, true);
    EXPECT_EQ(tokenizer_.Decode(ids, true), Cat(text, "</s>"));
    EXPECT_NE(InputFault([&] {
                MakeChoiceTask(answers, {}, tokenizer_, &chat_, {});
              }).find("choice compares texts"),
              std::string::npos);
  }
}

}  // namespace
}  // namespace retort
