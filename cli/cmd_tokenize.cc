// SPDX-License-Identifier: Apache-2.0
// retort tokenize MODEL: shows the ids that `run --prompt` would use, or those of a conversation,
// or its text.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/flags.h"
#include "data/examples.h"
#include "data/row_fields.h"
#include "model/store/run_folder.h"
#include "tokenizer/load_tokenizer.h"

namespace retort {
namespace {

struct TokenizeFlags {
  std::string model, text, file, messages, tools, chat_template = "auto";
  bool special = false, no_bos = false, json = false, render = false;
};

// The file's conversation: a list of messages, or a row of format messages.
Conversation ReadConversation(const TokenizeFlags& flags) {
  Json json = ReadJson(flags.messages);
  if (json.is_array()) json = Json{{"messages", std::move(json)}};
  if (!json.is_object())
    throw InputError(flags.messages, ": must be a list of messages, or a row that has one");
  if (!flags.tools.empty()) json["tools"] = ReadJson(flags.tools);
  Row row;
  row.where = flags.messages;
  FillRow(json, RowFormat::kMessages, row);
  return ConversationOf(row, row.messages.size());
}

void PrintIds(const Tokenizer& tokenizer, const std::vector<int32_t>& ids, bool json) {
  std::vector<std::string> pieces;
  pieces.reserve(ids.size());
  for (const int32_t id : ids) pieces.push_back(tokenizer.PieceText(id));
  if (json) return PrintJson({{"ids", ids}, {"pieces", pieces}});
  for (size_t i = 0; i < ids.size(); ++i) PrintLine(Cat(ids[i], "\t", pieces[i]));
}

// As `train` writes the row, or, if the assistant has not had the last word, as `run` asks for it.
void RunMessages(const TokenizeFlags& flags, const Tokenizer& tokenizer) {
  const ChatTemplate chat =
      ChatTemplate::Resolve(flags.chat_template, tokenizer.spec(), flags.model);
  const Conversation conversation = ReadConversation(flags);
  const bool asks =
      conversation.messages.empty() || conversation.messages.back().role != "assistant";
  if (!flags.render) {
    return PrintIds(tokenizer, EncodeChat(tokenizer, chat, conversation, asks, flags.messages),
                    flags.json);
  }
  const std::string text =
      chat.RenderText(conversation, asks, tokenizer.spec(), flags.messages).bytes();
  if (flags.json) return PrintJson({{"text", text}});
  PrintLine(text);
}

void Run(const TokenizeFlags& flags) {
  const int given = !flags.text.empty() + !flags.file.empty() + !flags.messages.empty();
  if (given != 1) throw InputError("tokenize: give one of --text, --file and --messages");
  if (flags.messages.empty() && (flags.render || !flags.tools.empty()))
    throw InputError("tokenize: --render and --tools need --messages");
  // PEFT's folders may hold a tokenizer too.
  const auto tokenizer =
      LoadTokenizer(AdapterFolderAt(flags.model) ? Path(flags.model) : ModelAt(flags.model));
  if (!flags.messages.empty()) return RunMessages(flags, *tokenizer);
  const std::string text = flags.file.empty() ? flags.text : ReadText(flags.file);
  std::vector<int32_t> ids;
  if (!flags.no_bos && tokenizer->puts_bos()) ids.push_back(tokenizer->spec().bos);
  const auto rest = tokenizer->Encode({Segment{text, flags.special}}, /*continuation=*/false);
  ids.insert(ids.end(), rest.begin(), rest.end());
  PrintIds(*tokenizer, ids, flags.json);
}

}  // namespace

void AddTokenize(CLI::App& app) {
  CLI::App* command = app.add_subcommand("tokenize", "Show the tokens of a text");
  auto flags = std::make_shared<TokenizeFlags>();
  command->add_option("model", flags->model, "model or tokenizer folder, or GGUF file")->required();
  command->add_option("--text", flags->text, "the text");
  command->add_option("--file", flags->file, "a file that holds it");
  command->add_option("--messages", flags->messages,
                      "a JSON file with a list of messages, or a row with messages and tools");
  command->add_option("--tools", flags->tools, "a JSON file with the list of tools");
  command->add_option("--template", flags->chat_template,
                      "chat template: auto, chatml, llama2, llama3, mistral");
  command->add_flag("--render", flags->render, "print the conversation's text");
  command->add_flag("--special", flags->special, "read the text of special tokens as those tokens");
  command->add_flag("--no-bos", flags->no_bos, "leave out the BOS that a prompt begins with");
  command->add_flag("--json", flags->json, "print one JSON object");
  command->callback([flags] { Run(*flags); });
}

}  // namespace retort
