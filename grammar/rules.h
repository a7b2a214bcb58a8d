// SPDX-License-Identifier: Apache-2.0
// Grammars of named rules: what GBNF and Lark are read into.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "grammar/productions.h"

namespace retort {

struct GrammarParts;

// A part of a rule: an expression as long as no recursive rule is in it.
struct RuleTerm {
  enum class Kind { kExpression, kRule, kSequence, kChoice, kRepeat };
  Kind kind = Kind::kExpression;
  ExpressionId expression = Expressions::kEmpty;
  std::string rule = {};
  std::vector<RuleTerm> parts = {};
  int depth = 1;  // one more than that of its deepest part
  uint32_t least = 0, most = 0;
};

struct Rule {
  RuleTerm term;
  bool regular = false;  // it may not contain itself
};
using Rules = std::map<std::string, Rule>;

// What `start` stands for. Rules that do not reach themselves become expressions, the others
// productions. Throws Error{kInput} beginning with `where`.
NodeId CompileRules(const Rules& rules, const std::string& start, const std::string& where,
                    GrammarParts& parts);

// What readers of both notations need.
class RuleReader {
 public:
  static constexpr size_t kMostBytes = size_t{1} << 20;
  static constexpr int kMostGroups = 200;  // one within the other
  // Of terms within terms, through rules too. What follows terms calls itself for each.
  static constexpr int kMostDepth = 1000;
  static constexpr uint32_t kMostCount = 1'000'000;

 protected:
  using Kind = RuleTerm::Kind;

  RuleReader(std::string_view text, const std::string& where, Expressions& expressions);

  [[noreturn]] void Refuse(std::string_view what) const;  // "WHERE:LINE: WHAT"
  bool AtEnd() const { return at_ >= text_.size(); }
  char Next() const { return AtEnd() ? '\0' : text_[at_]; }
  bool IsNext(std::string_view expected) const { return text_.substr(at_).starts_with(expected); }
  bool Take(std::string_view expected);
  // The bytes of a name. Refuses where there are none.
  std::string Name(std::string_view more_bytes);

  // The character behind a backslash. `plain`: those that stand for themselves.
  char32_t Escaped(std::string_view plain);
  // One of a literal or a set, within which `within` is named in errors.
  char32_t Character(std::string_view within, std::string_view plain);
  uint32_t Number();

  void AddPart(RuleTerm& whole, RuleTerm part) const;
  RuleTerm Repeat(RuleTerm term, uint32_t least, uint32_t most) const;
  // Counts open groups; one for each of a rule's alternatives.
  void OpenGroup();
  void CloseGroup() { --groups_; }

  std::string_view text_;
  const std::string& where_;
  Expressions& e_;
  size_t at_ = 0;

 private:
  char32_t Hex(int digits);

  int groups_ = 0;
};

}  // namespace retort
