// SPDX-License-Identifier: Apache-2.0
// Lark's notation: rules `name: alternatives` in lower case over terminals in upper case.
#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "grammar/characters.h"
#include "grammar/compile.h"
#include "grammar/regex_reader.h"
#include "grammar/rules.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

constexpr std::string_view kLarkEscapes = "\"\\/";
constexpr uint64_t kLetterSteps = 10;        // what a letter in any case costs
constexpr const char* kIgnored = "%ignore";  // the rule of what may stand between terminals

// Terminals of Lark's library, as regular expressions.
constexpr struct {
  std::string_view name, regex;
} kCommon[] = {
    {"DIGIT", "[0-9]"},
    {"HEXDIGIT", "[0-9A-Fa-f]"},
    {"INT", "[0-9]+"},
    {"SIGNED_INT", "[+-]?[0-9]+"},
    {"DECIMAL", "[0-9]+\\.[0-9]*|\\.[0-9]+"},
    {"_EXP", "[eE][+-]?[0-9]+"},
    {"FLOAT", "[0-9]+[eE][+-]?[0-9]+|([0-9]+\\.[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?"},
    {"SIGNED_FLOAT", "[+-]?([0-9]+[eE][+-]?[0-9]+|([0-9]+\\.[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?)"},
    {"NUMBER", "([0-9]+(\\.[0-9]*)?|\\.[0-9]+)([eE][+-]?[0-9]+)?"},
    {"SIGNED_NUMBER", "[+-]?([0-9]+(\\.[0-9]*)?|\\.[0-9]+)([eE][+-]?[0-9]+)?"},
    {"ESCAPED_STRING", "\"([^\"\\\\\\n]|\\\\[^\\n])*\""},
    {"LCASE_LETTER", "[a-z]"},
    {"UCASE_LETTER", "[A-Z]"},
    {"LETTER", "[A-Za-z]"},
    {"WORD", "[A-Za-z]+"},
    {"CNAME", "[A-Za-z_][A-Za-z_0-9]*"},
    {"WS_INLINE", "[ \\t]+"},
    {"WS", "[ \\t\\f\\r\\n]+"},
    {"CR", "\\r"},
    {"LF", "\\n"},
    {"NEWLINE", "(\\r?\\n)+"},
    {"SH_COMMENT", "#[^\\n]*"},
    {"CPP_COMMENT", "//[^\\n]*"},
    {"C_COMMENT", "/\\*([^*]|\\*+[^*/])*\\*+/"},
    {"SQL_COMMENT", "--[^\\n]*"},
};

bool IsTerminal(std::string_view name) {
  const size_t letter = name.find_first_not_of('_');
  return letter != name.npos && name[letter] >= 'A' && name[letter] <= 'Z';
}

class LarkReader : private RuleReader {
 public:
  LarkReader(std::string_view text, const std::string& where, Expressions& expressions)
      : RuleReader(text, where, expressions) {}

  Rules Read() {
    for (SkipSpace(true); !AtEnd(); SkipSpace(true)) {
      if (Next() == '%')
        Directive();
      else
        Definition();
      SkipSpace(false);
      if (!AtEnd() && Next() != '\n' && Next() != '\r') Refuse("expected the end of the line");
    }
    // Any number of them, in any order.
    rules_[kIgnored].term = Repeat(std::move(ignored_), 0, Expressions::kNoLimit);
    return std::move(rules_);
  }

 private:
  // Spaces and comments; line ends only if `lines`.
  void SkipSpace(bool lines) {
    for (; !AtEnd(); ++at_) {
      const char c = Next();
      if (c == '#' || IsNext("//")) {
        while (at_ + 1 < text_.size() && text_[at_ + 1] != '\n') ++at_;
      } else if (c != ' ' && c != '\t' && !(lines && (c == '\n' || c == '\r'))) {
        return;
      }
    }
  }

  void Directive() {
    if (Take("%import")) return Import();
    if (!Take("%ignore"))
      Refuse(Cat(Quoted(text_.substr(at_, text_.substr(at_).find_first_of(" \t\n{("))),
                 " is not supported; known are %import and %ignore"));
    in_terminal_ = true;  // nothing stands between what is ignored
    AddPart(ignored_, Alternatives(false));
  }

