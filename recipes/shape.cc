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

bool InRange(double v, const Shape& s) {
  return (s.above ? v > s.low : v >= s.low) && (s.below ? v < s.high : v <= s.high);
}

bool IsText(const Json& v, const Shape& s) {
  if (!v.is_string()) return false;
  const std::string& text = v.get_ref<const std::string&>();
  if (!s.choices.empty()) return std::ranges::count(s.choices, text) > 0;
  if (!s.pattern.empty()) return WholeRegex(s.pattern, "").Matches(text);
  return !text.empty() && text.find('\0') == std::string::npos;  // a path ends at a NUL
}

bool IsInteger(const Json& v, const Shape& s) {  // 1e3 and 16.0 are integers too
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

bool FitsOne(const Json& v, const Shape& s) {
  switch (s.kind) {
    case Shape::Kind::kBool:
      return v.is_boolean();
    case Shape::Kind::kInteger:
      return IsInteger(v, s);
    case Shape::Kind::kIntegerList:
    case Shape::Kind::kIntegerMap:
      return (s.kind == Shape::Kind::kIntegerList ? v.is_array() : v.is_object()) &&
             EachFits(v, [&](const Json& one) { return IsInteger(one, s); });
    case Shape::Kind::kNumberMap:
      return v.is_object() && EachFits(v, [&](const Json& one) {
               return one.is_number() && InRange(one.get<double>(), s);
             });
    case Shape::Kind::kNumber:
      return v.is_number() && InRange(v.get<double>(), s);
    case Shape::Kind::kText:
      return IsText(v, s);
    case Shape::Kind::kTextList:
      return v.is_array() && static_cast<double>(v.size()) >= s.low &&
             std::ranges::all_of(v, [&](const Json& e) { return IsText(e, s); });
    case Shape::Kind::kSources:
      return v.is_array() ? !v.empty() && std::ranges::all_of(v, IsSource) : IsSource(v);
  }
  return false;
}

// 1000000, not 1e+06.
std::string NumberText(double v) {
  return v == std::floor(v) && std::abs(v) <= kLargestInteger ? Cat(static_cast<int64_t>(v))
                                                              : Cat(v);
}

std::string RangeWords(const Shape& s) {
  const bool low = std::isfinite(s.low), high = std::isfinite(s.high) && s.high <= kLargestInteger;
  std::string out;
  if (low) out += Cat(s.above ? " above " : " of at least ", NumberText(s.low));
  if (low && high) out += " and";
  if (high) out += Cat(s.below ? " below " : " at most ", NumberText(s.high));
  return out;
}

bool HoldsNumbers(const Shape& s) {
  return s.kind == Shape::Kind::kIntegerList || s.kind == Shape::Kind::kIntegerMap ||
         s.kind == Shape::Kind::kNumberMap;
}

std::string WordsOfOne(const Shape& s) {
  if (HoldsNumbers(s))
    return Cat(s.words, ", each ", s.kind == Shape::Kind::kNumberMap ? "a number" : "an integer",
               RangeWords(s));
  if (!s.words.empty()) {
    return s.choices.empty() ? s.words : Cat(s.words, " (", Join(s.choices, ", "), ")");
  }
  switch (s.kind) {
    case Shape::Kind::kBool:
      return "true or false";
    case Shape::Kind::kInteger:
      return "an integer" + RangeWords(s);
    case Shape::Kind::kNumber:
      return "a number" + RangeWords(s);
    default:
      return s.choices.size() == 1 ? Cat('"', s.choices[0], '"')
                                   : "one of " + Join(s.choices, ", ");
  }
}

Json TextSchema(const Shape& s) {
  if (!s.choices.empty()) return {{"enum", s.choices}};
  Json schema = {{"type", "string"}};
  if (s.pattern.empty())
    schema["minLength"] = 1;
  else
    schema["pattern"] = "^(" + s.pattern + ")$";
  return schema;
}

Json NumberSchema(const Shape& s) {
  const bool real = s.kind == Shape::Kind::kNumber || s.kind == Shape::Kind::kNumberMap;
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

Json SchemaOfOne(const Shape& s) {
  switch (s.kind) {
    case Shape::Kind::kBool:
      return {{"type", "boolean"}};
    case Shape::Kind::kInteger:
    case Shape::Kind::kNumber:
      return NumberSchema(s);
    case Shape::Kind::kText:
      return TextSchema(s);
    case Shape::Kind::kTextList:
      return s.low > 0 ? Json{{"type", "array"},
                              {"minItems", static_cast<int64_t>(s.low)},
                              {"items", TextSchema(s)}}
                       : Json{{"type", "array"}, {"items", TextSchema(s)}};
    case Shape::Kind::kIntegerList:
      return {{"type", "array"}, {"minItems", 1}, {"items", NumberSchema(s)}};
    case Shape::Kind::kIntegerMap:
    case Shape::Kind::kNumberMap:
      return {{"type", "object"}, {"minProperties", 1}, {"additionalProperties", NumberSchema(s)}};
    case Shape::Kind::kSources:
      return SourcesSchema();
  }
  return {};
}

}  // namespace

Shape BoolShape() { return {.kind = Shape::Kind::kBool}; }
Shape IntegerShape(double at_least, double at_most) {
  return {.kind = Shape::Kind::kInteger, .low = at_least, .high = at_most};
}
Shape NumberShape(double low, double high) {
  return {.kind = Shape::Kind::kNumber, .low = low, .high = high};
}
Shape PositiveShape(double at_most) {
  return {.kind = Shape::Kind::kNumber, .low = 0, .high = at_most, .above = true};
}
Shape ShareShape() { return {.kind = Shape::Kind::kNumber, .low = 0, .high = 1, .below = true}; }
Shape OpenShareShape() {
  return {.kind = Shape::Kind::kNumber, .low = 0, .high = 1, .above = true, .below = true};
}
Shape DeviceShape() {
  return {.pattern = "auto|cpu|cuda(:[0-9]{1,3})?", .words = "auto, cpu, cuda or cuda:N"};
}
Shape PissaShape() { return {.pattern = "pissa_niter_[1-9][0-9]{0,2}", .words = "pissa_niter_N"}; }
Shape TextShape(std::string words) { return {.words = std::move(words)}; }
Shape ChoiceShape(std::vector<std::string> choices) { return {.choices = std::move(choices)}; }
Shape ListShape(std::string words, std::vector<std::string> choices) {
  return {.kind = Shape::Kind::kTextList, .choices = std::move(choices), .words = std::move(words)};
}
Shape NonEmpty(Shape list) {
  list.low = 1;
  return list;
}
Shape IntegersShape(std::string words, double at_least, double at_most) {
  return {.kind = Shape::Kind::kIntegerList,
          .low = at_least,
          .high = at_most,
          .words = std::move(words)};
}
Shape IntegerMapShape(std::string words, double at_least, double at_most) {
  return {.kind = Shape::Kind::kIntegerMap,
          .low = at_least,
          .high = at_most,
          .words = std::move(words)};
}
Shape PositiveMapShape(std::string words, double at_most) {
  return {.kind = Shape::Kind::kNumberMap,
          .low = 0,
          .high = at_most,
          .above = true,
          .words = std::move(words)};
}
Shape SourcesShape() {
  return {.kind = Shape::Kind::kSources,
          .words = Cat("a path, {\"path\": …, \"weight\": ", kWeightRange, "} or a list of these")};
}

bool Fits(const Json& value, const Shapes& shapes) {
  return std::ranges::any_of(shapes, [&](const Shape& s) { return FitsOne(value, s); });
}

std::string Words(const Shapes& shapes) {
  std::vector<std::string> parts;
  for (const Shape& s : shapes) parts.push_back(WordsOfOne(s));
  return Join(parts, " or ");
}

Json SchemaOf(const Shapes& shapes) {
  if (shapes.size() == 1) return SchemaOfOne(shapes[0]);
  Json alternatives = Json::array();
  for (const Shape& s : shapes) alternatives.push_back(SchemaOfOne(s));
  return {{"anyOf", alternatives}};
}

}  // namespace retort
