// SPDX-License-Identifier: Apache-2.0
// What is told of a choice in an answer: how likely each value was (field_probabilities.h).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/json.h"

namespace retort {

struct FieldChoice {
  std::string pointer;
  std::vector<std::pair<std::string, double>> values;  // as JSON; the likeliest first
};
// {"/kind": [{"value": "cat", "probability": 0.9}, ...], ...}
Json FieldsJson(const std::vector<FieldChoice>& fields);

}  // namespace retort
