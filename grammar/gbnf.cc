// SPDX-License-Identifier: Apache-2.0
// llama.cpp's GBNF: rules `name ::= alternatives` over characters.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_set>

#include "base/error.h"
#include "base/text.h"
#include "grammar/characters.h"
#include "grammar/compile.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

constexpr size_t kMostBytes = size_t{1} << 20;
constexpr int kMostGroups = 200;  // one within the other
// Of terms within terms, through rules too. What follows terms calls itself for each.
constexpr int kMostDepth = 1000;
constexpr uint32_t kMostCount = 1'000'000;

// A part of a rule: an expression as long as no recursive rule is in it.
struct Term {
  enum class Kind { kExpression, kRule, kSequence, kChoice, kRepeat };
  Kind kind = Kind::kExpression;
  ExpressionId expression = Expressions::kEmpty;
  std::string rule = {};
  std::vector<Term> parts = {};
  int depth = 1;  // one more than that of its deepest part
  uint32_t least = 0, most = 0;
};

bool IsNameByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

class GbnfReader {
 public:
  GbnfReader(std::string_view text, const std::string& where, Expressions& expressions)
      : text_(text), where_(where), e_(expressions) {
    if (text.size() > kMostBytes)
      throw InputError(where, ": a grammar may have at most ", kMostBytes, " bytes");
    if (ValidUtf8End(text, 0) != text.size()) Refuse("the grammar is not UTF-8");
  }

  std::map<std::string, Term> Read() {
    std::map<std::string, Term> rules;
    for (SkipSpace(true); at_ < text_.size(); SkipSpace(true)) {
      const std::string name = Name();
      SkipSpace(false);
      if (!Take("::=")) Refuse("expected '::=' behind a rule's name");
      SkipSpace(true);
      if (!rules.try_emplace(name, Alternatives(false)).second)
        Refuse(Cat("rule ", Quoted(name), " is defined twice"));
      SkipSpace(false);
      if (at_ < text_.size() && text_[at_] != '\n' && text_[at_] != '\r')
        Refuse("expected the end of the rule");
    }
    return rules;
  }

