// SPDX-License-Identifier: Apache-2.0
// A grammar of whole answers in which every call of a tool is one: its name is a tool's, and its
// arguments satisfy that tool's schema. All else is free.
#pragma once

#include <string>
#include <vector>

#include "base/work_budget.h"
#include "grammar/parser.h"
#include "runner/answer/call_reader.h"

namespace retort {

struct CallGrammarOptions {
  bool in_thought = false;  // the prompt has opened a thought
  bool required = false;    // the answer begins with a call, behind its thought
  bool one_call = false;    // and ends with the first
};

// What AnswerParser takes for a call in an answer of the grammar is one of `tools`; those without a
// schema take any object. Errors begin with `where` and a tool. Throws Error{kInput} on schemas
// that cannot be kept or that no object satisfies, and on more of them than 128 or 2 MiB.
NodeId CallGrammar(const AnswerFormat& format, const std::vector<Tool>& tools,
                   const CallGrammarOptions& options, const std::string& where,
                   GrammarParts& parts);

// The arguments of a call of `tool` as a JSON object, and between marks (Shape::kTagged) up to the
// mark that closes the call. Compiling them draws from `work`, which all tools share.
NodeId ObjectArguments(const Tool& tool, const std::string& where, WorkBudget& work,
                       GrammarParts& parts);
NodeId TaggedArguments(const CallFormat& format, const Tool& tool, const std::string& where,
                       WorkBudget& work, GrammarParts& parts);

// White space as models put it around marks, and the marks with it between them.
ExpressionId MarkSpace(Expressions& expressions);
ExpressionId MarksText(const Marks& marks, Expressions& expressions);

}  // namespace retort
