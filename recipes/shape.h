// SPDX-License-Identifier: Apache-2.0
// What a recipe's value may be. The reader's check, the words of its errors and the published
// schema are all read off a Shape, so that they cannot disagree.
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "base/json.h"

namespace retort {

struct Shape {
  enum class Kind { kBool, kInteger, kNumber, kText, kTextList, kSources };

  Kind kind = Kind::kText;
  double low = -std::numeric_limits<double>::infinity();  // of a list: its least length
  double high = std::numeric_limits<double>::infinity();
  bool above = false;                // low itself is outside
  bool below = false;                // high itself is outside
  std::vector<std::string> choices;  // of a text, or of each text in a list; empty: any but ""
  std::string pattern = {};          // of a text: a regex that it matches as a whole
  std::string words = {};            // for errors, where the constraints alone do not say enough
};

// A value fits when it fits one of these.
using Shapes = std::vector<Shape>;

Shape BoolShape();
Shape IntegerShape(double at_least);
Shape NumberShape(double low,
                  double high = std::numeric_limits<double>::infinity());  // [low, high]
Shape PositiveShape();                                                     // a number above 0
Shape ShareShape();                                                        // a number in [0, 1)
Shape OpenShareShape();                                                    // a number in (0, 1)
Shape TextShape(std::string words);                                        // any text but ""
Shape DeviceShape();  // auto, cpu, cuda, cuda:0 ...
Shape ChoiceShape(std::vector<std::string> choices);
Shape ListShape(std::string words, std::vector<std::string> choices = {});
Shape NonEmpty(Shape list);
Shape SourcesShape();  // a path, {path, weight}, or a list of these

bool Fits(const Json& value, const Shapes& shapes);

// "a number above 0 and below 1", "one of nf4, bf16", "an integer of at least 1 or all"
std::string Words(const Shapes& shapes);

// A JSON Schema (2020-12) that accepts the same values.
Json SchemaOf(const Shapes& shapes);

}  // namespace retort