 private:
  [[noreturn]] void Refuse(std::string_view what) const {
    size_t line = 1;
    for (size_t i = 0; i < at_ && i < text_.size(); ++i) line += text_[i] == '\n';
    throw InputError(where_, ":", line, ": ", what);
  }
  bool Take(std::string_view expected) {
    if (!text_.substr(at_).starts_with(expected)) return false;
    at_ += expected.size();
    return true;
  }
  // Spaces and comments; line ends only if `lines`.
  void SkipSpace(bool lines) {
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '#') {
        while (at_ + 1 < text_.size() && text_[at_ + 1] != '\n') ++at_;
      } else if (c != ' ' && c != '\t' && !(lines && (c == '\n' || c == '\r'))) {
        return;
      }
    }
  }
  std::string Name() {
    const size_t begin = at_;
    while (at_ < text_.size() && IsNameByte(text_[at_])) ++at_;
    if (at_ == begin) Refuse("expected the name of a rule");
    return std::string(text_.substr(begin, at_ - begin));
  }

  void AddPart(Term& whole, Term part) const {
    whole.depth = std::max(whole.depth, part.depth + 1);
    if (whole.depth > kMostDepth) Refuse("the rule nests too deeply");
    whole.parts.push_back(std::move(part));
  }

  Term Alternatives(bool nested) {
    if (++groups_ > kMostGroups) Refuse("the rule nests too deeply");
    Term choice{Term::Kind::kChoice};
    do {
      SkipSpace(true);
      AddPart(choice, Sequence(nested));
      SkipSpace(nested);
      if (!nested && Continues()) SkipSpace(true);
    } while (Take("|"));
    --groups_;
    return std::move(choice.parts.size() == 1 ? choice.parts[0] : choice);
  }
  // Whether the next line goes on with an alternative.
  bool Continues() {
    const size_t before = at_;
    SkipSpace(true);
    const bool goes_on = at_ < text_.size() && text_[at_] == '|';
    if (!goes_on) at_ = before;
    return goes_on;
  }

  Term Sequence(bool nested) {
    Term sequence{Term::Kind::kSequence};
    for (SkipSpace(nested); at_ < text_.size(); SkipSpace(nested)) {
      const char c = text_[at_];
      if (c == '|' || c == ')' || c == '\n' || c == '\r') break;
      AddPart(sequence, Repeated(Part()));
    }
    return sequence;
  }

  Term Part() {
    if (Take("(")) {
      Term group = Alternatives(true);
      SkipSpace(true);
      if (!Take(")")) Refuse("expected ')'");
      return group;
    }
    Term term;
    if (Take("\"")) {
      std::string literal;
      while (!Take("\"")) AppendUtf8(Character("a text"), &literal);
      term.expression = e_.Literal(literal);
    } else if (Take("[")) {
      term.expression = OneOf(e_, Bracket(), Spelling::kUtf8);
    } else if (Take(".")) {
      term.expression = OneOf(e_, AllCharacters(), Spelling::kUtf8);
    } else if (text_[at_] == '<' || text_[at_] == '!') {
      Refuse("tokens in a grammar are not supported; write their text");
    } else {
      term.kind = Term::Kind::kRule;
      term.rule = Name();
    }
    return term;
  }

  CodeSet Bracket() {
    const bool inverted = Take("^");
    std::vector<CodeRange> ranges;
    while (!Take("]")) {
      const char32_t first = Character("a set");
      char32_t last = first;
      if (text_.substr(at_).starts_with("-") && !text_.substr(at_).starts_with("-]")) {
        Take("-");
        last = Character("a set");
      }
      if (last < first) Refuse("a range's ends are out of order");
      ranges.push_back({first, last});
    }
    const CodeSet set(std::move(ranges));
    return inverted ? AllCharacters().Without(set) : set;
  }

  char32_t Character(std::string_view within) {
    if (at_ >= text_.size() || text_[at_] == '\n') Refuse(Cat(within, " does not end on its line"));
    if (!Take("\\")) {
      const Utf8Char c = DecodeUtf8(text_, at_);
      at_ += static_cast<size_t>(c.size);
      return c.code;
    }
    if (at_ >= text_.size()) Refuse("a backslash ends the grammar");
    const char c = text_[at_++];
    switch (c) {
      case 'n':
        return '\n';
      case 'r':
        return '\r';
      case 't':
        return '\t';
      case 'x':
        return Hex(2);
      case 'u':
        return Hex(4);
      case 'U':
        return Hex(8);
      case '"':
      case '\\':
      case '[':
      case ']':
      case '-':
      case '^':
        return static_cast<char32_t>(c);
      default:
        Refuse(Cat("the escape ", Quoted(std::string("\\") + c), " is not known"));
    }
  }
  char32_t Hex(int digits) {
    char32_t code = 0;
    for (int i = 0; i < digits; ++i, ++at_) {
      const int digit = at_ < text_.size() ? HexDigit(text_[at_]) : -1;
      if (digit < 0) Refuse("an escape lacks digits");
      code = code * 16 + static_cast<char32_t>(digit);
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
      Refuse("an escape names no character");
    return code;
  }

  Term Repeated(Term term) {
    for (;;) {
      SkipSpace(false);
      uint32_t least = 0, most = Expressions::kNoLimit;
      if (Take("*")) {
      } else if (Take("+")) {
        least = 1;
      } else if (Take("?")) {
        most = 1;
      } else if (Take("{")) {
        SkipSpace(false);
        least = most = Number();
        SkipSpace(false);
        if (Take(",")) {
          SkipSpace(false);
          most = text_.substr(at_).starts_with("}") ? Expressions::kNoLimit : Number();
        }
        SkipSpace(false);
        if (!Take("}") || least > most) Refuse("expected {m}, {m,} or {m,n}");
      } else {
        return term;
      }
      Term repeat{Term::Kind::kRepeat};
      repeat.least = least, repeat.most = most;
      AddPart(repeat, std::move(term));
      term = std::move(repeat);
    }
  }
  uint32_t Number() {
    uint64_t number = 0;
    const size_t begin = at_;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_)
      number =
          std::min<uint64_t>(number * 10 + static_cast<uint64_t>(text_[at_] - '0'), kMostCount + 1);
    if (at_ == begin || number > kMostCount) Refuse(Cat("expected a count up to ", kMostCount));
    return static_cast<uint32_t>(number);
  }

  std::string_view text_;
  const std::string& where_;
  Expressions& e_;
  size_t at_ = 0;
  int groups_ = 0;  // that are open
};

