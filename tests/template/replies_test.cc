// SPDX-License-Identifier: Apache-2.0
// Which parts of a conversation are replies, and what a template has to look at.
#include <gtest/gtest.h>

#include "template/chat_template.h"
#include "tests/data/support.h"
#include "tests/tokenizer/byte_tokenizer.h"

namespace retort {
namespace {

// The text with replies between ⟦ and ⟧, or ( and ) if they are not to be learnt; content that
// users wrote stays as it is.
std::string Shown(const std::string& jinja, const Conversation& turns, bool asks = false) {
  const ByteTokenizer tokenizer;
  const RenderedChat chat =
      ChatTemplate::Own(jinja, "m").Render(turns, asks, tokenizer.spec(), "t");
  std::string out;
  for (const ChatPiece& piece : chat.pieces) {
    std::string text;
    for (const Segment& segment : piece.segments) text += segment.text;
    out += !piece.reply ? text : piece.learn ? Cat("⟦", text, "⟧") : Cat("(", text, ")");
  }
  return chat.rewritten ? Cat(out, " rewritten ", chat.rewritten) : out;
}
std::string Fault(const std::string& jinja, const Conversation& turns) {
  return InputFault([&] { Shown(jinja, turns); });
}

const std::vector<Message> kFour = {
    {"user", "u"}, {"assistant", "a"}, {"user", "v"}, {"assistant", "b"}};

// Begins like chatml, with BODY for the assistant's content.
std::string Turns(const std::string& body) {
  return "{% for m in messages %}<{{ m.role }}>{% if m.role == 'assistant' %}" + body +
         "{% else %}{{ m.content }}{% endif %}</s>\n{% endfor %}"
         "{% if add_generation_prompt %}<assistant>{% endif %}";
}

TEST(Replies, AreWhatFollowsTheGenerationPrompt) {
  EXPECT_EQ(Shown(Turns("{{ m.content }}"), kFour),
            "<user>u</s>\n<assistant>⟦a</s>⟧\n<user>v</s>\n<assistant>⟦b</s>⟧\n");
  EXPECT_EQ(
      Shown(Turns("{{ m.content }}"), std::vector<Message>(kFour.begin(), kFour.begin() + 3), true),
      "<user>u</s>\n<assistant>⟦a</s>⟧\n<user>v</s>\n<assistant>");
  std::vector<Message> turns = kFour;
  turns[1].learn = false;
  EXPECT_EQ(Shown(Turns("{{ m.content }}"), turns),
            "<user>u</s>\n<assistant>(a</s>)\n<user>v</s>\n<assistant>⟦b</s>⟧\n");
  // The end that a user wrote is none.
  EXPECT_EQ(Shown(Turns("{{ m.content }}"), {{"user", "</s>"}, {"assistant", "a</s>"}}),
            "<user></s></s>\n<assistant>⟦a</s></s>⟧\n");
}

// Command R7B's answers are closed before their turn ends; a call is closed otherwise.
TEST(Replies, AnEndTokenBehindAClosingMarkEndsTheTurn) {
  const std::string closed =
      "{% for m in messages %}<{{ m.role }}>{% if m.role == 'assistant' %}<a>{{ m.content }}</a>"
      "{% else %}{{ m.content }}{% endif %}</s>{% endfor %}<assistant>";
  EXPECT_EQ(Shown(closed, kFour),
            "<user>u</s><assistant>⟦<a>a</a></s>⟧<user>v</s><assistant>⟦<a>b</a></s>⟧<assistant>");
  // Phi's end token stands only at the end of the text.
  const std::string last =
      "{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>{% endfor %}"
      "{% if add_generation_prompt %}<assistant>{% else %}</s>{% endif %}";
  EXPECT_EQ(Shown(last, kFour),
            "<user>u<end><assistant>⟦a<end>⟧<user>v<end><assistant>⟦b<end>⟧</s>");
}

TEST(Replies, TheGenerationPromptMayBeWrittenAlways) {
  const std::string always =
      "{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>\n{% endfor %}<assistant>";
  EXPECT_EQ(Shown(always, kFour),
            "<user>u</s>\n<assistant>⟦a</s>⟧\n<user>v</s>\n<assistant>⟦b</s>⟧\n<assistant>");
}

// Qwen3's template takes the thoughts out of all but the last turn.
TEST(Replies, TurnsThatAreRewrittenAreOnlyRead) {
  const std::string thoughts =
      Turns("{% if loop.last %}<think>{{ m.reasoning_content }}</think>{% endif %}{{ m.content }}");
  std::vector<Message> turns = kFour;
  turns[1].more = turns[3].more = R"({"reasoning_content": "r"})";
  EXPECT_EQ(
      Fault(thoughts, turns),
      "t: message 2: the chat template does not write 'reasoning_content' here; write it into "
      "'content', or take it out");
  const std::string asked = Turns(
      "{% if m.reasoning_content and loop.last %}<think>{{ m.reasoning_content }}</think>"
      "{% endif %}{{ m.content }}");
  EXPECT_EQ(Shown(asked, turns),
            "<user>u</s>\n<assistant>a</s>\n<user>v</s>\n<assistant>⟦<think>r</think>b</s>⟧\n "
            "rewritten 1");
}

// Qwen3's template writes an empty thought before the last answer, and not before earlier ones.
TEST(Replies, AnEmptyThoughtOfTheLastTurnIsNoOtherAnswer) {
  const std::string empty = Turns("{% if loop.last %}<think>\n</think>{% endif %}{{ m.content }}");
  EXPECT_EQ(Shown(empty, kFour),
            "<user>u</s>\n<assistant>⟦a</s>⟧\n<user>v</s>\n<assistant>⟦<think>\n</think>b</s>⟧\n");
  // What the user wrote is not taken for the template's.
  const std::string cut =
      Turns("{% if loop.last %}{{ m.content }}{% else %}{{ m.content[1:] }}{% endif %}");
  std::vector<Message> turns = kFour;
  turns[1].content = "xa";
  EXPECT_EQ(Shown(cut, turns),
            "<user>u</s>\n<assistant>a</s>\n<user>v</s>\n<assistant>⟦b</s>⟧\n rewritten 1");
}

TEST(Replies, AnAnswerThatIsNotAskedForSoIsRefused) {
  EXPECT_EQ(
      Fault("{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>{% endfor %}"
            "{% if add_generation_prompt %}<assistant><think>{% endif %}",
            kFour),
      "t: message 4: the chat template writes this answer otherwise than it asks for it, so "
      "that a model would not be asked as it was taught; give the row without what the "
      "template changes, put 'weight': 0 into the turn, or name a template with data.template "
      "or --template");
}

TEST(Replies, AreWhatGenerationBlocksMark) {
  const std::string marked = Turns("{% generation %}{{ m.content }}!{% endgeneration %}");
  EXPECT_EQ(Shown(marked, kFour),
            "<user>u</s>\n<assistant>⟦a!⟧</s>\n<user>v</s>\n<assistant>⟦b!⟧</s>\n");
  std::vector<Message> turns = kFour;
  turns[3].learn = false;
  EXPECT_EQ(Shown(marked, turns),
            "<user>u</s>\n<assistant>⟦a!⟧</s>\n<user>v</s>\n<assistant>(b!)</s>\n");
}

constexpr const char* kCalls =
    "{% for t in tools or [] %}{{ t | tojson }}\n{% endfor %}"
    "{% for m in messages %}<{{ m.role }}>{{ m.content or '' }}"
    "{% for c in m.tool_calls or [] %}{{ c.function.name }}({% for k, v in "
    "c.function.arguments.items() %}{{ k }}={{ v }}{% endfor %}){% endfor %}</s>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}";

TEST(Replies, ToolCallsAreRendered) {
  Conversation turns = {{"user", "u"}, {"assistant", ""}, {"tool", "r"}, {"assistant", "a"}};
  turns.messages[1].more =
      R"({"content": null, "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{\"x\": 1}"}}]})";
  turns.messages[2].more = R"({"tool_call_id": "1", "name": "f"})";
  turns.tools = R"([{"name": "f"}])";
  EXPECT_EQ(Shown(kCalls, turns),
            "{\"name\": \"f\"}\n<user>u</s><assistant>⟦f(x=1)</s>⟧<tool>r</s><assistant>⟦a</s>⟧");
  // Templates that want the JSON text are given it.
  std::string texts(kCalls);
  texts = ReplaceAll(texts, "c.function.arguments.items()", "[('j', c.function.arguments + '')]");
  EXPECT_EQ(
      Shown(texts, turns),
      "{\"name\": \"f\"}\n<user>u</s><assistant>⟦f(j={\"x\": 1})</s>⟧<tool>r</s><assistant>⟦a</s>⟧");
}

