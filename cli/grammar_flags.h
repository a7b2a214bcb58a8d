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
  std::string json_space = "compact";

  void Add(CLI::App& command);
  // What they say, with files read; nullopt: nothing. Throws Error{kInput} if there are several.
  std::optional<GrammarSource> Read() const;
  // Where it is said: "schema.json", "--regex".
  std::string Where() const;
  JsonSpace Space() const;
};

}  // namespace retort
