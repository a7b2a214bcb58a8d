// SPDX-License-Identifier: Apache-2.0
#include "eval/fields.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/json.h"
#include "runner/engine/engine.h"

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
                            const FieldsOptions& options,
                            const std::function<void(int64_t)>& on_progress) {
  EngineOptions engine_options = AnswerEngine(model.config, options.max_tokens, options.cache_type);
  engine_options.parallel = options.parallel;
  Engine engine(model, adapter, tokenizer, engine_options);
  SamplingOptions sampling = GreedyAnswers(chat, tokenizer);
  const AnswerConstraints constraints(options.grammar, chat, tokenizer);

  FieldsResult result;
  std::vector<std::optional<std::string>> said(answers.size());
  int64_t done = 0;
  std::exception_ptr error;
  for (size_t i = 0; i < answers.size(); ++i) {
    const Answer& answer = answers[i];
    const auto tokens =
        static_cast<int64_t>(EncodeAnswer(answer, answer.text, tokenizer, chat, true).size());
    if (!AnswerFits(answer, tokens, engine.context(), options.over_length)) {
      ++result.dropped;
      continue;
    }
    said[i].emplace();
    sampling.max_tokens =
        std::min(2 * tokens + kMoreTokens, engine.context() - std::ssize(answer.prompt));
    engine.Submit({answer.prompt,
                   sampling,
                   [&text = *said[i], &done, &error](const GenerationEvent& event) {
                     if (event.error) error = event.error;
                     text += event.text;
                     done += event.finish != FinishReason::kNone;
                     return true;
                   },
                   {},
                   {},
                   constraints.For(answer.prompt)});
  }
  while (engine.Step()) {
    if (error) std::rethrow_exception(error);
    if (on_progress) on_progress(result.dropped + done);
  }
  for (size_t i = 0; i < answers.size(); ++i) {
    if (said[i]) result.Add(answers[i].text, *said[i], answers[i].where);
  }
  result.tokens = engine.counts().generated_tokens;
  return result;
}

}  // namespace retort