// Beside calls, no content and an empty one mean the same.
TEST(Replies, TemplatesChooseTheContentBesideCalls) {
  Conversation turns = {{"user", "u"}, {"assistant", ""}};
  const std::string calls = R"("tool_calls": [{"function": {"name": "f", "arguments": {}}}])";
  const std::string body = "{{ m.tool_calls[0].function.name }}";
  const std::string wants_text = Turns("{{ 'x' in m.content }}" + body);
  const std::string wants_none =
      Turns("{% if m.content is not none %}{{ raise_exception('no content') }}{% endif %}" + body);
  for (const std::string& more : {Cat("{", calls, "}"), Cat(R"({"content": null, )", calls, "}")}) {
    turns.messages[1].more = more;
    EXPECT_EQ(Shown(wants_text, turns), "<user>u</s>\n<assistant>⟦Falsef</s>⟧\n");
    EXPECT_EQ(Shown(wants_none, turns), "<user>u</s>\n<assistant>⟦f</s>⟧\n");
    // The error is the one that says what is missing.
    EXPECT_EQ(Fault(Turns("{{ '' + m.content }}"), turns),
              "t: message 2: the chat template does not write 'tool_calls' here; write it into "
              "'content', or take it out");
  }
}

// Phi-4-mini's template.
TEST(Replies, ToolsMayStandInTheSystemsMessage) {
  const std::string jinja =
      "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% if 'tools' in m %}[{{ m['tools'] }}]"
      "{% endif %}</s>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}";
  Conversation turns = {{"user", "u"}, {"assistant", "a"}};
  turns.tools = R"([{"type": "function", "function": {"name": "f"}}])";
  EXPECT_EQ(Shown(jinja, turns), "<system>[[{\"name\":\"f\"}]]</s><user>u</s><assistant>⟦a</s>⟧");
  turns.messages.insert(turns.messages.begin(), {"system", "s"});
  EXPECT_EQ(Shown(jinja, turns), "<system>s[[{\"name\":\"f\"}]]</s><user>u</s><assistant>⟦a</s>⟧");
}

