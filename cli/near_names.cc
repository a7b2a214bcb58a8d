// SPDX-License-Identifier: Apache-2.0
#include "cli/near_names.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "recipes/other_names.h"

namespace retort {
namespace {

// What other programs call our commands.
struct OtherName {
  const char* other;
  const char* ours;
};
constexpr OtherName kOtherNames[] = {
    {"finetune", "train"},    {"fine-tune", "train"},   {"sft", "train"},
    {"lora", "train"},        {"qlora", "train"},       {"fit", "train"},
    {"distil", "train"},      {"distill", "train"},     {"resume", "train --resume"},
    {"fuse", "merge"},        {"merge-lora", "merge"},  {"merge_lora", "merge"},
    {"convert", "export"},    {"quantise", "quantize"}, {"gguf", "export"},
    {"generate", "run"},      {"complete", "run"},      {"chat", "run"},
    {"infer", "run"},         {"inference", "run"},     {"predict", "run"},
    {"cli", "run"},           {"server", "serve"},      {"api", "serve"},
    {"start", "serve"},       {"evaluate", "eval"},     {"test", "eval"},
    {"score", "eval"},        {"benchmark", "bench"},   {"info", "inspect"},
    {"show", "inspect"},      {"list", "inspect"},      {"encode", "tokenize"},
    {"tokenise", "tokenize"}, {"new", "init"},          {"create", "init"},
    {"cache", "teach"},       {"version", "--version"}};

std::vector<std::string> CommandsOf(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(command->get_name());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string Meant(const std::string& name, const std::vector<std::string>& commands) {
  for (const OtherName& known : kOtherNames) {
    if (name == known.other) return known.ours;
  }
  return Nearest(name, commands);
}

// The flags of a command, "--run" ...
std::vector<std::string> FlagsOf(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

const CLI::App* CommandNamed(const CLI::App& app, const std::string& name) {
  const auto found = app.get_subcommands([&](const CLI::App* c) { return c->get_name() == name; });
  return found.empty() ? nullptr : found.front();
}

// The key of a recipe that a flag of `train` or `teach` stands for: "train.lr" for --learning-rate.
std::string RecipeKeyFor(const CLI::App& command, const std::string& flag) {
  if (command.get_name() != "train" && command.get_name() != "teach") return "";
  return KeyMeant(ReplaceAll(flag.substr(2), "-", "_"));
}

}  // namespace

void CheckCommand(const CLI::App& app, int argc, const char* const* argv) {
  const CLI::App* group = &app;
  std::string prefix;
  for (int i = 1; i < argc && group; ++i) {
    const std::vector<std::string> commands = CommandsOf(*group);
    const std::string name = argv[i];
    // Of `bench`, only some works are commands.
    if (group->get_require_subcommand_min() == 0 || name.starts_with("-")) return;
    if (std::find(commands.begin(), commands.end(), name) == commands.end()) {
      const std::string meant = Meant(name, commands);
      throw InputError(Quoted(prefix + name), " is no command",
                       meant.empty() ? "" : Cat("; did you mean '", prefix, meant, "'?"),
                       meant.empty() ? "; known: " : " Known: ", Join(commands, ", "));
    }
    prefix += name + " ";
    group = CommandNamed(*group, name);
  }
}

std::string UnknownFlag(const CLI::App& app, int argc, const char* const* argv) {
  const CLI::App* command = &app;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--") break;
    if (!argument.starts_with("--")) {
      if (const CLI::App* inner = CommandNamed(*command, argument)) command = inner;
      continue;
    }
    const std::string flag = argument.substr(0, argument.find('='));
    const std::vector<std::string> flags = FlagsOf(*command);
    if (std::find(flags.begin(), flags.end(), flag) != flags.end()) continue;
    const std::string start = Cat(command == &app ? "" : command->get_name() + ": ", "flag ",
                                  Quoted(flag), " is not known; ");
    const std::string key = RecipeKeyFor(*command, flag);
    if (!key.empty()) return Cat(start, "use --set ", key, "=VALUE");
    const std::string near = Nearest(flag, flags);
    return near.empty() ? Cat(start, "see `retort --help`")
                        : Cat(start, "did you mean '", near, "'? See `retort --help`");
  }
  return "";
}

}  // namespace retort
