// SPDX-License-Identifier: Apache-2.0
// The parts of a JSON text as terminals.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "grammar/characters.h"
#include "grammar/parser.h"
#include "grammar/source.h"

namespace retort {

// A number as decimal digits, exactly as it is written.
struct Decimal {
  bool negative = false;
  std::string whole = "0", fraction;  // without superfluous zeros

  // nullopt: not a number, or one with more than 400 digits.
  static std::optional<Decimal> Of(const Json& number);
  bool IsZero() const { return whole == "0" && fraction.empty(); }
};

struct NumberBounds {
  std::optional<Decimal> least, most;
  bool above = false, below = false;  // the bounds themselves are excluded
};

// How strings are written.
struct StringForm {
  Spelling spelling = Spelling::kJson;  // kUtf8: as they are, without quotes
  std::string without = {};             // what is in none of them; "": anything may be
};

class JsonTerms {
 public:
  JsonTerms(GrammarParts& parts, JsonSpace space, StringForm form = {});

  // Characters of a string: any way to write one, and the one way (the form's spelling).
  ExpressionId any_character() const { return any_; }
  ExpressionId character() const { return character_; }
  Spelling spelling() const { return form_.spelling; }
  // A string of this content, and of this text; StringLiteral is kNothing if the form has none.
  ExpressionId Quoted(ExpressionId content);
  std::string QuotedText(std::string_view text) const;
  ExpressionId StringLiteral(std::string_view text);

  ExpressionId Integer() const { return integer_; }
  ExpressionId Number();        // with exponents
  ExpressionId Plain();         // a number without exponent, of a few decimals
  ExpressionId WithFraction();  // the same that is no integer
  // Numbers of one sign and no exponent within bounds.
  ExpressionId Within(const NumberBounds& bounds);
  // The ways to write this number without an exponent.
  ExpressionId Spellings(const Decimal& number);
  // Integers that a whole number divides.
  ExpressionId MultiplesOf(uint32_t divisor);
  // Numbers of at most so many decimals.
  ExpressionId Decimals(uint32_t most);

  NodeId Open(char bracket);
  NodeId Close(char bracket);
  NodeId Comma() const { return comma_; }
  NodeId Colon() const { return colon_; }
  // A value as it is, its objects' members in their order.
  NodeId Value(const Json& value);
  // Any value.
  NodeId Anything();

 private:
  ExpressionId Text(std::string_view text) { return e_.Literal(text); }
  ExpressionId Digits(uint32_t least, uint32_t most);
  ExpressionId WholeAbove(const std::string& whole);
  ExpressionId WholeBelow(const std::string& whole);
  ExpressionId FractionFrom(std::string_view fraction, bool strictly);
  ExpressionId FractionUpTo(std::string_view fraction, bool strictly);
  ExpressionId SizeFrom(const Decimal& bound, bool strictly);
  ExpressionId SizeUpTo(const Decimal& bound, bool strictly);
  // `within` with any fraction, or the bound's own whole number with one of `digits`.
  ExpressionId Sized(ExpressionId within, const std::string& whole, ExpressionId digits);
  ExpressionId AnySize();

  Expressions& e_;
  Productions& p_;
  const StringForm form_;
  ExpressionId space_;
  ExpressionId any_, character_, digit_, nonzero_, whole_, integer_;
  NodeId comma_, colon_, anything_ = Productions::kNothing;
};

}  // namespace retort