// Rules that do not reach themselves become expressions, the others productions.
class GbnfCompiler {
 public:
  GbnfCompiler(const std::map<std::string, Term>& rules, const std::string& where,
               GrammarParts& parts)
      : rules_(rules), where_(where), e_(parts.expressions), p_(parts.productions) {}

  NodeId Compile() {
    if (!rules_.contains("root")) throw InputError(where_, ": the grammar has no rule 'root'");
    return RuleNode("root");
  }

 private:
  struct Compiled {
    bool open = true;                        // being compiled
    std::optional<ExpressionId> expression;  // if it is not recursive
    std::optional<NodeId> node;
  };
  // Counts a call within calls.
  class Level {
   public:
    explicit Level(GbnfCompiler& compiler) : depth_(compiler.depth_) {
      if (depth_ >= kMostDepth) throw InputError(compiler.where_, ": the rules nest too deeply");
      ++depth_;
    }
    ~Level() { --depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    int& depth_;
  };

  const Term& TermOf(const std::string& name) const {
    const auto at = rules_.find(name);
    if (at == rules_.end()) throw InputError(where_, ": there is no rule ", Quoted(name));
    return at->second;
  }

  // nullopt: it is recursive, or uses such a rule.
  std::optional<ExpressionId> RuleExpression(const std::string& name) {
    const auto [at, added] = expressions_.try_emplace(name);
    if (!added) return at->second.open ? std::nullopt : at->second.expression;
    const std::optional<ExpressionId> expression = ExpressionOf(TermOf(name));
    Compiled& compiled = expressions_[name];
    compiled.open = false;
    return compiled.expression = expression;
  }

  std::optional<ExpressionId> ExpressionOf(const Term& term) {
    if (term.kind == Term::Kind::kExpression) return term.expression;
    if (term.kind != Term::Kind::kRule && recursive_.contains(&term)) return std::nullopt;
    const Level level(*this);
    if (term.kind == Term::Kind::kRule) return RuleExpression(term.rule);
    std::vector<ExpressionId> parts;
    parts.reserve(term.parts.size());
    for (const Term& part : term.parts) {
      const std::optional<ExpressionId> expression = ExpressionOf(part);
      if (!expression) {
        recursive_.insert(&term);
        return std::nullopt;
      }
      parts.push_back(*expression);
    }
    if (term.kind == Term::Kind::kSequence) return e_.Concat(parts);
    if (term.kind == Term::Kind::kChoice) return e_.Union(std::move(parts));
    return e_.Repeat(parts[0], term.least, term.most);
  }

  NodeId RuleNode(const std::string& name) {
    if (const auto at = nodes_.find(name); at != nodes_.end()) return at->second;
    if (const auto expression = RuleExpression(name))
      return nodes_[name] = p_.Terminal(*expression);
    const NodeId rule = nodes_[name] = p_.Rule();
    p_.Define(rule, NodeOf(TermOf(name)));
    return rule;
  }

  NodeId NodeOf(const Term& term) {
    const Level level(*this);
    if (term.kind == Term::Kind::kRule) return RuleNode(term.rule);
    if (const auto expression = ExpressionOf(term)) return p_.Terminal(*expression);
    std::vector<NodeId> parts;
    parts.reserve(term.parts.size());
    for (const Term& part : term.parts) parts.push_back(NodeOf(part));
    if (term.kind == Term::Kind::kSequence) return p_.Sequence(parts);
    if (term.kind == Term::Kind::kChoice) return p_.Choice(parts);
    return p_.Repeat(parts[0], term.least, term.most);
  }

  const std::map<std::string, Term>& rules_;
  const std::string& where_;
  Expressions& e_;
  Productions& p_;
  std::map<std::string, Compiled> expressions_;
  std::map<std::string, NodeId> nodes_;
  std::unordered_set<const Term*> recursive_;  // terms that are no expressions
  int depth_ = 0;
};

}  // namespace

NodeId CompileGbnf(std::string_view text, const std::string& where, GrammarParts& parts) {
  const std::map<std::string, Term> rules = GbnfReader(text, where, parts.expressions).Read();
  return GbnfCompiler(rules, where, parts).Compile();
}

}  // namespace retort