  // How trees are shaped (`?`, `!`, aliases) says nothing of texts.
  void Definition() {
    if (!Take("?")) Take("!");
    const std::string name = Name("");
    if (Next() == '.') Refuse("priorities are not supported");
    if (Next() == '{') Refuse("templates are not supported");
    SkipSpace(false);
    if (!Take(":")) Refuse("expected ':' behind a rule's name");
    in_terminal_ = IsTerminal(name);
    Define(name, WithoutLeftRecursion(name, Alternatives(false)));
  }
  // `a: a x | y` says the same as `a: y x*`, which does not begin with itself.
  RuleTerm WithoutLeftRecursion(const std::string& name, RuleTerm term) const {
    if (term.kind == Kind::kSequence) {
      RuleTerm choice{Kind::kChoice};
      AddPart(choice, std::move(term));
      term = std::move(choice);
    }
    RuleTerm first{Kind::kChoice}, more{Kind::kChoice};
    for (RuleTerm& one : term.parts) {
      const bool begins = !one.parts.empty() && one.parts[0].rule == name;
      if (begins) one.parts.erase(one.parts.begin());
      AddPart(begins ? more : first, std::move(one));
    }
    if (more.parts.empty()) return first;
    RuleTerm whole{Kind::kSequence};
    AddPart(whole, std::move(first));
    AddPart(whole, Repeat(std::move(more), 0, Expressions::kNoLimit));
    return whole;
  }
  void Define(const std::string& name, RuleTerm term) {
    if (!rules_.try_emplace(name, Rule{std::move(term), IsTerminal(name)}).second)
      Refuse(Cat(Quoted(name), " is defined twice"));
  }

  // common.NAME, common.NAME -> ALIAS, common (NAME, NAME)
  void Import() {
    SkipSpace(false);
    if (!Take("common")) Refuse("only 'common' can be imported from");
    if (Take(".")) {
      const std::string name = Name("");
      SkipSpace(false);
      std::string alias = name;
      if (Take("->")) {
        SkipSpace(false);
        alias = Name("");
        if (!IsTerminal(alias)) Refuse("a terminal's name is in upper case");
      }
      return Define(alias, Common(name));
    }
    SkipSpace(false);
    if (!Take("(")) Refuse("expected common.NAME or common (NAME, ...)");
    do {
      SkipSpace(true);
      const std::string name = Name("");
      Define(name, Common(name));
      SkipSpace(true);
    } while (Take(","));
    if (!Take(")")) Refuse("expected ')'");
  }
  RuleTerm Common(std::string_view name) const {
    for (const auto& [known, regex] : kCommon)
      if (known == name) return {Kind::kExpression, Regex(regex)};
    Refuse(Cat("there is no common.", name));
  }
  ExpressionId Regex(std::string_view regex) const {
    return ReadWholeRegex(e_, regex, Spelling::kUtf8, where_);
  }

  RuleTerm Alternatives(bool nested) {
    OpenGroup();
    RuleTerm choice{Kind::kChoice};
    do {
      AddPart(choice, Sequence(nested));
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
      if (std::string_view("|)]\r\n").find(Next()) != std::string_view::npos) break;
      if (Take("->")) {
        SkipSpace(false);
        Name("");
        continue;
      }
      AddPart(sequence, Repeated(Part()));
    }
    return sequence;
  }

  RuleTerm Part() {
    if (Take("(")) return Group(")");
    if (Take("[")) return Repeat(Group("]"), 0, 1);
    RuleTerm term;
    if (Take("\"")) {
      term.expression = Literal();
    } else if (Take("/")) {
      term.expression = Slashed();
    } else if (Next() == '<' || Next() == '@' || Next() == '%') {
      Refuse("tokens, other grammars and schemas within a grammar are not supported");
    } else {
      term.kind = Kind::kRule;
      term.rule = Name("");
      if (!IsTerminal(term.rule)) {
        if (in_terminal_) Refuse(Cat("a terminal cannot be made of the rule ", Quoted(term.rule)));
        return term;
      }
    }
    if (in_terminal_) return term;
    RuleTerm spaced{Kind::kSequence};
    AddPart(spaced, {Kind::kRule, Expressions::kEmpty, kIgnored});
    AddPart(spaced, std::move(term));
    return spaced;
  }
  RuleTerm Group(std::string_view end) {
    RuleTerm group = Alternatives(true);
    if (!Take(end)) Refuse(Cat("expected '", end, "'"));
    return group;
  }

