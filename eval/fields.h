// SPDX-License-Identifier: Apache-2.0
// Answers that are JSON objects, compared field by field. A field is right if the answer has it
// with the very value of the expected one. Over all rows, or over one field's:
//
//   precision = right / said      said:   fields in the answers
//   recall    = right / wanted    wanted: fields in the expected answers
//   F1        = 2 right / (said + wanted)
//
// An answer that is no JSON object says no field. F1 over all fields is what slot filling reports
// (micro-averaged, exact values).
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "eval/questions.h"

namespace retort {

struct FieldCounts {
  int64_t right = 0, said = 0, wanted = 0;

  // 1 where there is nothing to say and nothing is said.
  double precision() const { return Share(right, said); }
  double recall() const { return Share(right, wanted); }
  double f1() const { return Share(2 * right, said + wanted); }

 private:
  double Share(int64_t part, int64_t whole) const {
    if (whole == 0) return said + wanted == 0 ? 1 : 0;
    return static_cast<double>(part) / static_cast<double>(whole);
  }
};

struct FieldsResult {
  FieldCounts all;
  std::map<std::string, FieldCounts> fields;  // by name
  int64_t rows = 0, dropped = 0;
  int64_t whole = 0;      // answers of which every field is right, and no other is said
  int64_t malformed = 0;  // answers that are no JSON object
  int64_t tokens = 0;     // generated

  // Counts one answer. `wanted` is a JSON object; throws Error{kInput} beginning with `where` if
  // not.
  void Add(std::string_view wanted, std::string_view said, const std::string& where);
};

// Decodes each answer greedily, up to twice the expected one's length and 32 tokens more. Calls
// `on_progress` with the number of rows done. adapter and chat may be null.
FieldsResult EvaluateFields(const Model& model, const Adapter* adapter, const Tokenizer& tokenizer,
                            const ChatTemplate* chat, const std::vector<Answer>& answers,
                            const QuestionOptions& options,
                            const std::function<void(int64_t done)>& on_progress = {});

}  // namespace retort
