// SPDX-License-Identifier: Apache-2.0
// Renders a syntax tree.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "template/jinja/ast.h"
#include "template/jinja/operators.h"

namespace retort::jinja {

// Variables of a loop's turn, a macro's call, a block.
struct Scope {
  Scope* parent = nullptr;
  std::vector<std::pair<int, Value>> values;
  bool kept = false;  // a macro was defined within, and may look here later

  Value* Find(int variable);
  void Set(int variable, Value value);
};

class Evaluator {
 public:
  // Both must outlive it.
  Evaluator(Runtime& rt, const Ast& ast);
  void SetGlobal(std::string_view name, Value value);
  Text Render();

  // For macros and recursive loops.
  Value CallMacro(const MacroDefinition& macro, Scope* defined_in, const Arguments& arguments);
  Value RunLoop(const Statement& loop, Scope* defined_in, const Value& items, int depth);

 private:
  enum class Flow { kOn, kBreak, kContinue };
  class Within;  // a new scope for as long as it lives

  Flow Run(const Body& body);
  Flow Run(const Statement& s);
  Flow RunIf(const Statement& s);
  Flow RunInScope(const Body& body);
  void RunSet(const Statement& s);
  Flow RunWith(const Statement& s);
  void RunCallBlock(const Statement& s);
  void RunGeneration(const Statement& s);
  void Loop(const Statement& s, const Value& items, int depth);
  std::vector<Value> LoopItems(const Statement& s, const Value& items);
  // What a body prints.
  Text Printed(const Body& body);
  void Print(const Text& text);

  Value Look(int variable);
  void Assign(const Target& target, const Value& value);
  Value NewMacro(const MacroDefinition& macro);
  void BindMore(const MacroDefinition& macro, const Arguments& arguments);

  Value Eval(const Expr& e);
  Value EvalConstant(const Expr& e);
  Value EvalItem(const Expr& e);
  Value EvalCall(const Expr& e, const Value* caller);
  Value EvalFilter(const Expr& e, const Value* block);
  Value EvalBinary(const Expr& e);
  Value EvalConcat(const Expr& e);
  Value EvalCompare(const Expr& e);
  Value EvalDict(const Expr& e);
  std::vector<Value> EvalKids(const Expr& e);
  Arguments EvalArguments(const CallArguments& arguments);

  Runtime& rt_;
  const Ast& ast_;
  Scope top_;
  Scope* scope_ = &top_;
  std::vector<std::unique_ptr<Scope>> kept_;
  Text out_;
};

}  // namespace retort::jinja
