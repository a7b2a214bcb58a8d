// SPDX-License-Identifier: Apache-2.0
// Compiles the notations that say what an answer may be (docs/grammars.md).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "grammar/grammar.h"
#include "grammar/source.h"

namespace retort {

// `where` begins every error. vocabulary: see Grammar. Throws Error{kInput} naming what is not
// supported, and where what is compiled would be too large.
std::shared_ptr<const Grammar> CompileGrammar(const GrammarSource& source, const std::string& where,
                                              std::shared_ptr<const Vocabulary> vocabulary);

// The same for a grammar that is built of several.
using GrammarBuilder = std::function<NodeId(GrammarParts& parts)>;
std::shared_ptr<const Grammar> CompileGrammar(const GrammarBuilder& builder,
                                              const std::string& where,
                                              std::shared_ptr<const Vocabulary> vocabulary);

// What grammars of these notations are translated to. In gbnf.cc and lark.cc.
NodeId CompileGbnf(std::string_view text, const std::string& where, GrammarParts& parts);
NodeId CompileLark(std::string_view text, const std::string& where, GrammarParts& parts);

}  // namespace retort
