// SPDX-License-Identifier: Apache-2.0
#include "model/store/chat_files.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/store/answer_schema.h"
#include "tokenizer/load_tokenizer.h"

namespace retort {
namespace {

// What a template makes of a conversation that has a system prompt, so that a default one does not
// matter.
std::string Sample(const ChatTemplate& chat, const TokenizerSpec& spec) {
  const Conversation turns = {{"system", "s"}, {"user", "u"}, {"assistant", "a"}};
  return chat.RenderText(turns, true, spec, "sample").bytes();
}

// The oldest records have a name alone. The model's own template is more likely than the plain one
// if both write alike, since "auto" is the default.
ChatTemplate OldTemplate(const BaseRecord& record, const TokenizerSpec& spec,
                         const std::string& where) {
  ChatTemplate plain = ChatTemplate::Named(record.chat_template);
  try {
    ChatTemplate own = ChatTemplate::Own(spec.chat_template, where);
    return Sample(own, spec) == Sample(plain, spec) ? own : plain;
  } catch (const Error& e) {
    if (e.kind() != Error::Kind::kInput) throw;
    return plain;  // the model has no text of its own, or one that cannot be rendered
  }
}

ChatTemplate TaughtTemplate(const BaseRecord& record, const TokenizerSpec& spec,
                            const std::string& where) {
  const bool named =
      std::ranges::find(ChatTemplate::Names(), record.chat_template) != ChatTemplate::Names().end();
  if (!record.jinja.empty() && !named) return ChatTemplate::Own(record.jinja, where);
  if (!record.jinja.empty()) return ChatTemplate::Named(record.chat_template);
  if (record.preamble) return ChatTemplate::Recorded(record.chat_template, *record.preamble);
  return OldTemplate(record, spec, where);
}

void WriteJinja(const Path& folder, const std::string& text) {
  const Path config = folder / "tokenizer_config.json", jinja = folder / "chat_template.jinja";
  Json j = std::filesystem::exists(config) ? ReadJson(config) : Json::object();
  j["chat_template"] = text;
  WriteTextAtomically(config, DumpJson(j, 2) + "\n");
  // A file of this name goes before the configuration's text.
  if (std::filesystem::exists(jinja)) WriteTextAtomically(jinja, text);
}

void AddEnds(const Path& folder, const std::vector<int32_t>& taught, int32_t eos) {
  std::vector<int32_t> ends = ReadConfig(folder).ends;
  const auto missing = [&](int32_t id) { return std::ranges::find(ends, id) == ends.end(); };
  if (std::ranges::none_of(taught, missing)) return;
  if (ends.empty() && eos >= 0) ends.push_back(eos);  // what readers fall back to
  for (const int32_t id : taught) {
    if (missing(id)) ends.push_back(id);
  }
  const Path generation = folder / "generation_config.json";
  Json g = std::filesystem::exists(generation) ? ReadJson(generation) : Json::object();
  g["eos_token_id"] = ends;
  WriteTextAtomically(generation, DumpJson(g, 2) + "\n");
}

}  // namespace

ChatTemplate ChatTemplateFor(const std::string& name, const TokenizerSpec& spec,
                             const Path& adapter, const std::string& where) {
  if (name == "auto" && !adapter.empty()) {
    const auto record = ReadBaseRecord(adapter);
    if (record && !record->chat_template.empty()) return TaughtTemplate(*record, spec, where);
  }
  return ChatTemplate::Resolve(name, spec, where);
}

void WriteTaughtChat(const Path& folder, const BaseRecord& record) {
  if (record.answers) WriteAnswerSchema(folder, *record.answers);
  if (record.chat_template.empty() && record.ends.empty()) return;
  const auto tokenizer = LoadTokenizer(folder);
  const TokenizerSpec& spec = tokenizer->spec();
  std::vector<int32_t> taught;
  for (const int32_t id : record.ends) {
    if (id < tokenizer->vocab_size()) taught.push_back(id);
  }
  if (!record.chat_template.empty()) {
    const ChatTemplate chat = TaughtTemplate(record, spec, folder.string());
    if (chat.Jinja() != spec.chat_template) WriteJinja(folder, chat.Jinja());
    taught.push_back(chat.CheckMarks(*tokenizer, folder.string()));
  }
  AddEnds(folder, taught, spec.eos);
}

}  // namespace retort
