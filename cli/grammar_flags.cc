// SPDX-License-Identifier: Apache-2.0
#include "cli/grammar_flags.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

namespace retort {
namespace {

constexpr uint64_t kMostFile = uint64_t{4} << 20;

// A JSON list of texts, or a text on each line.
std::string ChoicesOf(const std::string& file) {
  std::string text = ReadText(file, kMostFile);
  if (Strip(text).starts_with("[")) return text;
  Json choices = Json::array();
  for (const std::string& line : Split(text, '\n'))
    if (!Strip(line).empty()) choices.push_back(std::string(Strip(line)));
  return DumpJson(choices);
}

}  // namespace

void GrammarFlags::AddSchema(CLI::App& command) {
  command.add_option("--schema", schema,
                     "file of the JSON Schema that an answer must satisfy (default: that of the "
                     "training, which the model carries); none: no schema");
  command
      .add_option(
          "--json-space", json_space,
          "white space in JSON: compact (none, the default), spaced (behind commas and colons), "
          "flexible")
      ->check(CLI::IsMember({"compact", "spaced", "flexible"}));
}

void GrammarFlags::Add(CLI::App& command) {
  AddSchema(command);
  command.add_option("--regex", regex, "regular expression that an answer must match");
  command.add_option("--choices", choices,
                     "file of the texts that an answer may be: a JSON list, or one a line");
  command.add_option("--grammar", grammar,
                     "file of the grammar (GBNF or Lark) that an answer must match");
}

std::optional<GrammarSource> GrammarFlags::Read(const std::optional<GrammarSource>& own) const {
  using Kind = GrammarSource::Kind;
  if ((schema ? 1 : 0) + (regex ? 1 : 0) + (choices ? 1 : 0) + (grammar ? 1 : 0) > 1)
    throw InputError("give one of --schema, --regex, --choices and --grammar");
  if (schema && *schema == "none") return std::nullopt;
  if (schema) return GrammarSource{Kind::kSchema, ReadText(*schema, kMostFile), Space()};
  if (regex) return GrammarSource{Kind::kRegex, *regex};
  if (choices) return GrammarSource{Kind::kChoices, ChoicesOf(*choices)};
  if (grammar) {
    std::string text = ReadText(*grammar, kMostFile);
    const Kind notation = NotationOf(text);
    return GrammarSource{notation, std::move(text)};
  }
  std::optional<GrammarSource> source = own;
  if (source && json_space) source->space = Space();
  return source;
}

std::string GrammarFlags::Where() const {
  for (const auto& file : {schema, choices, grammar})
    if (file) return *file;
  return regex ? "--regex" : "the model's own schema";
}

JsonSpace GrammarFlags::Space() const {
  return json_space ? ParseJsonSpace(*json_space, "--json-space") : JsonSpace::kCompact;
}

}  // namespace retort
