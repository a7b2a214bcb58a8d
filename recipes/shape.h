// SPDX-License-Identifier: Apache-2.0
// The constraints on a recipe's value. The reader's check, the words of its errors and the
// published schema are all derived from a Shape, so that they cannot disagree.
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "base/json.h"

namespace retort {

struct Shape {
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
using Shapes = std::vector<Shape>;

// 2^53 - 1: up to here a double, and so every JSON parser, tells all integers apart.
inline constexpr double kLargestInteger = 9007199254740991.0;

Shape BoolShape();
Shape IntegerShape(double at_least, double at_most);
Shape NumberShape(double low, double high);  // a number in [low, high]
Shape PositiveShape(double at_most);         // a number above 0
Shape ShareShape();                          // a number in [0, 1)
Shape OpenShareShape();                      // a number in (0, 1)
Shape TextShape(std::string words);          // any text but ""
Shape DeviceShape();                         // auto, cpu, cuda, cuda:0 ...
Shape PissaShape();                          // pissa_niter_1 ... pissa_niter_999
Shape ChoiceShape(std::vector<std::string> choices);
Shape ListShape(std::string words, std::vector<std::string> choices = {});
Shape NonEmpty(Shape list);
Shape IntegersShape(std::string words, double at_least, double at_most);
// Objects with names as keys, at least one, and values as of IntegerShape or PositiveShape.
Shape IntegerMapShape(std::string words, double at_least, double at_most);
Shape PositiveMapShape(std::string words, double at_most);
Shape SourcesShape();  // a path, {path, weight}, or a list of these

bool Fits(const Json& value, const Shapes& shapes);

// For error messages: "a number above 0 and below 1", "one of nf4, bf16", "an integer of at least 1
// or all".
std::string Words(const Shapes& shapes);

// A JSON Schema (2020-12) that accepts the same values.
Json SchemaOf(const Shapes& shapes);

}  // namespace retort
