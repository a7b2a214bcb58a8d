// SPDX-License-Identifier: Apache-2.0
// What `retort inspect` tells of a file or folder. Names and values are a stranger's: as tables
// they are printed with controls escaped and cut, and the output stays in proportion to the file.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/json.h"

namespace retort {

class InspectReport {
 public:
  InspectReport(std::string kind, const Path& path);

  // A label that is there already is added with its number: "version #2".
  void AddFact(std::string_view label, const Json& value);
  // The members of an object under PREFIX + key; those of objects within it under "a.b". An object
  // whose prefix would become long is one fact.
  void AddFacts(const Json& object, const std::string& prefix = "");
  void AddTensor(std::string_view name, std::string_view type, const std::vector<int64_t>& shape,
                 int64_t bytes);
  // Shows the table of tensors even if there are none.
  void HasTensors() { has_tensors_ = true; }

  // {"kind", "path", "facts": {label: value}, "tensors": [{"name", "type", "shape", "bytes"}]}
  std::string JsonLine() const;
  // Two aligned tables.
  std::vector<std::string> Lines() const;

 private:
  struct Fact {
    std::string label;
    std::string json;  // the value
    std::string text;  // the same for the table
  };
  struct Tensor {
    std::string name, type;
    std::vector<int64_t> shape;
    int64_t bytes;
  };

  std::string kind_, path_;
  std::vector<Fact> facts_;
  std::map<std::string, int64_t, std::less<>> labels_;  // how often each was added
  std::vector<Tensor> tensors_;
  bool has_tensors_ = false;
};

}  // namespace retort