  // Behind the quote: a text, one in any case, or a range of two.
  ExpressionId Literal() {
    const std::u32string text = Quote();
    const bool any_case = Take("i");
    SkipSpace(false);
    if (!any_case && Take("..")) {
      SkipSpace(false);
      const std::u32string last = Take("\"") ? Quote() : U"";
      if (text.size() != 1 || last.size() != 1 || last < text)
        Refuse("expected a range of two characters, as \"a\"..\"z\"");
      return OneOf(e_, CodeSet({{text[0], last[0]}}), Spelling::kUtf8);
    }
    if (!any_case) {
      std::string bytes;
      for (const char32_t c : text) AppendUtf8(c, &bytes);
      return e_.Literal(bytes);
    }
    e_.Charge(kLetterSteps * text.size());
    std::vector<ExpressionId> letters;
    letters.reserve(text.size());
    for (const char32_t c : text) letters.push_back(AnyCase(c));
    return e_.Concat(letters);
  }
  std::u32string Quote() {
    std::u32string text;
    while (!Take("\"")) text += Take("\\f") ? U'\f' : Character("a text", kLarkEscapes);
    return text;
  }
  ExpressionId AnyCase(char32_t c) const {
    if (c > 127) Refuse("only ASCII letters may be in any case");
    const bool letter = (c | 32) >= 'a' && (c | 32) <= 'z';
    const char32_t other = letter ? c ^ 32 : c;
    return OneOf(e_, CodeSet({{c, c}, {other, other}}), Spelling::kUtf8);
  }

  // Behind the slash: a regular expression.
  ExpressionId Slashed() {
    std::string regex;
    while (!Take("/")) {
      if (AtEnd() || Next() == '\n') Refuse("a regular expression does not end on its line");
      if (Take("\\/")) {
        regex += '/';
        continue;
      }
      if (Next() == '\\' && at_ + 1 < text_.size()) regex += text_[at_++];
      regex += text_[at_++];
    }
    if (std::string_view("imslx").find(Next()) != std::string_view::npos && !AtEnd())
      Refuse("options of regular expressions are not supported; write [aA] or [\\s\\S], say");
    return Regex(regex);
  }

  RuleTerm Repeated(RuleTerm term) {
    SkipSpace(false);
    if (Take("*")) return Repeat(std::move(term), 0, Expressions::kNoLimit);
    if (Take("+")) return Repeat(std::move(term), 1, Expressions::kNoLimit);
    if (Take("?")) return Repeat(std::move(term), 0, 1);
    const bool braces = Take("{");
    if (!braces && !Take("~")) return term;
    SkipSpace(false);
    const uint32_t least = braces && IsNext(",") ? 0 : Number();
    uint32_t most = least;
    SkipSpace(false);
    if (Take(braces ? "," : "..")) {
      SkipSpace(false);
      most = braces && IsNext("}") ? Expressions::kNoLimit : Number();
      SkipSpace(false);
    }
    if ((braces && !Take("}")) || least > most)
      Refuse("expected ~n, ~m..n, {n}, {m,}, {,n} or {m,n}");
    return Repeat(std::move(term), least, most);
  }

  Rules rules_;
  RuleTerm ignored_{Kind::kChoice};
  bool in_terminal_ = false;  // of what is read
};

}  // namespace

NodeId CompileLark(std::string_view text, const std::string& where, GrammarParts& parts) {
  return CompileRules(LarkReader(text, where, parts.expressions).Read(), "start", where, parts);
}

GrammarSource::Kind NotationOf(std::string_view text) {
  using Kind = GrammarSource::Kind;
  const auto skip = [&](std::string_view bytes) {
    text.remove_prefix(std::min(text.find_first_not_of(bytes), text.size()));
  };
  for (skip(" \t\r\n"); text.starts_with("#") || text.starts_with("//"); skip(" \t\r\n"))
    text.remove_prefix(std::min(text.find('\n'), text.size()));
  if (text.starts_with("%") || text.starts_with("?") || text.starts_with("!")) return Kind::kLark;
  skip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
  if (text.starts_with(".")) return Kind::kLark;
  skip(" \t");
  return text.starts_with(":") && !text.starts_with("::=") ? Kind::kLark : Kind::kGbnf;
}

}  // namespace retort
