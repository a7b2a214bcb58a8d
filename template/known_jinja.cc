// SPDX-License-Identifier: Apache-2.0
#include "template/known_jinja.h"

#include <algorithm>

#include "base/error.h"
#include "template/jinja_form.h"

namespace retort {
namespace {

using Style = ChatTemplate::Style;

constexpr std::string_view kChatMlJinja =
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}";

constexpr std::string_view kLlama3Jinja =
    "{{- bos_token }}"
    "{%- for message in messages %}"
    "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + "
    "message['content'] | trim + '<|eot_id|>' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}"
    "{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}";

constexpr std::string_view kLlama2Jinja =
    "{%- if messages[0]['role'] == 'system' %}"
    "{%- set system = '<<SYS>>\\n' + messages[0]['content'] + '\\n<</SYS>>\\n\\n' %}"
    "{%- set turns = messages[1:] %}"
    "{%- else %}{%- set system = '' %}{%- set turns = messages %}{%- endif %}"
    "{%- for message in turns %}"
    "{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{- raise_exception('user and assistant turns must alternate') }}{%- endif %}"
    "{%- if loop.first %}{%- set content = system + message['content'] %}"
    "{%- else %}{%- set content = message['content'] %}{%- endif %}"
    "{%- if message['role'] == 'user' %}"
    "{{- bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
    "{%- else %}{{- ' ' + content.strip() + ' ' + eos_token }}{%- endif %}"
    "{%- endfor %}";

constexpr std::string_view kMistralJinja =
    "{%- if messages[0]['role'] == 'system' %}"
    "{%- set system = messages[0]['content'] + '\\n\\n' %}{%- set turns = messages[1:] %}"
    "{%- else %}{%- set system = '' %}{%- set turns = messages %}{%- endif %}"
    "{{- bos_token }}"
    "{%- for message in turns %}"
    "{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{- raise_exception('user and assistant turns must alternate') }}{%- endif %}"
    "{%- if message['role'] == 'user' %}{{- '[INST] ' }}"
    "{%- if loop.first %}{{- system }}{%- endif %}{{- message['content'] + '[/INST]' }}"
    "{%- else %}{{- ' ' + message['content'] | trim + eos_token }}{%- endif %}"
    "{%- endfor %}";

// The text's literal, with its escapes.
std::string JinjaLiteral(const std::string& text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

// What a conversation without a system prompt begins with.
std::string DefaultSystem(const std::string& before, const std::string& preamble,
                          const std::string& behind) {
  return Cat("{%- if messages[0]['role'] != 'system' %}{{- ",
             JinjaLiteral(before + preamble + behind), " }}{%- endif %}");
}

std::string Llama3WithPreamble(const std::string& preamble) {
  return Cat(
      "{{- bos_token }}",
      DefaultSystem("<|start_header_id|>system<|end_header_id|>\n\n", preamble, "<|eot_id|>"),
      "{%- for message in messages %}"
      "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' }}"
      "{%- if loop.first and message['role'] == 'system' %}{{- ",
      JinjaLiteral(preamble), " }}{%- endif %}{{- message['content'] | trim + '<|eot_id|>' }}",
      "{%- endfor %}{%- if add_generation_prompt %}"
      "{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}");
}

// Stands for a default system prompt, which differs between models of one form.
constexpr std::string_view kAnyPrompt = "\x01";

constexpr std::string_view kLlama31Preamble =
    "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n";

struct KnownForm {
  std::string sum;  // JinjaSum, default system prompts replaced by kAnyPrompt
  Style style;
  std::string_view preamble = {};  // beside such a prompt
  bool exact = true;
};

// The texts that models are published with, each rendered by Jinja in 18 conversations to show that
// it renders as said (docs/rows.md lists the models).
std::vector<KnownForm> FormsOfModels() {
  return {
      // Qwen2, SmolLM2
      {"0453926ad8e46ee23d6599d30250ddf4c3fc9fa720c22311ece6229d19c5aead", Style::kChatMl},
      // Qwen2.5
      {"35ccd62a3a31dc3f1c4dd2bb9c5244cbcdb419db242a26a401a5b0cd28fce9e4", Style::kChatMl},
      // Qwen2.5, as TRL trains it
      {"1eadfc9188437a7854cf471e07114e63ab333fd3f7938cc74bfa48c2b09403b6", Style::kChatMl},
      // Qwen3-Coder
      {"83fc2443d2aa09a330ebe4349aacc8676c6bafb5db4aa81290bef96610b92a50", Style::kChatMl},
      // Qwen3-Instruct-2507
      {"d74ebb9d89f833cdd10330276dd9cd82cec234e8102536b4a56f5917cf5f48c2", Style::kChatMl},
      // Yi, Axolotl
      {"a0e2891703b8157968b09ef175e218b57a0b86636115605b7e47792b855d716f", Style::kChatMl},
      // Unsloth's, role by role
      {"dafae5c3693c2e5d64d1a325e66419321d961ccb7ab77061e6e9119fe01e6462", Style::kChatMl},
      // Llama 2 Chat
      {"a24d3f17b9de835f765778f9227d6970ea4589057b843d74d7d128cef6b0844c", Style::kLlama2},
      // Llama 3
      {"2bbf9129cee490a6a6b7408a3ce5bffefe690e4e971210daf954434f4fb4787e", Style::kLlama3},
      // Llama 3, first version: always asks for an answer
      {"5535c0efd5c215d31e5007af61c9025b8a40e03bfd0ed20c2b48103d4eb9c651", Style::kLlama3},
      // Llama 3, as TRL trains it
      {"864da73db55f520c658ec4d64c0691447d5089b98fcdd086eaf34669c07a9f72", Style::kLlama3},
      // Llama 3.1, 3.3
      {"bd2b581c94852d886b49e0fd994ccaa20138c2a58498975b9fc9b82051b98675", Style::kLlama3,
       kLlama31Preamble},
      // Llama 3.2
      {"0453893e8618a0e0bb14dc0f1a93566d22e1df64ae45c2de40b0c8a4e63a682e", Style::kLlama3,
       kLlama31Preamble},
      // Mistral 7B v0.3: the system prompt stands in the last user turn
      {"ad3dca7bbee49be768984e3fb3f1cac9c4cefaf0117c99bdff53ef45a5ccf38c",
       Style::kMistral,
       {},
       false},
  };
}

std::vector<KnownForm> AllForms() {
  std::vector<KnownForm> forms = FormsOfModels();
  for (const Style style : {Style::kChatMl, Style::kLlama2, Style::kLlama3, Style::kMistral}) {
    forms.push_back({JinjaSum(*JinjaParts(JinjaTextOf(style, ""))), style});
  }
  for (const Style style : {Style::kChatMl, Style::kLlama3}) {
    const std::string text = JinjaTextOf(style, std::string(kAnyPrompt));
    forms.push_back({JinjaSum(*JinjaParts(text)), style});
  }
  return forms;
}

// A default system prompt that stands complete in one literal between these marks; "" if none does.
std::string PromptBetween(const std::vector<JinjaPart>& parts, std::string_view open,
                          std::string_view close) {
  for (const JinjaPart& part : parts) {
    if (part.kind != JinjaPart::Kind::kText) continue;
    const size_t found = part.text.find(open);
    if (found == std::string::npos) continue;
    const size_t begin = found + open.size(), end = part.text.find(close, begin);
    if (end != std::string::npos && end > begin) return part.text.substr(begin, end - begin);
  }
  return "";
}

std::string SumWithout(std::vector<JinjaPart> parts, const std::string& prompt) {
  for (JinjaPart& part : parts) {
    if (!prompt.empty() && part.kind != JinjaPart::Kind::kOutput)
      part.text = ReplaceAll(part.text, prompt, kAnyPrompt);
  }
  return JinjaSum(parts);
}

}  // namespace

std::string JinjaTextOf(Style style, const std::string& preamble) {
  switch (style) {
    case Style::kChatMl:
      if (preamble.empty()) return std::string(kChatMlJinja);
      return Cat(DefaultSystem("<|im_start|>system\n", preamble, "<|im_end|>\n"), kChatMlJinja);
    case Style::kLlama3:
      return preamble.empty() ? std::string(kLlama3Jinja) : Llama3WithPreamble(preamble);
    case Style::kLlama2:
      return std::string(kLlama2Jinja);
    case Style::kMistral:
      return std::string(kMistralJinja);
  }
  RETORT_CHECK(false, "a chat template of no style");
}

std::optional<RecognisedJinja> RecogniseJinja(std::string_view jinja) {
  static const std::vector<KnownForm> known = AllForms();
  const auto parts = JinjaParts(jinja);
  if (!parts) return std::nullopt;
  const std::string prompts[] = {
      "", PromptBetween(*parts, "<|im_start|>system\n", "<|im_end|>"),
      PromptBetween(*parts, "<|start_header_id|>system<|end_header_id|>\n\n", "<|eot_id|>")};
  for (const std::string& prompt : prompts) {
    const auto form = std::ranges::find(known, SumWithout(*parts, prompt), &KnownForm::sum);
    if (form == known.end()) continue;
    return RecognisedJinja{form->style, prompt + std::string(form->preamble), form->exact};
  }
  return std::nullopt;
}

}  // namespace retort
