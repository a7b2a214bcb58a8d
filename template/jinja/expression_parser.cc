// SPDX-License-Identifier: Apache-2.0
#include "template/jinja/expression_parser.h"

namespace retort::jinja {
namespace {

using Op = Expr::Op;

struct SignOp {
  std::string_view sign;
  Op op;
};
constexpr SignOp kCompares[] = {{"==", Op::kEqual},  {"!=", Op::kUnequal},
                                {"<", Op::kLess},    {"<=", Op::kLessEqual},
                                {">", Op::kGreater}, {">=", Op::kGreaterEqual}};
constexpr SignOp kProducts[] = {
    {"*", Op::kMultiply}, {"/", Op::kDivide}, {"//", Op::kFloorDivide}, {"%", Op::kModulo}};

}  // namespace

ExprPtr ExpressionParser::New(Expr::Kind kind) const {
  auto expr = std::make_unique<Expr>();
  expr->kind = kind;
  expr->line = in_.Now().line;
  return expr;
}

void ExpressionParser::Deepen(int& depth, int below) const {
  depth = std::max(depth, below + 1);
  if (depth > kDeepestTree)
    throw in_.Fault(Cat("an expression has more than ", kDeepestTree, " parts in one another"));
}

void ExpressionParser::Adopt(Expr& parent, ExprPtr kid) const {
  if (kid) Deepen(parent.depth, kid->depth);
  parent.kids.push_back(std::move(kid));
}

ExprPtr ExpressionParser::Binary(Op op, ExprPtr left, ExprPtr right, int line) const {
  ExprPtr expr = New(Expr::Kind::kBinary);
  expr->line = line;
  expr->ops = {op};
  Adopt(*expr, std::move(left));
  Adopt(*expr, std::move(right));
  return expr;
}

ExprPtr ExpressionParser::Constant(Value value) const {
  ExprPtr expr = New(Expr::Kind::kConstant);
  expr->constant = std::move(value);
  return expr;
}

ExprPtr ExpressionParser::Expression(bool conditions) {
  const Nesting nesting(in_);
  ExprPtr first = Or();
  while (conditions && in_.TakeName("if")) {
    ExprPtr expr = New(Expr::Kind::kCondition);
    Adopt(*expr, std::move(first));
    Adopt(*expr, Or());
    Adopt(*expr, in_.TakeName("else") ? Expression() : nullptr);
    first = std::move(expr);
  }
  return first;
}

ExprPtr ExpressionParser::TupleOrOne(bool conditions, std::string_view end, bool may_be_empty) {
  const auto ended = [&] {
    return in_.At(Token::Kind::kBlockEnd) || in_.At(Token::Kind::kPrintEnd) ||
           in_.Now().Sign(")") || (!end.empty() && in_.Now().Name(end));
  };
  ExprPtr tuple = New(Expr::Kind::kTuple);
  bool comma = false;
  while (!ended()) {
    Adopt(*tuple, Expression(conditions));
    if (!in_.TakeSign(",")) break;
    comma = true;
  }
  if (comma) return tuple;
  if (!tuple->kids.empty()) return std::move(tuple->kids[0]);
  if (!may_be_empty) throw in_.Fault("an expression is expected");
  return tuple;
}

ExprPtr ExpressionParser::Or() {
  ExprPtr left = And();
  while (in_.TakeName("or")) {
    ExprPtr expr = New(Expr::Kind::kOr);
    Adopt(*expr, std::move(left));
    Adopt(*expr, And());
    left = std::move(expr);
  }
  return left;
}

ExprPtr ExpressionParser::And() {
  ExprPtr left = Not();
  while (in_.TakeName("and")) {
    ExprPtr expr = New(Expr::Kind::kAnd);
    Adopt(*expr, std::move(left));
    Adopt(*expr, Not());
    left = std::move(expr);
  }
  return left;
}

ExprPtr ExpressionParser::Not() {
  if (!in_.Now().Name("not")) return Compare();
  const Nesting nesting(in_);
  ExprPtr expr = New(Expr::Kind::kNot);
  in_.Take();
  Adopt(*expr, Not());
  return expr;
}

ExprPtr ExpressionParser::Compare() {
  ExprPtr expr = New(Expr::Kind::kCompare);
  Adopt(*expr, Sum());
  while (true) {
    const Token& now = in_.Now();
    const auto* sign =
        std::ranges::find_if(kCompares, [&](const SignOp& known) { return now.Sign(known.sign); });
    if (sign != std::end(kCompares)) {
      expr->ops.push_back(sign->op);
    } else if (now.Name("in")) {
      expr->ops.push_back(Op::kIn);
    } else if (now.Name("not") && in_.Ahead().Name("in")) {
      in_.Take();
      expr->ops.push_back(Op::kNotIn);
    } else {
      break;
    }
    in_.Take();
    Adopt(*expr, Sum());
  }
  return expr->ops.empty() ? std::move(expr->kids[0]) : std::move(expr);
}

ExprPtr ExpressionParser::Sum() {
  ExprPtr left = Concat();
  while (in_.Now().Sign("+") || in_.Now().Sign("-")) {
    const int line = in_.Now().line;
    const Op op = in_.Take().text == "+" ? Op::kAdd : Op::kSubtract;
    left = Binary(op, std::move(left), Concat(), line);
  }
  return left;
}

ExprPtr ExpressionParser::Concat() {
  ExprPtr expr = New(Expr::Kind::kConcat);
  Adopt(*expr, Product());
  while (in_.TakeSign("~")) Adopt(*expr, Product());
  return expr->kids.size() == 1 ? std::move(expr->kids[0]) : std::move(expr);
}

ExprPtr ExpressionParser::Product() {
  ExprPtr left = Power();
  while (true) {
    const auto* sign = std::ranges::find_if(
        kProducts, [&](const SignOp& known) { return in_.Now().Sign(known.sign); });
    if (sign == std::end(kProducts)) return left;
    const int line = in_.Take().line;
    left = Binary(sign->op, std::move(left), Power(), line);
  }
}

ExprPtr ExpressionParser::Power() {
  ExprPtr left = Unary(true);
  while (in_.Now().Sign("**")) {
    const int line = in_.Take().line;
    left = Binary(Op::kPower, std::move(left), Unary(true), line);
  }
  return left;
}

ExprPtr ExpressionParser::Unary(bool filters) {
  const Nesting nesting(in_);
  ExprPtr expr;
  if (in_.Now().Sign("-") || in_.Now().Sign("+")) {
    expr = New(in_.Now().Sign("-") ? Expr::Kind::kNegate : Expr::Kind::kPlus);
    in_.Take();
    Adopt(*expr, Unary(false));
  } else {
    expr = Primary();
  }
  expr = Postfix(std::move(expr));
  return filters ? FiltersAndTests(std::move(expr)) : std::move(expr);
}

ExprPtr ExpressionParser::Primary() {
  switch (in_.Now().kind) {
    case Token::Kind::kName:
      return NameOrConstant();
    case Token::Kind::kString: {
      std::string text;
      const int line = in_.Now().line;
      while (in_.At(Token::Kind::kString)) text += in_.Take().text;
      ExprPtr expr = Constant(Value::Of(text));
      expr->line = line;
      return expr;
    }
    case Token::Kind::kInt:
      return Constant(Value::Of(in_.Take().integer));
    case Token::Kind::kFloat:
      return Constant(Value::Of(in_.Take().number));
    default:
      break;
  }
  if (in_.TakeSign("(")) {
    ExprPtr expr = TupleOrOne(true, "", true);
    in_.ExpectSign(")");
    return expr;
  }
  if (in_.Now().Sign("[")) return ListLiteral();
  if (in_.Now().Sign("{")) return DictLiteral();
  throw in_.Fault("an expression is expected");
}

ExprPtr ExpressionParser::NameOrConstant() {
  ExprPtr expr = New(Expr::Kind::kName);
  const std::string name = in_.Take().text;
  const bool yes = name == "true" || name == "True";
  if (yes || name == "false" || name == "False") return Constant(Value::Of(yes));
  if (name == "none" || name == "None") return Constant(Value::None());
  expr->variable = in_.Variable(name);
  return expr;
}

ExprPtr ExpressionParser::ListLiteral() {
  ExprPtr expr = New(Expr::Kind::kList);
  in_.Take();
  while (!in_.Now().Sign("]")) {
    if (!expr->kids.empty()) in_.ExpectSign(",");
    if (in_.Now().Sign("]")) break;
    Adopt(*expr, Expression());
  }
  in_.Take();
  return expr;
}

ExprPtr ExpressionParser::DictLiteral() {
  ExprPtr expr = New(Expr::Kind::kDict);
  in_.Take();
  while (!in_.Now().Sign("}")) {
    if (!expr->kids.empty()) in_.ExpectSign(",");
    if (in_.Now().Sign("}")) break;
    Adopt(*expr, Expression());
    in_.ExpectSign(":");
    Adopt(*expr, Expression());
  }
  in_.Take();
  return expr;
}

}  // namespace retort::jinja
