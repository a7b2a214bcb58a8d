// SPDX-License-Identifier: Apache-2.0
#include "cli/served_adapters.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdlib>

#include "base/error.h"
#include "base/text.h"
#include "cli/chat.h"
#include "model/store/answer_schema.h"
#include "model/store/base_record.h"
#include "model/store/run_folder.h"

namespace retort {
namespace {

bool IsNumber(const std::string& text) {
  char* end = nullptr;
  std::strtod(text.c_str(), &end);
  return !text.empty() && !*end;
}

AdapterOffer Offer(const Path& given, const OpenedModel& opened, const std::string& chat_template,
                   const GrammarFlags& grammar, const ComputeFlags& compute) {
  const Path folder = AdapterFolderAt(given).value_or(given);
  CheckAdapter(folder, opened.files, compute);
  const std::vector<WeightedAdapter> adapters = {{folder}};
  const auto record = ReadBaseRecord(folder);
  const Path chat_adapter = record && !record->chat_template.empty() ? folder : Path();
  AdapterOffer out;
  out.rule = {grammar.Read(AnswerSchemaOf(adapters)), grammar.Where()};
  if (HasTemplate(chat_template, opened, chat_adapter))
    out.chat = ChatFor(chat_template, opened, chat_adapter);
  else
    out.no_chat = kNoChat;
  out.load = [&opened, adapters] { return LoadAdaptersOf(opened, adapters); };
  return out;
}

}  // namespace

void ServedAdapterFlags::Add(CLI::App& command) {
  given.Add(command)->description(
      "PEFT folder, or FOLDER=WEIGHT: part of the served model, added to others; or NAME=FOLDER: "
      "beside it, for requests that name it as their model");
  command.add_option("--adapter-root", root,
                     "a folder whose adapters clients may load and unload while the server runs");
}

void ServedAdapterFlags::Sort() {
  std::vector<std::string> others;
  for (const std::string& text : given.given) {
    const size_t equals = text.find('=');
    const bool is_named = equals != std::string::npos && !IsNumber(text.substr(equals + 1)) &&
                          !IsNumber(text.substr(text.rfind('=') + 1)) &&
                          !std::filesystem::exists(text);
    if (is_named)
      named.emplace_back(text.substr(0, equals), text.substr(equals + 1));
    else
      others.push_back(text);
  }
  given.given = std::move(others);
  if (!root.empty() && !std::filesystem::is_directory(root))
    throw InputError("--adapter-root ", Quoted(root), ": is no folder");
}

std::vector<Path> ServedAdapterFlags::named_folders() const {
  std::vector<Path> out;
  for (const auto& [name, folder] : named) out.push_back(AdapterFolderAt(folder).value_or(folder));
  return out;
}

bool HasTemplate(const std::string& name, const OpenedModel& opened, const Path& chat_adapter) {
  return name != "auto" || !opened.tokenizer->spec().chat_template.empty() || !chat_adapter.empty();
}

AdapterOptions AdaptersFor(const ServedAdapterFlags& flags, const OpenedModel& opened,
                           const std::string& chat_template, const GrammarFlags& grammar,
                           const ComputeFlags& compute) {
  AdapterOptions out;
  out.open = [&](const Path& folder) {
    return Offer(folder, opened, chat_template, grammar, compute);
  };
  out.loaded = flags.named;
  out.root = flags.root;
  return out;
}

}  // namespace retort
