// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/field_choice.h"

#include <nlohmann/json.hpp>

namespace retort {

Json FieldsJson(const std::vector<FieldChoice>& fields) {
  Json out = Json::object();
  for (const FieldChoice& field : fields) {
    Json& values = out[field.pointer] = Json::array();
    for (const auto& [value, probability] : field.values) {
      values.push_back({{"value", ParseJson(value, "a value")}, {"probability", probability}});
    }
  }
  return out;
}

}  // namespace retort
