// SPDX-License-Identifier: Apache-2.0
// A model's own template is used only if what it renders is known.
#include "template/known_jinja.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "template/jinja_form.h"
#include "tests/data/support.h"
#include "tests/support/shared_data.h"

namespace retort {
namespace {

std::string Known(std::string_view jinja) {
  const auto found = RecogniseJinja(jinja);
  return found ? std::string(ChatTemplate::Match(jinja, "m").name()) + "|" + found->preamble : "";
}

std::string FormOf(std::string_view jinja) {
  const auto parts = JinjaParts(jinja);
  return parts ? JinjaSum(*parts) : "";
}

// One loop in many spellings: what OpenHermes, Qwen2 or a hand-written configuration may hold.
TEST(KnownJinja, SpellingDoesNotMatter) {
  for (const char* text :
       {"{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + "
        "message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}"
        "{{ '<|im_start|>assistant\\n' }}{% endif %}",
        "{# plain #}\n{%- for m in messages -%}\n  {{- \"<|im_start|>\" ~ m.role ~ \"\\n\" ~ "
        "m.content ~ \"<|im_end|>\\n\" -}}\n{%- endfor -%}\n{%- if add_generation_prompt -%}\n  "
        "{{- '<|im_start|>assistant\n' -}}\n{%- endif -%}\n",
        "{% for turn in messages %}<|im_start|>{{ turn.role }}\n{{ turn.content }}<|im_end|>\n"
        "{% endfor %}\n{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
        "{% for m in messages %}{{ ('<|im_start|>' + m['role']) + ('\\n' + m['content']) }}"
        "{% generation %}{{ '<|im_end|>\\n' }}{% endgeneration %}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant' + '\\n' }}{% endif %}"}) {
    EXPECT_EQ(Known(text), "chatml|") << text;
  }
}

TEST(KnownJinja, ADefaultSystemPromptIsTaken) {
  const auto text = [](const std::string& prompt) {
    return "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
           "{{ '<|im_start|>system\\n" +
           prompt +
           "<|im_end|>\\n' }}{% endif %}"
           "{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + "
           "'\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}"
           "{% endif %}";
  };
  EXPECT_EQ(Known(text("You are a helpful assistant.")), "chatml|You are a helpful assistant.");
  EXPECT_EQ(Known(text("It\\'s {{ me }}\\n")), "chatml|It's {{ me }}\n");
}

// The text that a merge writes is read back as the template that it was made from.
TEST(KnownJinja, OwnTextsComeBackWithTheirPreamble) {
  for (const char* preamble : {"", "You are Q.", "It's \\ 'quoted'\n\nand {{ braces }}"}) {
    for (const char* name : {"chatml", "llama3"}) {
      const ChatTemplate chat = ChatTemplate::Recorded(name, preamble);
      EXPECT_EQ(Known(chat.Jinja()), Cat(name, "|", preamble));
      EXPECT_TRUE(chat.Renders(chat.Jinja()));
      EXPECT_EQ(ChatTemplate::Named(name).Renders(chat.Jinja()), *preamble == '\0');
    }
  }
  for (const char* name : {"llama2", "mistral"}) {
    EXPECT_EQ(Known(ChatTemplate::Recorded(name, "not written").Jinja()), Cat(name, "|"));
  }
}

// Each renders some conversation in another way than the template whose marks it has.
TEST(KnownJinja, LookAlikesAreRefused) {
  const std::string begin = "{% for m in messages %}", end = "{% endfor %}",
                    plain = "{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}",
                    prompt =
                        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
  ASSERT_EQ(Known(begin + plain + end + prompt), "chatml|");
  const std::vector<std::string> texts = {
      begin + ReplaceAll(plain, "m.content", "m.content | trim") + end + prompt,
      begin + ReplaceAll(plain, "<|im_end|>\\n", "<|im_end|>") + end + prompt,
      "{{ bos_token }}" + begin + plain + end + prompt,
      begin + ReplaceAll(plain, "m.role", "('human' if m.role == 'user' else 'bot')") + end +
          prompt,
      begin + plain + end + ReplaceAll(prompt, "assistant\\n", "assistant\\n<think>\\n"),
      begin + plain + end + "{{ '<|im_start|>assistant\\n' }}",
      begin + plain + end,
      begin + ReplaceAll(plain, "m.content", "m.content.split('</think>')[-1]") + end + prompt,
      begin + "{% if m.role != 'system' %}" + plain + "{% endif %}" + end + prompt,
      "{{ '<|im_start|>system\\nAlways.<|im_end|>\\n' }}" + begin + plain + end + prompt,
      begin + plain + end + prompt + "{{ now() }}",
      "{% set messages = messages[1:] %}" + begin + plain + end + prompt,
      "{{- bos_token }}{%- for m in messages %}{{- '<|start_header_id|>' + m.role + "
      "'<|end_header_id|>\\n\\n' + m.content + '<|eot_id|>' }}{%- endfor %}"
      "{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}"
      "{%- endif %}",
      ReplaceAll(ChatTemplate::Named("llama3").Jinja(), "<|eot_id|>", "<|end_of_text|>"),
      ReplaceAll(ChatTemplate::Named("llama2").Jinja(), ".strip()", ""),
      ReplaceAll(ChatTemplate::Named("mistral").Jinja(), "[/INST]", " [/INST]"),
      ReplaceAll(ChatTemplate::Named("mistral").Jinja(), "[INST] ", "[INST]")};
  for (const std::string& text : texts) {
    EXPECT_EQ(RecogniseJinja(text).has_value(), false) << text;
    EXPECT_NE(InputFault([&] { ChatTemplate::Match(text, "m"); }), "") << text;
  }
}

TEST(KnownJinja, TextsOfModels) {
  for (const auto& [folder, want] : std::vector<std::pair<std::string, std::string>>{
           {"real/tokenizers/qwen2_5",
            "chatml|You are Qwen, created by Alibaba Cloud. You are a helpful assistant."},
           {"real/tokenizers/llama3_2",
            "llama3|Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"},
           {"cases/tpl_think", ""}}) {
    RETORT_NEEDS(path, folder);
    const Json config = ReadJson(path / "tokenizer_config.json");
    const auto text = config["chat_template"].get<std::string>();
    EXPECT_EQ(Known(text), want) << folder;
    EXPECT_EQ(Known(text + " "), "") << folder << ": what follows is printed";
  }
}

TEST(JinjaForm, KeepsWhatIsPrintedApart) {
  EXPECT_NE(FormOf("a{{ b }}"), FormOf("a {{ b }}"));
  EXPECT_EQ(FormOf("a {{- b }}"), FormOf("a{{ b }}"));
  EXPECT_EQ(FormOf("{% if x %}\na{% endif %}"), FormOf("{% if x %}a{% endif %}"));
  EXPECT_NE(FormOf("{% if x +%}\na{% endif %}"), FormOf("{% if x %}a{% endif %}"));
  EXPECT_EQ(FormOf("x\n  {% if x %}a{% endif %}"), FormOf("x\n{% if x %}a{% endif %}"));
  EXPECT_NE(FormOf("x\n  {{ a }}"), FormOf("x\n{{ a }}"));
  EXPECT_NE(FormOf("{{ 'a' + b | trim }}"), FormOf("{{ ('a' + b) | trim }}"));
  EXPECT_NE(FormOf("{{ a.b }}"), FormOf("{{ a['b'] }}"));  // a dict may have a method b
  EXPECT_NE(FormOf("{% set x = messages %}{{ x }}"),
            FormOf("{% set messages = x %}{{ messages }}"));
  EXPECT_EQ(FormOf("{{ raise_exception('a' + b) }}"), FormOf("{{ raise_exception() }}"));
}

TEST(JinjaForm, OddTextsAreNoForm) {
  for (const char* text : {"{{ a", "{% if", "{# a", "{{ 'a }}", "{{ 'a\\x41' }}", "{{ a ? b }}",
                           "{% raw %}{{ a }}{% endraw %}", "{{ 'a\\", "{{", "{%-"}) {
    EXPECT_EQ(FormOf(text), "") << text;
  }
  EXPECT_EQ(JinjaParts("")->size(), 0u);
  for (const char* piece : {"(", "{{(", "{{ a }}", "{% set a = b %}", "'", "{#", "{{ ((((a+'b'"}) {
    std::string text;
    while (text.size() < 200000) text += piece;
    FormOf(text);  // returns, and soon
    FormOf("{{" + text + "}}");
  }
}

}  // namespace
}  // namespace retort
