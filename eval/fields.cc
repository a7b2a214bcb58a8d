// SPDX-License-Identifier: Apache-2.0
#include "eval/fields.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/json.h"

namespace retort {
namespace {

constexpr int64_t kMoreTokens = 32;  // than twice the expected answer's

// Its members in any order are the same object.
using Object = nlohmann::json;

std::optional<Object> ObjectIn(std::string_view text, const std::string& where) {
  try {
    const Json value = ParseJson(Strip(text), where);
    if (value.is_object()) return Object(value);
  } catch (const Error&) {
    return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

void FieldsResult::Add(std::string_view wanted, std::string_view said, const std::string& where) {
  const std::optional<Object> want = ObjectIn(wanted, where);
  if (!want)
    throw InputError(where, ": the answer is no JSON object, so it has no fields to compare");
  const std::optional<Object> got = ObjectIn(said, where);
  ++rows;
  malformed += !got;
  whole += got && *got == *want;
  for (const auto& [name, value] : want->items()) {
    ++all.wanted;
    ++fields[name].wanted;
    if (!got || !got->contains(name) || got->at(name) != value) continue;
    ++all.right;
    ++fields[name].right;
  }
  if (!got) return;
  for (const auto& [name, value] : got->items()) {
    ++all.said;
    ++fields[name].said;
  }
}

FieldsResult EvaluateFields(const Model& model, const Adapter* adapter, const Tokenizer& tokenizer,
                            const ChatTemplate* chat, const std::vector<Answer>& answers,
                            const QuestionOptions& options,
                            const std::function<void(int64_t)>& on_progress) {
  std::vector<std::optional<std::string>> said(answers.size());
  Questions questions(model, adapter, tokenizer, chat, options);
  for (size_t i = 0; i < answers.size(); ++i) {
    const std::optional<int64_t> tokens = questions.ExpectedTokens(answers[i]);
    if (!tokens) continue;
    questions.Ask(answers[i], std::min(2 * *tokens + kMoreTokens, questions.RoomBehind(answers[i])),
                  [&text = said[i].emplace()](const GenerationEvent& event) {
                    text += event.text;
                    return true;
                  });
  }
  questions.Run(on_progress);
  FieldsResult result;
  for (size_t i = 0; i < answers.size(); ++i) {
    if (said[i]) result.Add(answers[i].text, *said[i], answers[i].where);
  }
  result.dropped = questions.dropped();
  result.tokens = questions.tokens();
  return result;
}

}  // namespace retort
