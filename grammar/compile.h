// SPDX-License-Identifier: Apache-2.0
// Compiles the notations that say what an answer may be (docs/grammars.md).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "grammar/grammar.h"
#include "grammar/json_terms.h"

namespace retort {

// What an answer may be, as a request or a flag says it.
struct GrammarSource {
  enum class Kind {
    kSchema,  // `text` is a JSON Schema
    kJson,    // any JSON object; no text
    kRegex,
    kChoices,  // `text` is a JSON list of texts
    kGbnf,     // llama.cpp's notation
  };
  Kind kind = Kind::kJson;
  std::string text;
  JsonSpace space = JsonSpace::kCompact;

  bool operator<(const GrammarSource& other) const {
    return std::tie(kind, text, space) < std::tie(other.kind, other.text, other.space);
  }
};

// `where` begins every error. vocabulary: see Grammar. Throws Error{kInput} naming what is not
// supported, and where what is compiled would be too large.
std::shared_ptr<const Grammar> CompileGrammar(const GrammarSource& source, const std::string& where,
                                              std::shared_ptr<const Vocabulary> vocabulary);

// "gbnf", what a grammar's text is translated to. In gbnf.cc.
NodeId CompileGbnf(std::string_view text, const std::string& where, GrammarParts& parts);

}  // namespace retort
