// SPDX-License-Identifier: Apache-2.0
// The constraints on a recipe's value. The reader's check, the words of its errors and the
// published schema are all derived from a ValueShape, so that they cannot disagree.
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "base/json.h"

namespace retort {

struct ValueShape {
  enum class Kind {
    kBool,
    kInteger,
    kNumber,
    kText,
    kTextList,
    kIntegerList,  // each in the range; never empty
    kIntegerMap,   // the same for the values of an object with names as keys
    kNumberMap,
    kSources
  };

  Kind kind = Kind::kText;
  double low = -std::numeric_limits<double>::infinity();  // for lists: the minimum length
  double high = std::numeric_limits<double>::infinity();
  bool above = false;                // low is excluded
  bool below = false;                // high is excluded
  std::vector<std::string> choices;  // for a text, or each text of a list; empty: any but ""
  std::string pattern = {};          // for a text: a regex that matches the whole text
  std::string words = {};            // for errors, if the constraints do not describe the value
};

// Alternatives: a value fits if it fits one of the shapes.
using Shapes = std::vector<ValueShape>;

// 2^53 - 1: up to here a double, and so every JSON parser, tells all integers apart.
inline constexpr double kLargestInteger = 9007199254740991.0;

ValueShape BoolShape();
ValueShape IntegerShape(double at_least, double at_most);
ValueShape NumberShape(double low, double high);  // a number in [low, high]
ValueShape PositiveShape(double at_most);         // a number above 0
ValueShape ShareShape();                          // a number in [0, 1)
ValueShape OpenShareShape();                      // a number in (0, 1)
ValueShape TextShape(std::string words);          // any text but ""
ValueShape DeviceShape();                         // auto, cpu, cuda, cuda:0 ...
ValueShape PissaShape();                          // pissa_niter_1 ... pissa_niter_999
ValueShape ChoiceShape(std::vector<std::string> choices);
ValueShape ListShape(std::string words, std::vector<std::string> choices = {});
ValueShape NonEmpty(ValueShape list);
ValueShape IntegersShape(std::string words, double at_least, double at_most);
// Objects with names as keys, at least one, and values as of IntegerShape or PositiveShape.
ValueShape IntegerMapShape(std::string words, double at_least, double at_most);
ValueShape PositiveMapShape(std::string words, double at_most);
ValueShape SourcesShape();  // a path, {path, weight}, or a list of these

bool Fits(const Json& value, const Shapes& shapes);

// For error messages: "a number above 0 and below 1", "one of nf4, bf16", "an integer of at least 1
// or all".
std::string Words(const Shapes& shapes);

// A JSON Schema (2020-12) that accepts the same values.
Json SchemaOf(const Shapes& shapes);

}  // namespace retort
