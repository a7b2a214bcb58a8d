// SPDX-License-Identifier: Apache-2.0
#include "recipes/shape.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "data/rows.h"
#include "tokenizer/regex.h"

namespace retort {
namespace {

auto WeightShape() { return NumberShape(kLeastWeight, kMostWeight); }

bool InRange(double v, const ValueShape& s) {
  return (s.above ? v > s.low : v >= s.low) && (s.below ? v < s.high : v <= s.high);
}

bool IsText(const Json& v, const ValueShape& s) {
  if (!v.is_string()) return false;
  const std::string& text = v.get_ref<const std::string&>();
  if (!s.choices.empty()) return std::ranges::count(s.choices, text) > 0;
  if (!s.pattern.empty()) return WholeRegex(s.pattern, "").Matches(text);
  return !text.empty() && text.find('\0') == std::string::npos;  // a path ends at a NUL
}

bool IsInteger(const Json& v, const ValueShape& s) {  // 1e3 and 16.0 are integers too
  return v.is_number() && v.get<double>() == std::floor(v.get<double>()) &&
         InRange(v.get<double>(), s);
}

// Every value of a list or an object that is not empty.
template <class Fit>
bool EachFits(const Json& v, Fit fit) {
  return !v.empty() && std::all_of(v.begin(), v.end(), fit);
}

bool IsSource(const Json& v) {
  if (!v.is_object()) return v.is_string() && !v.get_ref<const std::string&>().empty();
  if (!v.contains("path")) return false;
  for (const auto& [key, value] : v.items()) {
    if (key == "path" ? !Fits(value, {TextShape("")})
                      : key != "weight" || !Fits(value, {WeightShape()})) {
      return false;
    }
  }
  return true;
}

bool FitsOne(const Json& v, const ValueShape& s) {
  switch (s.kind) {
    case ValueShape::Kind::kBool:
      return v.is_boolean();
    case ValueShape::Kind::kInteger:
      return IsInteger(v, s);
    case ValueShape::Kind::kIntegerList:
    case ValueShape::Kind::kIntegerMap:
      return (s.kind == ValueShape::Kind::kIntegerList ? v.is_array() : v.is_object()) &&
             EachFits(v, [&](const Json& one) { return IsInteger(one, s); });
    case ValueShape::Kind::kNumberMap:
      return v.is_object() && EachFits(v, [&](const Json& one) {
               return one.is_number() && InRange(one.get<double>(), s);
             });
    case ValueShape::Kind::kNumber:
      return v.is_number() && InRange(v.get<double>(), s);
    case ValueShape::Kind::kText:
      return IsText(v, s);
    case ValueShape::Kind::kTextList:
      return v.is_array() && static_cast<double>(v.size()) >= s.low &&
             std::ranges::all_of(v, [&](const Json& e) { return IsText(e, s); });
    case ValueShape::Kind::kSources:
      return v.is_array() ? !v.empty() && std::ranges::all_of(v, IsSource) : IsSource(v);
  }
  return false;
}

// 1000000, not 1e+06.
std::string NumberText(double v) {
  return v == std::floor(v) && std::abs(v) <= kLargestInteger ? Cat(static_cast<int64_t>(v))
                                                              : Cat(v);
}

std::string RangeWords(const ValueShape& s) {
  const bool low = std::isfinite(s.low), high = std::isfinite(s.high) && s.high <= kLargestInteger;
  std::string out;
  if (low) out += Cat(s.above ? " above " : " of at least ", NumberText(s.low));
  if (low && high) out += " and";
  if (high) out += Cat(s.below ? " below " : " at most ", NumberText(s.high));
  return out;
}

bool HoldsNumbers(const ValueShape& s) {
  return s.kind == ValueShape::Kind::kIntegerList || s.kind == ValueShape::Kind::kIntegerMap ||
         s.kind == ValueShape::Kind::kNumberMap;
}

std::string WordsOfOne(const ValueShape& s) {
  if (HoldsNumbers(s))
    return Cat(s.words, ", each ",
               s.kind == ValueShape::Kind::kNumberMap ? "a number" : "an integer", RangeWords(s));
  if (!s.words.empty()) {
    return s.choices.empty() ? s.words : Cat(s.words, " (", Join(s.choices, ", "), ")");
  }
  switch (s.kind) {
    case ValueShape::Kind::kBool:
      return "true or false";
    case ValueShape::Kind::kInteger:
      return "an integer" + RangeWords(s);
    case ValueShape::Kind::kNumber:
      return "a number" + RangeWords(s);
    default:
      return s.choices.size() == 1 ? Cat('"', s.choices[0], '"')
                                   : "one of " + Join(s.choices, ", ");
  }
}

Json TextSchema(const ValueShape& s) {
  if (!s.choices.empty()) return {{"enum", s.choices}};
  Json schema = {{"type", "string"}};
  if (s.pattern.empty())
    schema["minLength"] = 1;
  else
    schema["pattern"] = "^(" + s.pattern + ")$";
  return schema;
}

Json NumberSchema(const ValueShape& s) {
  const bool real = s.kind == ValueShape::Kind::kNumber || s.kind == ValueShape::Kind::kNumberMap;
  Json schema = {{"type", real ? "number" : "integer"}};
  const auto limit = [&](double v, const char* key) {
    if (!std::isfinite(v)) return;
    if (v == std::floor(v))
      schema[key] = static_cast<int64_t>(v);
    else
      schema[key] = v;
  };
  limit(s.low, s.above ? "exclusiveMinimum" : "minimum");
  limit(s.high, s.below ? "exclusiveMaximum" : "maximum");
  return schema;
}

Json SourcesSchema() {
  const Json path = TextSchema(TextShape(""));
  const Json one = {
      {"anyOf",
       Json::array({path,
                    {{"type", "object"},
                     {"properties", {{"path", path}, {"weight", NumberSchema(WeightShape())}}},
                     {"required", Json::array({"path"})},
                     {"additionalProperties", false}}})}};
  Json schema = one;
  schema["anyOf"].push_back({{"type", "array"}, {"minItems", 1}, {"items", one}});
  return schema;
}

Json SchemaOfOne(const ValueShape& s) {
  switch (s.kind) {
    case ValueShape::Kind::kBool:
      return {{"type", "boolean"}};
    case ValueShape::Kind::kInteger:
    case ValueShape::Kind::kNumber:
      return NumberSchema(s);
    case ValueShape::Kind::kText:
      return TextSchema(s);
    case ValueShape::Kind::kTextList:
      return s.low > 0 ? Json{{"type", "array"},
                              {"minItems", static_cast<int64_t>(s.low)},
                              {"items", TextSchema(s)}}
                       : Json{{"type", "array"}, {"items", TextSchema(s)}};
    case ValueShape::Kind::kIntegerList:
      return {{"type", "array"}, {"minItems", 1}, {"items", NumberSchema(s)}};
    case ValueShape::Kind::kIntegerMap:
    case ValueShape::Kind::kNumberMap:
      return {{"type", "object"}, {"minProperties", 1}, {"additionalProperties", NumberSchema(s)}};
    case ValueShape::Kind::kSources:
      return SourcesSchema();
  }
  return {};
}

}  // namespace

ValueShape BoolShape() { return {.kind = ValueShape::Kind::kBool}; }
ValueShape IntegerShape(double at_least, double at_most) {
  return {.kind = ValueShape::Kind::kInteger, .low = at_least, .high = at_most};
}
ValueShape NumberShape(double low, double high) {
  return {.kind = ValueShape::Kind::kNumber, .low = low, .high = high};
}
ValueShape PositiveShape(double at_most) {
  return {.kind = ValueShape::Kind::kNumber, .low = 0, .high = at_most, .above = true};
}
ValueShape ShareShape() {
  return {.kind = ValueShape::Kind::kNumber, .low = 0, .high = 1, .below = true};
}
ValueShape OpenShareShape() {
  return {.kind = ValueShape::Kind::kNumber, .low = 0, .high = 1, .above = true, .below = true};
}
ValueShape DeviceShape() {
  return {.pattern = "auto|cpu|cuda(:[0-9]{1,3})?", .words = "auto, cpu, cuda or cuda:N"};
}
ValueShape PissaShape() {
  return {.pattern = "pissa_niter_[1-9][0-9]{0,2}", .words = "pissa_niter_N"};
}
ValueShape TextShape(std::string words) { return {.words = std::move(words)}; }
ValueShape ChoiceShape(std::vector<std::string> choices) { return {.choices = std::move(choices)}; }
ValueShape ListShape(std::string words, std::vector<std::string> choices) {
  return {.kind = ValueShape::Kind::kTextList,
          .choices = std::move(choices),
          .words = std::move(words)};
}
ValueShape NonEmpty(ValueShape list) {
  list.low = 1;
  return list;
}
ValueShape IntegersShape(std::string words, double at_least, double at_most) {
  return {.kind = ValueShape::Kind::kIntegerList,
          .low = at_least,
          .high = at_most,
          .words = std::move(words)};
}
ValueShape IntegerMapShape(std::string words, double at_least, double at_most) {
  return {.kind = ValueShape::Kind::kIntegerMap,
          .low = at_least,
          .high = at_most,
          .words = std::move(words)};
}
ValueShape PositiveMapShape(std::string words, double at_most) {
  return {.kind = ValueShape::Kind::kNumberMap,
          .low = 0,
          .high = at_most,
          .above = true,
          .words = std::move(words)};
}
ValueShape SourcesShape() {
  return {.kind = ValueShape::Kind::kSources,
          .words = Cat("a path, {\"path\": …, \"weight\": ", kWeightRange, "} or a list of these")};
}

bool Fits(const Json& value, const Shapes& shapes) {
  return std::ranges::any_of(shapes, [&](const ValueShape& s) { return FitsOne(value, s); });
}

std::string Words(const Shapes& shapes) {
  std::vector<std::string> parts;
  for (const ValueShape& s : shapes) parts.push_back(WordsOfOne(s));
  return Join(parts, " or ");
}

Json SchemaOf(const Shapes& shapes) {
  if (shapes.size() == 1) return SchemaOfOne(shapes[0]);
  Json alternatives = Json::array();
  for (const ValueShape& s : shapes) alternatives.push_back(SchemaOfOne(s));
  return {{"anyOf", alternatives}};
}

}  // namespace retort
