// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "grammar/formats.h"
#include "grammar/regex_reader.h"
#include "grammar/schema_compiler.h"

namespace retort {
namespace {

// Decimals of a power of ten such as 0.01; 0 for others.
uint32_t DecimalsOf(const Decimal& step) {
  if (step.whole != "0" || step.fraction.empty() || step.fraction.size() > 9) return 0;
  if (step.fraction.find_first_not_of('0') + 1 != step.fraction.size()) return 0;
  return step.fraction.back() == '1' ? static_cast<uint32_t>(step.fraction.size()) : 0;
}

}  // namespace

bool SchemaCompiler::Accepts(ExpressionId expression, std::string_view text) {
  for (const char c : text) {
    expression = e_.Derivative(expression, static_cast<uint8_t>(c));
    if (expression == Expressions::kNothing) return false;
  }
  return e_.Nullable(expression);
}

// A string that matches a "pattern", with its quotes.
ExpressionId SchemaCompiler::PatternOf(const Json& schema, const Json& pattern) {
  if (!pattern.is_string()) document_.Refuse(schema, "'pattern' must be a text");
  const auto& text = pattern.get_ref<const std::string&>();
  if (const auto at = patterns_.find(text); at != patterns_.end()) return at->second;
  try {
    const ExpressionId content =
        ReadSearchRegex(e_, text, terms_.spelling(), terms_.character(), "'pattern'");
    return patterns_[text] = terms_.Quoted(content);
  } catch (const Error& e) {
    if (e.kind() != Error::Kind::kInput) throw;
    document_.Refuse(schema, e.what());
  }
}

ExpressionId SchemaCompiler::StringOf(const Goal& items) {
  const Counts counts = CountsOf(items, "minLength", "maxLength");
  if (counts.least > counts.most) return Expressions::kNothing;
  std::vector<ExpressionId> conditions;
  for (const Item& item : items) {
    if (const Json* pattern = Get(item, "pattern"))
      conditions.push_back(PatternOf(*item.schema, *pattern));
    const Json* negated = NegatedAtom(item);
    if (negated && negated->contains("pattern"))
      conditions.push_back(e_.Not(PatternOf(*item.schema, (*negated)["pattern"])));
    if (negated && negated->contains("enum")) {
      Spend((*negated)["enum"].size() / kTextsPerWork);
      for (const Json& value : (*negated)["enum"])
        if (value.is_string())
          conditions.push_back(e_.Not(terms_.StringLiteral(value.get_ref<const std::string&>())));
    }
    const Json* format = Get(item, "format");
    if (!format || !format->is_string() || checking_) continue;
    const char* regex = FormatRegex(format->get_ref<const std::string&>());
    if (!regex) continue;
    if (!*regex)
      document_.Refuse(*item.schema,
                       Cat("'format' ", *format == "" ? "" : Quoted(format->get<std::string>()),
                           " is not supported"));
    conditions.push_back(terms_.Quoted(ReadWholeRegex(e_, regex, terms_.spelling(), "'format'")));
  }
  const bool counted = counts.least > 0 || counts.most != Productions::kNoLimit;
  if (conditions.empty())
    return terms_.Quoted(e_.Repeat(terms_.any_character(), counts.least, counts.most));
  // All conditions are about the one way to write a text.
  conditions.push_back(
      terms_.Quoted(e_.Repeat(terms_.character(), counted ? counts.least : 0, counts.most)));
  return e_.Both(std::move(conditions));
}

ExpressionId SchemaCompiler::NumberOf(const Goal& items, uint32_t types) {
  std::vector<ExpressionId> conditions;
  uint32_t decimals = Productions::kNoLimit;
  const auto number = [&](const Item& item, const char* key) -> std::optional<Decimal> {
    const Json* value = Get(item, key);
    if (!value) return std::nullopt;
    std::optional<Decimal> decimal = Decimal::Of(*value);
    if (!decimal) document_.Refuse(*item.schema, Cat("'", key, "' must be a number of usual size"));
    return decimal;
  };
  for (const Item& item : items) {
    // Each bound is a condition of its own.
    const auto bound = [&](const char* key, const char* strict, bool least) {
      const auto add = [&](const Decimal& value, bool strictly) {
        NumberBounds one;
        (least ? one.least : one.most) = value;
        (least ? one.above : one.below) = strictly;
        conditions.push_back(terms_.Within(one));
      };
      const Json* exclusive = Get(item, strict);
      const bool draft4 = exclusive && exclusive->is_boolean();
      if (const auto value = number(item, key)) add(*value, draft4 && *exclusive == true);
      if (exclusive && !draft4) add(*number(item, strict), true);
    };
    bound("minimum", "exclusiveMinimum", true);
    bound("maximum", "exclusiveMaximum", false);
    if (const auto step = number(item, "multipleOf")) {
      if (step->negative || step->IsZero())
        document_.Refuse(*item.schema, "'multipleOf' must be above 0");
      if (step->fraction.empty() && step->whole.size() < 10)
        conditions.push_back(terms_.MultiplesOf(static_cast<uint32_t>(std::stoul(step->whole))));
      else if (const uint32_t places = DecimalsOf(*step))
        decimals = std::min(decimals, places);
      else
        document_.Refuse(*item.schema,
                         "'multipleOf' is supported for whole numbers and 0.1, 0.01, ... alone");
    }
    const Json* negated = NegatedAtom(item);
    if (!negated || !negated->contains("enum")) continue;
    Spend((*negated)["enum"].size() / kTextsPerWork);
    for (const Json& value : (*negated)["enum"]) {
      if (const auto decimal = Decimal::Of(value))
        conditions.push_back(e_.Not(terms_.Spellings(*decimal)));
    }
  }
  const bool all = (types & kInteger) && (types & kFraction);
  if (decimals != Productions::kNoLimit) conditions.push_back(terms_.Decimals(decimals));
  if (conditions.empty() && all) return terms_.Number();
  conditions.push_back(all                ? terms_.Plain()
                       : types & kInteger ? terms_.Integer()
                                          : terms_.WithFraction());
  return e_.Both(std::move(conditions));
}

}  // namespace retort
