// SPDX-License-Identifier: Apache-2.0
// Expressions, from the loosest binding to the tightest. Each function reads one level.
#pragma once

#include "template/jinja/token_stream.h"

namespace retort::jinja {

class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& stream) : in_(stream) {}

  // a if b else c, and all that binds tighter. Without `conditions`, an `if` is left for others.
  ExprPtr Expression(bool conditions = true);
  // The same, or several with commas: a tuple. `end`: a name that may end it.
  ExprPtr TupleOrOne(bool conditions = true, std::string_view end = "", bool may_be_empty = false);
  // | filter | filter, on what the statement around it gives. Null if there is none.
  ExprPtr FiltersOnBlock(bool first_without_bar);

 private:
  CallArguments Arguments();
  void TakeArguments(Expr& call);
  ExprPtr Or();
  ExprPtr And();
  ExprPtr Not();
  ExprPtr Compare();
  ExprPtr Sum();
  ExprPtr Concat();
  ExprPtr Product();
  ExprPtr Power();
  ExprPtr Unary(bool filters);
  ExprPtr Primary();
  ExprPtr NameOrConstant();
  ExprPtr ListLiteral();
  ExprPtr DictLiteral();
  ExprPtr Postfix(ExprPtr expr);
  ExprPtr Subscript(ExprPtr expr);
  ExprPtr SubscriptIndex(ExprPtr of);
  ExprPtr TupleInBrackets();
  ExprPtr FiltersAndTests(ExprPtr expr);
  ExprPtr FilterOn(ExprPtr expr);
  ExprPtr TestOn(ExprPtr expr);
  ExprPtr CallOf(ExprPtr expr);
  void Argument(CallArguments& out);

  ExprPtr New(Expr::Kind kind) const;
  // Each throws if the tree becomes too deep.
  void Adopt(Expr& parent, ExprPtr kid) const;
  void Deepen(int& depth, int below) const;
  ExprPtr Binary(Expr::Op op, ExprPtr left, ExprPtr right, int line) const;
  ExprPtr Constant(Value value) const;

  TokenStream& in_;
};

}  // namespace retort::jinja
