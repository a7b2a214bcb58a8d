// SPDX-License-Identifier: Apache-2.0
// --schema, --regex, --choices and --grammar of the commands that answer.
#pragma once

#include <optional>
#include <string>

#include "grammar/compile.h"

namespace CLI {  // NOLINT: the library's own
class App;
}  // namespace CLI

namespace retort {

struct GrammarFlags {
  std::optional<std::string> schema, regex, choices, grammar;
  std::optional<std::string> json_space;

  void Add(CLI::App& command);
  // Only what concerns schemas.
  void AddSchema(CLI::App& command);
  bool given() const { return schema || regex || choices || grammar; }
  // What they say, with files read; where they say nothing, `own`, the schema that the model was
  // trained to answer by (with --json-space, where that is given), but not with --schema none.
  // Throws Error{kInput} if there are several.
  std::optional<GrammarSource> Read(const std::optional<GrammarSource>& own) const;
  // Where it is said: "schema.json", "--regex", "the model's own schema".
  std::string Where() const;
  // Of JSON that nothing else says it for.
  JsonSpace Space() const;
};

}  // namespace retort