// Llama 3's takes the first message for the user's, and writes it with the tools.
TEST(Replies, ARoleThatIsNotLookedAtIsNotMissed) {
  EXPECT_EQ(
      Shown("{{ messages[0].content }}{% for m in messages[1:] %}<{{ m.role }}>{{ m.content }}"
            "</s>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}",
            {{"user", "u"}, {"assistant", "a"}}),
      "u<assistant>⟦a</s>⟧");
}

TEST(Replies, WhatTheTemplateDoesNotLookAtIsRefused) {
  const std::string plain = Turns("{{ m.content }}");
  const auto fault = [&](const std::string& more, const std::string& tools = "",
                         const std::string& variables = "") {
    Conversation turns = {{"user", "u"}, {"assistant", "a"}};
    turns.messages[1].more = more;
    turns.tools = tools;
    turns.variables = variables;
    return Fault(plain, turns);
  };
  const std::string mend = "; write it into 'content', or take it out";
  EXPECT_EQ(fault(""), "");
  EXPECT_EQ(fault(R"({"tool_calls": [{"id": "1"}]})"),
            "t: message 2: the chat template does not write 'tool_calls' here" + mend);
  EXPECT_EQ(fault("", R"([{"name": "f"}])"),
            "t: the chat template does not write 'tools' here" + mend);
  EXPECT_EQ(fault("", "", R"({"enable_thinking": true})"),
            "t: the chat template does not write 'enable_thinking' here" + mend);
  const std::string only_user =
      "{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}";
  EXPECT_EQ(Fault(only_user, kFour),
            "t: message 2: the chat template does not write 'content' here" + mend);
}

// A template that asks for the clock is not given today's.
TEST(Replies, TheDateIsAlwaysTheSame) {
  const std::string plain = "{{ strftime_now('%d %b %Y') }}" + Turns("{{ m.content }}");
  EXPECT_TRUE(Shown(plain, kFour).starts_with("26 Jul 2024<user>"));
  const std::string asks =
      "{% if strftime_now is defined %}{{ strftime_now('%Y') }}{% else %}none{% endif %}" +
      Turns("{{ m.content }}");
  EXPECT_TRUE(Shown(asks, kFour).starts_with("none<user>"));
}

}  // namespace
}  // namespace retort
