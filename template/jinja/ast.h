// SPDX-License-Identifier: Apache-2.0
// A template's syntax tree.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "template/jinja/call.h"
#include "template/jinja/value.h"

namespace retort::jinja {

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

// What stands between the parentheses of a call.
struct CallArguments {
  struct Named {
    std::string name;
    ExprPtr value;
  };
  std::vector<ExprPtr> positional;
  std::vector<Named> named;
  ExprPtr list, dict;  // *list, **dict; or null
  int depth = 0;
};

struct Expr {
  enum class Kind : uint8_t {
    kConstant,   // constant
    kName,       // variable
    kList,       // kids: the items
    kTuple,      // kids
    kDict,       // kids: key, value, key, value, ...
    kAttribute,  // kids[0].text
    kItem,       // kids[0][kids[1]]
    kSlice,      // kids[0][kids[1]:kids[2]:kids[3]], null where nothing stands
    kCall,       // kids[0](arguments)
    kFilter,     // kids[0] | text(arguments); kids[0] is null for the text of a block
    kTest,       // kids[0] is text(arguments)
    kNot,        // kids[0]
    kNegate,     // -kids[0]
    kPlus,       // +kids[0]
    kBinary,     // kids[0] op kids[1]
    kConcat,     // kids[0] ~ kids[1] ~ ...
    kCompare,    // kids[0] ops[0] kids[1] ops[1] kids[2] ...
    kAnd,        // kids[0] and kids[1]
    kOr,
    kCondition  // kids[0] if kids[1] else kids[2], which may be null
  };
  enum class Op : uint8_t {
    kAdd,
    kSubtract,
    kMultiply,
    kDivide,
    kFloorDivide,
    kModulo,
    kPower,
    kEqual,
    kUnequal,
    kLess,
    kLessEqual,
    kGreater,
    kGreaterEqual,
    kIn,
    kNotIn
  };

  Kind kind = Kind::kConstant;
  int line = 1;
  int variable = -1;  // a name's place in Ast::names
  int depth = 1;      // levels of expressions, this one counted
  std::vector<ExprPtr> kids;
  std::vector<Op> ops;
  Value constant;
  std::string text;
  CallArguments arguments;
  Filter filter = nullptr;
  Test test = nullptr;
};

// What a statement assigns to: a variable, a namespace's attribute, or several of these.
struct Target {
  int variable = -1;
  std::string attribute;        // if not empty, of the namespace that `variable` holds
  std::vector<Target> several;  // if not empty, the parts of a sequence
};

struct Statement;
using Body = std::vector<std::unique_ptr<Statement>>;

struct Parameter {
  int variable = -1;
  std::string name;
  ExprPtr fallback;  // or null
};

// A macro, or the block of a call.
struct MacroDefinition {
  std::string name;
  std::vector<Parameter> parameters;
  Body body;
  int line = 1;
  bool takes_caller = false, takes_more = false, takes_more_named = false;  // varargs, kwargs
};

struct Statement {
  enum class Kind : uint8_t {
    kText,         // text
    kPrint,        // expr
    kIf,           // exprs[i]: bodies[i]; the last body is that of else
    kFor,          // target in expr, perhaps `if` condition; bodies[0], else bodies[1]
    kSet,          // target = expr
    kSetBlock,     // target = bodies[0] through the filter expr, or null
    kMacro,        // target = macro
    kCallBlock,    // expr, a call; macro is its caller
    kFilterBlock,  // bodies[0] through expr
    kWith,         // targets = exprs in bodies[0]
    kScope,        // bodies[0] with variables of its own
    kGeneration,   // bodies[0] is a reply
    kDo,           // expr
    kBreak,
    kContinue
  };
  Kind kind = Kind::kText;
  int line = 1;
  Value text;
  ExprPtr expr, condition;
  std::vector<ExprPtr> exprs;
  std::vector<Body> bodies;
  Target target;
  std::vector<Target> targets;
  std::unique_ptr<MacroDefinition> macro;
  bool recursive = false;
};

// The names that mean something by themselves. They come first in Ast::names.
enum Special : int { kLoopName, kCallerName, kVarargsName, kKwargsName, kSpecialNames };

struct Ast {
  Body body;
  std::vector<std::string> names;  // of all variables
  bool has_generation = false;
  // Names that are tested with `is defined` or its opposite.
  std::vector<std::string> asked_for;
};

}  // namespace retort::jinja
