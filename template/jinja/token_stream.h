// SPDX-License-Identifier: Apache-2.0
// What the parsers of expressions and statements share: their place in the tokens, the names of the
// template's variables, and how deep they are.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/text.h"
#include "template/jinja/ast.h"
#include "template/jinja/lexer.h"

namespace retort::jinja {

inline constexpr int kMostNesting = 150;  // of expressions and statements in the text
inline constexpr int kDeepestTree = 500;  // a + b + c + ... is a tree of as many levels

class TokenStream {
 public:
  using Names = std::array<bool, kSpecialNames>;

  TokenStream(std::vector<Token> tokens, const std::string& where, Ast& ast)
      : tokens_(std::move(tokens)), where_(where), ast_(ast) {
    for (const char* name : {"loop", "caller", "varargs", "kwargs"}) Variable(name);
  }

  const Token& Now() const { return tokens_[at_]; }
  const Token& Ahead() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  Token Take() {
    Token token = std::move(tokens_[at_]);
    if (at_ + 1 < tokens_.size())
      ++at_;
    else
      tokens_[at_].kind = Token::Kind::kEnd;
    return token;
  }
  bool At(Token::Kind kind) const { return Now().kind == kind; }
  bool TakeSign(std::string_view sign) { return Now().Sign(sign) && (Take(), true); }
  bool TakeName(std::string_view name) { return Now().Name(name) && (Take(), true); }
  void Expect(Token::Kind kind, std::string_view what) {
    if (!At(kind)) throw Fault(Cat(what, " is expected, not ", Described()));
    Take();
  }
  void ExpectSign(std::string_view sign) {
    if (!TakeSign(sign)) throw Fault(Cat("'", sign, "' is expected, not ", Described()));
  }
  void ExpectName(std::string_view name) {
    if (!TakeName(name)) throw Fault(Cat("'", name, "' is expected, not ", Described()));
  }
  std::string AnyName(std::string_view what) {
    if (!At(Token::Kind::kName)) throw Fault(Cat(what, " is expected, not ", Described()));
    return Take().text;
  }

  // The number of a variable in Ast::names.
  int Variable(const std::string& name) {
    const auto [place, added] = variables_.emplace(name, static_cast<int>(ast_.names.size()));
    if (added) ast_.names.push_back(name);
    if (place->second < kSpecialNames) noted_[static_cast<size_t>(place->second)] = true;
    return place->second;
  }
  // Which special names stand in what is read from one call to the next. A block in the block
  // counts for both.
  void StartNoting() {
    outer_.push_back(noted_);
    noted_ = {};
  }
  Names Noted() {
    const Names used = noted_;
    for (size_t i = 0; i < used.size(); ++i) noted_[i] = used[i] || outer_.back()[i];
    outer_.pop_back();
    return used;
  }

  Error Fault(std::string_view message) const { return SyntaxFault(where_, Now().line, message); }
  Error FaultAt(int line, std::string_view message) const {
    return SyntaxFault(where_, line, message);
  }
  Ast& ast() { return ast_; }

  int depth = 0;

 private:
  std::string Described() const {
    if (At(Token::Kind::kEnd)) return "the end of the template";
    if (At(Token::Kind::kBlockEnd)) return "the end of the tag";
    if (At(Token::Kind::kPrintEnd)) return "the end of the tag";
    return Quoted(Now().text);
  }

  std::vector<Token> tokens_;
  const std::string& where_;
  Ast& ast_;
  size_t at_ = 0;
  Names noted_ = {};
  std::vector<Names> outer_;
  std::unordered_map<std::string, int, SeededTextHash, std::equal_to<>> variables_;
};

// One level of nesting as long as it lives.
class Nesting {
 public:
  explicit Nesting(TokenStream& stream) : stream_(stream) {
    if (++stream_.depth > kMostNesting) {
      throw stream_.Fault(
          Cat("more than ", kMostNesting, " expressions and blocks in one another"));
    }
  }
  ~Nesting() { --stream_.depth; }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;

 private:
  TokenStream& stream_;
};

}  // namespace retort::jinja
