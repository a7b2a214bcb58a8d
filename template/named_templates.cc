// SPDX-License-Identifier: Apache-2.0
#include "template/named_templates.h"

#include <algorithm>

#include "base/error.h"

namespace retort {
namespace {

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

}  // namespace

const std::vector<NamedTemplate>& NamedTemplates() {
  static const std::vector<NamedTemplate> all = {
      {"chatml", std::string(kChatMlJinja), {"<|im_start|>"}, false},
      {"llama2", std::string(kLlama2Jinja), {}, true},
      {"llama3", std::string(kLlama3Jinja), {"<|start_header_id|>", "<|end_header_id|>"}, false},
      {"mistral", std::string(kMistralJinja), {}, true},
  };
  return all;
}

std::string WithDefaultSystem(const NamedTemplate& named, const std::string& preamble) {
  if (preamble.empty()) return named.jinja;
  if (named.name == "llama3") return Llama3WithPreamble(preamble);
  if (named.name != "chatml") return named.jinja;
  return Cat(DefaultSystem("<|im_start|>system\n", preamble, "<|im_end|>\n"), named.jinja);
}

void CheckRoles(const std::vector<Message>& messages, bool alternating, const std::string& where) {
  for (const Message& m : messages) {
    if (m.role != "system" && m.role != "user" && m.role != "assistant") {
      throw InputError(where, ": role '", m.role, "' is not known; use system, user or assistant");
    }
  }
  if (!alternating) return;
  const size_t first = messages[0].role == "system" ? 1 : 0;
  for (size_t i = first; i < messages.size(); ++i) {
    const std::string_view want = (i - first) % 2 == 0 ? "user" : "assistant";
    if (messages[i].role != want) {
      throw InputError(where, ": message ", i + 1, " is by '", messages[i].role,
                       "'; after an optional system prompt this template needs user and assistant "
                       "in turn");
    }
  }
  if (messages.size() == first) {
    throw InputError(where,
                     ": a system prompt alone cannot be written with this template; it needs "
                     "a user's message too");
  }
}

}  // namespace retort
