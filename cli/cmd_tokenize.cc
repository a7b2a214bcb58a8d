// SPDX-License-Identifier: Apache-2.0
// retort tokenize MODEL: shows the ids that `run --prompt` would use.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/flags.h"
#include "tokenizer/load_tokenizer.h"

namespace retort {
namespace {

struct TokenizeFlags {
  std::string model, text, file;
  bool special = false, no_bos = false, json = false;
};

void Run(const TokenizeFlags& flags) {
  if (flags.text.empty() == flags.file.empty())
    throw InputError("tokenize: give one of --text and --file");
  const auto tokenizer = LoadTokenizer(Path(flags.model));
  const std::string text = flags.file.empty() ? flags.text : ReadText(flags.file);
  std::vector<int32_t> ids;
  if (!flags.no_bos && tokenizer->spec().add_bos) ids.push_back(tokenizer->spec().bos);
  const auto rest = tokenizer->Encode({Segment{text, flags.special}}, /*continuation=*/false);
  ids.insert(ids.end(), rest.begin(), rest.end());
  std::vector<std::string> pieces;
  pieces.reserve(ids.size());
  for (int32_t id : ids) pieces.push_back(tokenizer->PieceText(id));
  if (flags.json) return PrintJson({{"ids", ids}, {"pieces", pieces}});
  for (size_t i = 0; i < ids.size(); ++i) PrintLine(Cat(ids[i], "\t", pieces[i]));
}

}  // namespace

void AddTokenize(CLI::App& app) {
  CLI::App* command = app.add_subcommand("tokenize", "Show the tokens of a text");
  auto flags = std::make_shared<TokenizeFlags>();
  command->add_option("model", flags->model, "model or tokenizer folder, or GGUF file")->required();
  command->add_option("--text", flags->text, "the text");
  command->add_option("--file", flags->file, "a file that holds it");
  command->add_flag("--special", flags->special, "read the text of special tokens as those tokens");
  command->add_flag("--no-bos", flags->no_bos, "leave out the BOS that a prompt begins with");
  command->add_flag("--json", flags->json, "print one JSON object");
  command->callback([flags] { Run(*flags); });
}

}  // namespace retort
