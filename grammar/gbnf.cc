// SPDX-License-Identifier: Apache-2.0
// llama.cpp's GBNF: rules `name ::= alternatives` over characters.
#include "base/error.h"
#include "base/text.h"
#include "grammar/characters.h"
#include "grammar/compile.h"
#include "grammar/rules.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

constexpr std::string_view kGbnfEscapes = "\"\\[]-^";

class GbnfReader : private RuleReader {
 public:
  GbnfReader(std::string_view text, const std::string& where, Expressions& expressions)
      : RuleReader(text, where, expressions) {}

  Rules Read() {
    Rules rules;
    for (SkipSpace(true); !AtEnd(); SkipSpace(true)) {
      const std::string name = Name("-");
      SkipSpace(false);
      if (!Take("::=")) Refuse("expected '::=' behind a rule's name");
      SkipSpace(true);
      if (!rules.try_emplace(name, Rule{Alternatives(false)}).second)
        Refuse(Cat("rule ", Quoted(name), " is defined twice"));
      SkipSpace(false);
      if (!AtEnd() && Next() != '\n' && Next() != '\r') Refuse("expected the end of the rule");
    }
    return rules;
  }

 private:
  // Spaces and comments; line ends only if `lines`.
  void SkipSpace(bool lines) {
    for (; !AtEnd(); ++at_) {
      const char c = Next();
      if (c == '#') {
        while (at_ + 1 < text_.size() && text_[at_ + 1] != '\n') ++at_;
      } else if (c != ' ' && c != '\t' && !(lines && (c == '\n' || c == '\r'))) {
        return;
      }
    }
  }

  RuleTerm Alternatives(bool nested) {
    OpenGroup();
    RuleTerm choice{Kind::kChoice};
    do {
      SkipSpace(true);
      AddPart(choice, Sequence(nested));
      SkipSpace(nested);
      if (!nested && Continues()) SkipSpace(true);
    } while (Take("|"));
    CloseGroup();
    return std::move(choice.parts.size() == 1 ? choice.parts[0] : choice);
  }
  // Whether the next line goes on with an alternative.
  bool Continues() {
    const size_t before = at_;
    SkipSpace(true);
    const bool goes_on = Next() == '|';
    if (!goes_on) at_ = before;
    return goes_on;
  }

  RuleTerm Sequence(bool nested) {
    RuleTerm sequence{Kind::kSequence};
    for (SkipSpace(nested); !AtEnd(); SkipSpace(nested)) {
      const char c = Next();
      if (c == '|' || c == ')' || c == '\n' || c == '\r') break;
      AddPart(sequence, Repeated(Part()));
    }
    return sequence;
  }

  RuleTerm Part() {
    if (Take("(")) {
      RuleTerm group = Alternatives(true);
      SkipSpace(true);
      if (!Take(")")) Refuse("expected ')'");
      return group;
    }
    RuleTerm term;
    if (Take("\"")) {
      std::string literal;
      while (!Take("\"")) AppendUtf8(Character("a text", kGbnfEscapes), &literal);
      term.expression = e_.Literal(literal);
    } else if (Take("[")) {
      term.expression = OneOf(e_, Bracket(), Spelling::kUtf8);
    } else if (Take(".")) {
      term.expression = OneOf(e_, AllCharacters(), Spelling::kUtf8);
    } else if (Next() == '<' || Next() == '!') {
      Refuse("tokens in a grammar are not supported; write their text");
    } else {
      term.kind = Kind::kRule;
      term.rule = Name("-");
    }
    return term;
  }

  CodeSet Bracket() {
    const bool inverted = Take("^");
    std::vector<CodeRange> ranges;
    while (!Take("]")) {
      const char32_t first = Character("a set", kGbnfEscapes);
      char32_t last = first;
      if (IsNext("-") && !IsNext("-]")) {
        Take("-");
        last = Character("a set", kGbnfEscapes);
      }
      if (last < first) Refuse("a range's ends are out of order");
      ranges.push_back({first, last});
    }
    const CodeSet set(std::move(ranges));
    return inverted ? AllCharacters().Without(set) : set;
  }

  RuleTerm Repeated(RuleTerm term) {
    for (;;) {
      SkipSpace(false);
      if (Take("*")) {
        term = Repeat(std::move(term), 0, Expressions::kNoLimit);
      } else if (Take("+")) {
        term = Repeat(std::move(term), 1, Expressions::kNoLimit);
      } else if (Take("?")) {
        term = Repeat(std::move(term), 0, 1);
      } else if (Take("{")) {
        SkipSpace(false);
        const uint32_t least = Number();
        uint32_t most = least;
        SkipSpace(false);
        if (Take(",")) {
          SkipSpace(false);
          most = IsNext("}") ? Expressions::kNoLimit : Number();
        }
        SkipSpace(false);
        if (!Take("}") || least > most) Refuse("expected {m}, {m,} or {m,n}");
        term = Repeat(std::move(term), least, most);
      } else {
        return term;
      }
    }
  }
};

}  // namespace

NodeId CompileGbnf(std::string_view text, const std::string& where, GrammarParts& parts) {
  return CompileRules(GbnfReader(text, where, parts.expressions).Read(), "root", where, parts);
}

}  // namespace retort
