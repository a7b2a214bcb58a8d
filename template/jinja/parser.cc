// SPDX-License-Identifier: Apache-2.0
#include "template/jinja/parser.h"

#include <algorithm>

#include "template/jinja/expression_parser.h"

namespace retort::jinja {
namespace {

using StatementKind = Statement::Kind;
using StatementPtr = std::unique_ptr<Statement>;
using EndNames = std::initializer_list<std::string_view>;

constexpr std::string_view kNoLoader[] = {"include", "import", "from", "extends"};

class Parser {
 public:
  explicit Parser(TokenStream& stream) : in_(stream), expressions_(stream) {}

  // To the end of the template, or to a tag of one of these names, whose name is then next.
  Body Statements(EndNames ends) {
    Body body;
    while (!in_.At(Token::Kind::kEnd)) {
      const Token token = in_.Take();
      switch (token.kind) {
        case Token::Kind::kText:
          body.push_back(New(StatementKind::kText, token.line));
          body.back()->text = Value::Of(token.text);
          break;
        case Token::Kind::kPrint:
          body.push_back(New(StatementKind::kPrint, token.line));
          body.back()->expr = expressions_.TupleOrOne();
          in_.Expect(Token::Kind::kPrintEnd, "'}}'");
          break;
        default:  // kBlock
          if (!in_.At(Token::Kind::kName)) throw in_.Fault("a tag's name is expected");
          if (std::ranges::find(ends, in_.Now().text) != ends.end()) return body;
          Tag(body);
          in_.Expect(Token::Kind::kBlockEnd, "'%}'");
      }
    }
    if (ends.size() > 0)
      throw in_.Fault(Cat("the template ends where '", *ends.begin(), "' is missing"));
    return body;
  }

 private:
  StatementPtr New(StatementKind kind, int line) const {
    auto statement = std::make_unique<Statement>();
    statement->kind = kind;
    statement->line = line;
    return statement;
  }

  // The end of a tag, then statements to one of the ends.
  Body Block(EndNames ends) {
    in_.TakeSign(":");
    in_.Expect(Token::Kind::kBlockEnd, "'%}'");
    return Statements(ends);
  }
  // The same, and the end's name is taken too.
  Body WholeBlock(std::string_view end) {
    Body body = Block({end});
    in_.Take();
    return body;
  }

  void Tag(Body& body) {
    const Nesting nesting(in_);
    const int line = in_.Now().line;
    const std::string name = in_.Take().text;
    if (name == "print") return Print(body, line);
    StatementPtr statement = New(StatementKind::kIf, line);
    if (!Fill(*statement, name)) throw in_.FaultAt(line, Unknown(name));
    body.push_back(std::move(statement));
  }

  std::string Unknown(const std::string& name) const {
    if (std::ranges::find(kNoLoader, name) != std::end(kNoLoader))
      return Cat("'", name, "' needs other templates, which a model does not have");
    return Cat("the tag ", Quoted(name), " is not known here");
  }

  bool Fill(Statement& s, const std::string& name) {
    if (name == "if") {
      If(s);
    } else if (name == "for") {
      For(s);
    } else if (name == "set") {
      Set(s);
    } else if (name == "macro") {
      Macro(s);
    } else if (name == "call") {
      CallBlock(s);
    } else if (name == "filter") {
      s.kind = StatementKind::kFilterBlock;
      s.expr = expressions_.FiltersOnBlock(true);
      s.bodies.push_back(WholeBlock("endfilter"));
    } else if (name == "with") {
      With(s);
    } else if (name == "block") {
      s.kind = StatementKind::kScope;
      const std::string label = in_.AnyName("a block's name");
      in_.TakeName("scoped");
      s.bodies.push_back(WholeBlock("endblock"));
      in_.TakeName(label);
    } else if (name == "generation") {
      s.kind = StatementKind::kGeneration;
      in_.ast().has_generation = true;
      s.bodies.push_back(WithoutLoop([&] { return WholeBlock("endgeneration"); }));
    } else if (name == "do") {
      s.kind = StatementKind::kDo;
      s.expr = expressions_.TupleOrOne();
    } else if ((name == "break" || name == "continue") && loops_ > 0) {
      s.kind = name == "break" ? StatementKind::kBreak : StatementKind::kContinue;
    } else {
      return false;
    }
    return true;
  }

  void Print(Body& body, int line) {
    for (bool first = true; !in_.At(Token::Kind::kBlockEnd); first = false) {
      if (!first) in_.ExpectSign(",");
      body.push_back(New(StatementKind::kPrint, line));
      body.back()->expr = expressions_.Expression();
    }
  }

  void If(Statement& s) {
    while (true) {
      s.exprs.push_back(expressions_.TupleOrOne(false));
      s.bodies.push_back(Block({"endif", "elif", "else"}));
      const std::string next = in_.Take().text;
      if (next == "elif") continue;
      s.bodies.push_back(next == "else" ? WholeBlock("endif") : Body());
      return;
    }
  }

