// SPDX-License-Identifier: Apache-2.0
#include "template/jinja/evaluator.h"

#include <algorithm>

#include "template/jinja/methods.h"

namespace retort::jinja {

Value* Scope::Find(int variable) {
  for (auto& [own, value] : values) {
    if (own == variable) return &value;
  }
  return nullptr;
}

void Scope::Set(int variable, Value value) {
  if (Value* own = Find(variable))
    *own = std::move(value);
  else
    values.emplace_back(variable, std::move(value));
}

Evaluator::Evaluator(Runtime& rt, const Ast& ast) : rt_(rt), ast_(ast) {
  for (size_t i = 0; i < ast.names.size(); ++i) {
    Value global = FindGlobal(ast.names[i]);
    if (!global.IsUndefined()) top_.Set(static_cast<int>(i), std::move(global));
  }
}

void Evaluator::SetGlobal(std::string_view name, Value value) {
  const auto found = std::ranges::find(ast_.names, name);
  if (found != ast_.names.end())
    top_.Set(static_cast<int>(found - ast_.names.begin()), std::move(value));
}

Value Evaluator::Look(int variable) {
  for (Scope* scope = scope_; scope; scope = scope->parent) {
    if (const Value* found = scope->Find(variable)) return *found;
  }
  return Value::Missing(&ast_.names[static_cast<size_t>(variable)]);
}

Value Evaluator::Eval(const Expr& e) {
  const Level level(rt_);
  rt_.Step();
  rt_.line = e.line;
  switch (e.kind) {
    case Expr::Kind::kConstant:
      return e.constant;
    case Expr::Kind::kName:
      return Look(e.variable);
    case Expr::Kind::kList:
      return rt_.NewList(EvalKids(e));
    case Expr::Kind::kTuple:
      return rt_.NewList(EvalKids(e), List::Sort::kTuple);
    case Expr::Kind::kDict:
      return EvalDict(e);
    case Expr::Kind::kAttribute: {
      const Value of = Eval(*e.kids[0]);
      rt_.line = e.line;
      return GetAttribute(rt_, of, e.text);
    }
    case Expr::Kind::kItem:
    case Expr::Kind::kSlice:
      return EvalItem(e);
    case Expr::Kind::kCall:
      return EvalCall(e, nullptr);
    case Expr::Kind::kFilter:
      return EvalFilter(e, nullptr);
    case Expr::Kind::kTest: {
      const Value of = Eval(*e.kids[0]);
      const Arguments arguments = EvalArguments(e.arguments);
      rt_.line = e.line;
      return Value::Of(e.test(rt_, of, arguments));
    }
    case Expr::Kind::kNot:
      return Value::Of(!Truth(Eval(*e.kids[0])));
    case Expr::Kind::kNegate:
      return Negate(rt_, Eval(*e.kids[0]));
    case Expr::Kind::kPlus: {
      const Value of = Eval(*e.kids[0]);
      return of.Is(Value::Kind::kFloat) ? of : Add(rt_, Value::Of(int64_t{0}), of);
    }
    case Expr::Kind::kBinary:
      return EvalBinary(e);
    case Expr::Kind::kConcat:
      return EvalConcat(e);
    case Expr::Kind::kCompare:
      return EvalCompare(e);
    case Expr::Kind::kAnd:
    case Expr::Kind::kOr: {
      Value left = Eval(*e.kids[0]);
      return Truth(left) == (e.kind == Expr::Kind::kAnd) ? Eval(*e.kids[1]) : left;
    }
    case Expr::Kind::kCondition:
      if (Truth(Eval(*e.kids[1]))) return Eval(*e.kids[0]);
      return e.kids[2] ? Eval(*e.kids[2]) : Value();
  }
  return {};
}

std::vector<Value> Evaluator::EvalKids(const Expr& e) {
  std::vector<Value> values;
  values.reserve(e.kids.size());
  for (const ExprPtr& kid : e.kids) values.push_back(Eval(*kid));
  return values;
}

Value Evaluator::EvalDict(const Expr& e) {
  Dict dict;
  for (size_t i = 0; i < e.kids.size(); i += 2) {
    const Value key = Eval(*e.kids[i]);
    if (!dict.Set(key, Eval(*e.kids[i + 1])))
      throw rt_.Fault("a dict's key cannot be a ", key.TypeName());
  }
  return rt_.NewDict(std::move(dict));
}

Value Evaluator::EvalItem(const Expr& e) {
  const Value of = Eval(*e.kids[0]);
  const auto part = [&](size_t i) { return e.kids[i] ? Eval(*e.kids[i]) : Value::None(); };
  const Value first = part(1);
  if (e.kind == Expr::Kind::kItem) {
    rt_.line = e.line;
    return GetItem(rt_, of, first, e.text.empty() ? nullptr : &e.text);
  }
  const Value stop = part(2), step = part(3);
  rt_.line = e.line;
  return Slice(rt_, of, first, stop, step);
}

Arguments Evaluator::EvalArguments(const CallArguments& arguments) {
  Arguments out;
  for (const ExprPtr& e : arguments.positional) out.positional.push_back(Eval(*e));
  for (const auto& [name, e] : arguments.named) out.named.emplace_back(name, Eval(*e));
  if (arguments.list) {
    const auto more = Iterate(rt_, Eval(*arguments.list));
    rt_.Make(more->items().size(), sizeof(Value));
    out.positional.insert(out.positional.end(), more->items().begin(), more->items().end());
  }
  if (!arguments.dict) return out;
  const Value dict = Eval(*arguments.dict);
  if (!dict.IsDict()) throw rt_.Fault("** needs a dict, not ", dict.TypeName());
  for (const auto& [key, value] : dict.dict().entries()) {
    rt_.Make(sizeof(Value));
    if (!key.IsText()) throw rt_.Fault("an argument's name must be a str, not ", key.TypeName());
    out.named.emplace_back(key.text().bytes(), value);
  }
  return out;
}

// `caller`: of a call block, or null.
Value Evaluator::EvalCall(const Expr& e, const Value* caller) {
  const Expr& callee = *e.kids[0];
  Value self, function;
  Method method = nullptr;
  if (callee.kind == Expr::Kind::kAttribute) {
    self = Eval(*callee.kids[0]);
    method = FindMethod(self, callee.text);
    if (!method) function = GetAttribute(rt_, self, callee.text);
  } else {
    function = Eval(callee);
  }
  Arguments arguments = EvalArguments(e.arguments);
  if (caller) arguments.named.emplace_back("caller", *caller);
  rt_.line = e.line;
  return method ? method(rt_, self, arguments) : Call(rt_, function, arguments);
}

// `block`: what a block prints, which the first filter takes.
Value Evaluator::EvalFilter(const Expr& e, const Value* block) {
  const Value of = !e.kids[0]                                        ? *block
                   : block && e.kids[0]->kind == Expr::Kind::kFilter ? EvalFilter(*e.kids[0], block)
                                                                     : Eval(*e.kids[0]);
  const Arguments arguments = EvalArguments(e.arguments);
  rt_.line = e.line;
  return e.filter(rt_, of, arguments);
}

Value Evaluator::EvalBinary(const Expr& e) {
  const Value a = Eval(*e.kids[0]), b = Eval(*e.kids[1]);
  rt_.line = e.line;
  switch (e.ops[0]) {
    case Expr::Op::kAdd:
      return Add(rt_, a, b);
    case Expr::Op::kSubtract:
      return Subtract(rt_, a, b);
    case Expr::Op::kMultiply:
      return Multiply(rt_, a, b);
    case Expr::Op::kDivide:
      return Divide(rt_, a, b);
    case Expr::Op::kFloorDivide:
      return FloorDivide(rt_, a, b);
    case Expr::Op::kModulo:
      return Modulo(rt_, a, b);
    default:
      return Power(rt_, a, b);
  }
}

Value Evaluator::EvalConcat(const Expr& e) {
  Text out;
  for (const ExprPtr& kid : e.kids) {
    const auto text = ToText(rt_, Eval(*kid));
    rt_.Make(text->size());
    out.Append(*text);
  }
  return rt_.NewText(std::move(out));
}

Value Evaluator::EvalCompare(const Expr& e) {
  Value left = Eval(*e.kids[0]);
  for (size_t i = 0; i < e.ops.size(); ++i) {
    Value right = Eval(*e.kids[i + 1]);
    rt_.line = e.line;
    const auto holds = [&] {
      switch (e.ops[i]) {
        case Expr::Op::kEqual:
          return Equal(rt_, left, right);
        case Expr::Op::kUnequal:
          return !Equal(rt_, left, right);
        case Expr::Op::kIn:
          return Contains(rt_, right, left);
        case Expr::Op::kNotIn:
          return !Contains(rt_, right, left);
        case Expr::Op::kLess:
          return MustOrder(rt_, left, right) < 0;
        case Expr::Op::kLessEqual:
          return MustOrder(rt_, left, right) <= 0;
        case Expr::Op::kGreater:
          return MustOrder(rt_, left, right) > 0;
        default:
          return MustOrder(rt_, left, right) >= 0;
      }
    };
    if (!holds()) return Value::Of(false);
    left = std::move(right);
  }
  return Value::Of(true);
}

}  // namespace retort::jinja
