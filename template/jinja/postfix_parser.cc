// SPDX-License-Identifier: Apache-2.0
// What stands behind an expression: attributes, items, calls, filters and tests.
#include "template/jinja/expression_parser.h"

namespace retort::jinja {
namespace {

std::string KnownNames(std::string_view what, const std::string& name,
                       const std::vector<std::string>& known) {
  const std::string nearest = Nearest(name, known);
  return Cat(what, " ", Quoted(name), " is not known",
             nearest.empty() ? "" : Cat("; did you mean '", nearest, "'?"));
}

}  // namespace

ExprPtr ExpressionParser::Postfix(ExprPtr expr) {
  while (true) {
    if (in_.Now().Sign(".") || in_.Now().Sign("["))
      expr = Subscript(std::move(expr));
    else if (in_.Now().Sign("("))
      expr = CallOf(std::move(expr));
    else
      return expr;
  }
}

ExprPtr ExpressionParser::Subscript(ExprPtr expr) {
  if (in_.Take().text == "[") return SubscriptIndex(std::move(expr));
  if (in_.At(Token::Kind::kInt)) {
    ExprPtr item = New(Expr::Kind::kItem);
    Adopt(*item, std::move(expr));
    Adopt(*item, Constant(Value::Of(in_.Take().integer)));
    return item;
  }
  ExprPtr attribute = New(Expr::Kind::kAttribute);
  Adopt(*attribute, std::move(expr));
  attribute->text = in_.AnyName("a name or number");
  return attribute;
}

// Behind "[", to its "]".
ExprPtr ExpressionParser::SubscriptIndex(ExprPtr of) {
  const auto ends = [&] { return in_.Now().Sign("]") || in_.Now().Sign(":"); };
  ExprPtr item = New(Expr::Kind::kItem);
  Adopt(*item, std::move(of));
  ExprPtr first = ends() ? nullptr : TupleInBrackets();
  if (!in_.Now().Sign(":")) {
    if (!first) throw in_.Fault("an expression is expected");
    Adopt(*item, std::move(first));
    if (item->kids[1]->kind == Expr::Kind::kConstant && item->kids[1]->constant.IsText())
      item->text = item->kids[1]->constant.text().bytes();
    in_.ExpectSign("]");
    return item;
  }
  item->kind = Expr::Kind::kSlice;
  Adopt(*item, std::move(first));
  in_.Take();
  Adopt(*item, ends() ? nullptr : Expression());
  Adopt(*item, in_.TakeSign(":") && !ends() ? Expression() : nullptr);
  in_.ExpectSign("]");
  return item;
}

ExprPtr ExpressionParser::TupleInBrackets() {
  ExprPtr first = Expression();
  if (!in_.Now().Sign(",")) return first;
  ExprPtr tuple = New(Expr::Kind::kTuple);
  Adopt(*tuple, std::move(first));
  while (in_.TakeSign(",") && !in_.Now().Sign("]")) Adopt(*tuple, Expression());
  return tuple;
}

ExprPtr ExpressionParser::FiltersAndTests(ExprPtr expr) {
  while (true) {
    if (in_.TakeSign("|"))
      expr = FilterOn(std::move(expr));
    else if (in_.Now().Name("is"))
      expr = TestOn(std::move(expr));
    else if (in_.Now().Sign("("))
      expr = CallOf(std::move(expr));
    else
      return expr;
  }
}

// Behind the bar.
ExprPtr ExpressionParser::FilterOn(ExprPtr expr) {
  ExprPtr filter = New(Expr::Kind::kFilter);
  Adopt(*filter, std::move(expr));
  filter->text = in_.AnyName("a filter's name");
  filter->filter = FindFilter(filter->text);
  if (!filter->filter)
    throw in_.FaultAt(filter->line, KnownNames("filter", filter->text, FilterNames()));
  if (in_.Now().Sign("(")) TakeArguments(*filter);
  return filter;
}

ExprPtr ExpressionParser::FiltersOnBlock(bool first_without_bar) {
  ExprPtr expr;
  if (first_without_bar) expr = FilterOn(nullptr);
  while (in_.TakeSign("|")) expr = FilterOn(std::move(expr));
  return expr;
}

ExprPtr ExpressionParser::TestOn(ExprPtr expr) {
  const Nesting nesting(in_);
  in_.Take();
  const bool negated = in_.TakeName("not");
  ExprPtr test = New(Expr::Kind::kTest);
  if (expr->kind == Expr::Kind::kName) test->variable = expr->variable;
  Adopt(*test, std::move(expr));
  test->text = in_.AnyName("a test's name");
  test->test = FindTest(test->text);
  if (!test->test) throw in_.FaultAt(test->line, KnownNames("test", test->text, TestNames()));
  if ((test->text == "defined" || test->text == "undefined") && test->variable >= 0)
    in_.ast().asked_for.push_back(in_.ast().names[static_cast<size_t>(test->variable)]);
  const Token& now = in_.Now();
  const bool literal = now.kind == Token::Kind::kString || now.kind == Token::Kind::kInt ||
                       now.kind == Token::Kind::kFloat || now.Sign("[") || now.Sign("{");
  const bool name =
      now.kind == Token::Kind::kName && !now.Name("else") && !now.Name("or") && !now.Name("and");
  if (now.Sign("(")) {
    TakeArguments(*test);
  } else if (now.Name("is")) {
    throw in_.Fault("tests cannot be chained with 'is'");
  } else if (literal || name) {
    test->arguments.positional.push_back(Postfix(Primary()));
    Deepen(test->depth, test->arguments.positional[0]->depth);
  }
  if (!negated) return test;
  ExprPtr expr_not = New(Expr::Kind::kNot);
  Adopt(*expr_not, std::move(test));
  return expr_not;
}

ExprPtr ExpressionParser::CallOf(ExprPtr expr) {
  ExprPtr call = New(Expr::Kind::kCall);
  Adopt(*call, std::move(expr));
  TakeArguments(*call);
  return call;
}

void ExpressionParser::TakeArguments(Expr& call) {
  call.arguments = Arguments();
  Deepen(call.depth, call.arguments.depth);
}

CallArguments ExpressionParser::Arguments() {
  const Nesting nesting(in_);
  CallArguments out;
  in_.ExpectSign("(");
  bool first = true;
  while (!in_.Now().Sign(")")) {
    if (!first) in_.ExpectSign(",");
    if (!first && in_.Now().Sign(")")) break;
    first = false;
    Argument(out);
  }
  in_.ExpectSign(")");
  return out;
}

void ExpressionParser::Argument(CallArguments& out) {
  const auto argument = [&] {
    ExprPtr expr = Expression();
    Deepen(out.depth, expr->depth);
    return expr;
  };
  const auto ensure = [&](bool fine) {
    if (!fine) throw in_.Fault("arguments of a call stand in a wrong order");
  };
  if (in_.TakeSign("*")) {
    ensure(!out.list && !out.dict);
    out.list = argument();
  } else if (in_.TakeSign("**")) {
    ensure(!out.dict);
    out.dict = argument();
  } else if (in_.At(Token::Kind::kName) && in_.Ahead().Sign("=")) {
    ensure(!out.dict);
    std::string name = in_.Take().text;
    in_.Take();
    out.named.push_back({std::move(name), argument()});
  } else {
    ensure(!out.list && !out.dict && out.named.empty());
    out.positional.push_back(argument());
  }
}

}  // namespace retort::jinja