  void For(Statement& s) {
    s.kind = StatementKind::kFor;
    s.target = Targets(false, "in");
    in_.ExpectName("in");
    s.expr = expressions_.TupleOrOne(false, "recursive");
    if (in_.TakeName("if")) s.condition = expressions_.Expression();
    s.recursive = in_.TakeName("recursive");
    ++loops_;
    s.bodies.push_back(Block({"endfor", "else"}));
    --loops_;
    s.bodies.push_back(in_.Take().text == "else" ? WholeBlock("endfor") : Body());
  }

  void Set(Statement& s) {
    s.target = Targets(true, "");
    if (in_.TakeSign("=")) {
      s.kind = StatementKind::kSet;
      s.expr = expressions_.TupleOrOne();
      return;
    }
    s.kind = StatementKind::kSetBlock;
    s.expr = expressions_.FiltersOnBlock(false);
    s.bodies.push_back(WholeBlock("endset"));
  }

  void With(Statement& s) {
    s.kind = StatementKind::kWith;
    while (!in_.At(Token::Kind::kBlockEnd)) {
      if (!s.targets.empty()) in_.ExpectSign(",");
      s.targets.push_back(OneTarget(false));
      in_.ExpectSign("=");
      s.exprs.push_back(expressions_.Expression());
    }
    s.bodies.push_back(WholeBlock("endwith"));
  }

  // One target, or several with commas, to '=' or the end of the tag or the name `end`.
  Target Targets(bool attributes, std::string_view end) {
    Target first = OneTarget(attributes);
    if (!in_.Now().Sign(",")) return first;
    Target all;
    all.several.push_back(std::move(first));
    while (in_.TakeSign(",")) {
      const bool ended = in_.Now().Sign("=") || in_.At(Token::Kind::kBlockEnd) ||
                         (!end.empty() && in_.Now().Name(end));
      if (ended) break;
      all.several.push_back(OneTarget(attributes));
    }
    return all;
  }

  Target OneTarget(bool attributes) {
    const Nesting nesting(in_);
    if (in_.TakeSign("(")) {
      Target inner = Targets(attributes, "");
      in_.ExpectSign(")");
      return inner;
    }
    Target target;
    const std::string name = in_.AnyName("a variable's name");
    static constexpr std::string_view kConstants[] = {"true", "false", "none",
                                                      "True", "False", "None"};
    if (std::ranges::find(kConstants, name) != std::end(kConstants))
      throw in_.Fault(Cat("'", name, "' cannot be set"));
    target.variable = in_.Variable(name);
    if (attributes && in_.TakeSign(".")) target.attribute = in_.AnyName("an attribute's name");
    return target;
  }

  void Signature(MacroDefinition& macro) {
    in_.ExpectSign("(");
    while (!in_.Now().Sign(")")) {
      if (!macro.parameters.empty()) in_.ExpectSign(",");
      Parameter parameter;
      parameter.name = in_.AnyName("an argument's name");
      parameter.variable = in_.Variable(parameter.name);
      if (in_.TakeSign("="))
        parameter.fallback = expressions_.Expression();
      else if (!macro.parameters.empty() && macro.parameters.back().fallback)
        throw in_.Fault("an argument without a value follows one that has one");
      macro.parameters.push_back(std::move(parameter));
    }
    in_.ExpectSign(")");
  }

  template <class Read>
  Body WithoutLoop(const Read& read) {
    const int outer = std::exchange(loops_, 0);
    Body body = read();
    loops_ = outer;
    return body;
  }

  // The body, and which of the special names stand in it.
  void MacroBody(MacroDefinition& macro, std::string_view end) {
    in_.StartNoting();
    macro.body = WithoutLoop([&] { return WholeBlock(end); });
    const auto used = in_.Noted();
    macro.takes_caller = used[kCallerName];
    macro.takes_more = used[kVarargsName];
    macro.takes_more_named = used[kKwargsName];
  }

  void Macro(Statement& s) {
    s.kind = StatementKind::kMacro;
    s.macro = std::make_unique<MacroDefinition>();
    s.macro->line = s.line;
    s.macro->name = in_.AnyName("a macro's name");
    s.target.variable = in_.Variable(s.macro->name);
    Signature(*s.macro);
    MacroBody(*s.macro, "endmacro");
  }

  void CallBlock(Statement& s) {
    s.kind = StatementKind::kCallBlock;
    s.macro = std::make_unique<MacroDefinition>();
    s.macro->line = s.line;
    s.macro->name = "caller";
    if (in_.Now().Sign("(")) Signature(*s.macro);
    s.expr = expressions_.Expression();
    if (s.expr->kind != Expr::Kind::kCall) throw in_.Fault("a call is expected");
    MacroBody(*s.macro, "endcall");
  }

  TokenStream& in_;
  ExpressionParser expressions_;
  int loops_ = 0;
};

}  // namespace

Ast Parse(std::string_view source, const std::string& where) {
  Ast ast;
  TokenStream stream(Tokenize(source, where), where, ast);
  ast.body = Parser(stream).Statements({});
  return ast;
}

}  // namespace retort::jinja
