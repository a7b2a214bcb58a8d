// SPDX-License-Identifier: Apache-2.0
#include "grammar/rules.h"

#include <optional>
#include <unordered_set>

#include "base/error.h"
#include "base/text.h"
#include "grammar/compile.h"

namespace retort {
namespace {

class RuleCompiler {
 public:
  RuleCompiler(const Rules& rules, const std::string& where, GrammarParts& parts)
      : rules_(rules), where_(where), e_(parts.expressions), p_(parts.productions) {}

  NodeId Compile(const std::string& start) {
    if (!rules_.contains(start))
      throw InputError(where_, ": the grammar has no rule ", Quoted(start));
    return RuleNode(start);
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
    explicit Level(RuleCompiler& compiler) : depth_(compiler.depth_) {
      if (depth_ >= RuleReader::kMostDepth)
        throw InputError(compiler.where_, ": the rules nest too deeply");
      ++depth_;
    }
    ~Level() { --depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    int& depth_;
  };

  const Rule& RuleOf(const std::string& name) const {
    const auto at = rules_.find(name);
    if (at == rules_.end()) throw InputError(where_, ": there is no rule ", Quoted(name));
    return at->second;
  }

  // nullopt: it is recursive, or uses such a rule.
  std::optional<ExpressionId> RuleExpression(const std::string& name) {
    const auto [at, added] = expressions_.try_emplace(name);
    if (!added) return at->second.open ? std::nullopt : at->second.expression;
    const std::optional<ExpressionId> expression = ExpressionOf(RuleOf(name).term);
    Compiled& compiled = expressions_[name];
    compiled.open = false;
    return compiled.expression = expression;
  }

  std::optional<ExpressionId> ExpressionOf(const RuleTerm& term) {
    if (term.kind == RuleTerm::Kind::kExpression) return term.expression;
    if (term.kind != RuleTerm::Kind::kRule && recursive_.contains(&term)) return std::nullopt;
    const Level level(*this);
    if (term.kind == RuleTerm::Kind::kRule) return RuleExpression(term.rule);
    std::vector<ExpressionId> parts;
    parts.reserve(term.parts.size());
    for (const RuleTerm& part : term.parts) {
      const std::optional<ExpressionId> expression = ExpressionOf(part);
      if (!expression) {
        recursive_.insert(&term);
        return std::nullopt;
      }
      parts.push_back(*expression);
    }
    if (term.kind == RuleTerm::Kind::kSequence) return e_.Concat(parts);
    if (term.kind == RuleTerm::Kind::kChoice) return e_.Union(std::move(parts));
    return e_.Repeat(parts[0], term.least, term.most);
  }

  NodeId RuleNode(const std::string& name) {
    if (const auto at = nodes_.find(name); at != nodes_.end()) return at->second;
    if (const auto expression = RuleExpression(name))
      return nodes_[name] = p_.Terminal(*expression);
    if (RuleOf(name).regular)
      throw InputError(where_, ": the terminal ", Quoted(name), " contains itself");
    const NodeId rule = nodes_[name] = p_.Rule();
    p_.Define(rule, NodeOf(RuleOf(name).term));
    return rule;
  }

  NodeId NodeOf(const RuleTerm& term) {
    const Level level(*this);
    if (term.kind == RuleTerm::Kind::kRule) return RuleNode(term.rule);
    if (const auto expression = ExpressionOf(term)) return p_.Terminal(*expression);
    std::vector<NodeId> parts;
    parts.reserve(term.parts.size());
    for (const RuleTerm& part : term.parts) parts.push_back(NodeOf(part));
    if (term.kind == RuleTerm::Kind::kSequence) return p_.Sequence(parts);
    if (term.kind == RuleTerm::Kind::kChoice) return p_.Choice(parts);
    return p_.Repeat(parts[0], term.least, term.most);
  }

  const Rules& rules_;
  const std::string& where_;
  Expressions& e_;
  Productions& p_;
  std::map<std::string, Compiled> expressions_;
  std::map<std::string, NodeId> nodes_;
  std::unordered_set<const RuleTerm*> recursive_;  // terms that are no expressions
  int depth_ = 0;
};

}  // namespace

NodeId CompileRules(const Rules& rules, const std::string& start, const std::string& where,
                    GrammarParts& parts) {
  return RuleCompiler(rules, where, parts).Compile(start);
}

}  // namespace retort
