// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/field_probabilities.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "base/error.h"
#include "runner/engine/request_group.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

constexpr size_t kLookedAhead = 64;  // bytes behind a value, which its last token may run into

// An answer's tokens as a text, and where in it each of them begins.
struct AnswerText {
  std::string text;
  std::vector<size_t> begins;

  AnswerText(const Vocabulary& vocabulary, const std::vector<int32_t>& ids) {
    begins.reserve(ids.size());
    for (const int32_t id : ids) {
      begins.push_back(text.size());
      text += vocabulary.TextOf(id);
    }
  }
  // The last token that begins at the byte or before it, or ends there.
  size_t TokenAt(size_t byte) const {
    const auto behind = std::ranges::upper_bound(begins, byte);
    if (behind == begins.end() && byte == text.size()) return begins.size();
    return static_cast<size_t>(behind - begins.begin()) - 1;
  }
  // The same, or an earlier one that begins with a character.
  size_t TokenBefore(size_t byte) const {
    size_t token = TokenAt(byte);
    while (token > 0 && token < begins.size() && Utf8Begin(text, begins[token]) != begins[token])
      --token;
    return token;
  }
  // Where the grammar's text begins: with the token behind the thought, if there is one.
  size_t BeginOf(const AnswerConstraint& constraint) const {
    if (!constraint.in_thought) return 0;
    const size_t close = text.find(constraint.think_close);
    if (close == std::string::npos) return text.size();
    const auto next = std::ranges::lower_bound(begins, close + constraint.think_close.size());
    return next == begins.end() ? text.size() : *next;
  }
};

bool IsWhole(Matcher at, std::string_view text) { return at.AcceptText(text) && at.CanEnd(); }

// The first tokens of before + value + behind, as far as they tell that the value ends there.
// Nothing if the tokenizer makes another text of them.
std::optional<std::vector<int32_t>> TokensOf(const std::string& before, const std::string& value,
                                             const std::string& behind, int32_t end,
                                             const Vocabulary& vocabulary,
                                             const Tokenizer& tokenizer) {
  const std::string text = before + value + behind;
  std::vector<int32_t> ids = tokenizer.Encode(vocabulary.SegmentsOf(text), true);
  const AnswerText made(vocabulary, ids);
  if (behind.empty()) {
    if (made.text != text) return std::nullopt;
    ids.push_back(end);
    return ids;
  }
  const size_t value_end = before.size() + value.size();
  const size_t tokens = std::min(made.TokenAt(value_end) + 1, ids.size());
  const size_t told = tokens < ids.size() ? made.begins[tokens] : made.text.size();
  if (told < value_end || text.compare(0, told, made.text, 0, told) != 0) return std::nullopt;
  ids.resize(tokens);
  return ids;
}

}  // namespace

ChoiceRule::ChoiceRule(const GrammarSource& source, AnswerConstraint held, int32_t last)
    : constraint(std::move(held)), end(last), temperature(source.temperature) {
  using Kind = GrammarSource::Kind;
  const bool json = source.kind == Kind::kSchema || source.kind == Kind::kJson;
  form = json ? AnswerForm::kJson : AnswerForm::kText;
}

int32_t EndOf(const SamplingOptions& sampling, const Architecture& config) {
  if (!sampling.stop_ids.empty()) return sampling.stop_ids.back();
  return config.ends.empty() ? 0 : config.ends.front();
}

std::vector<AnswerChoice> ChoicesOf(const ChoiceRule& rule, const std::vector<int32_t>& answer,
                                    const Tokenizer& tokenizer) {
  const Matcher start(rule.constraint.grammar);
  const Vocabulary& vocabulary = start.vocabulary();
  const AnswerText said(vocabulary, answer);
  const size_t begin = said.BeginOf(rule.constraint);
  const std::string text = said.text.substr(begin);
  std::vector<AnswerChoice> choices;
  if (!IsWhole(start, text)) return choices;
  for (ChoicePlace& place : ChoicePlaces(start, text, rule.form)) {
    const size_t first = begin + place.begin, last = begin + place.end;
    AnswerChoice choice;
    choice.before = said.TokenBefore(first);
    const size_t from = choice.before < answer.size() ? said.begins[choice.before] : first;
    const std::string before = said.text.substr(from, first - from);
    const size_t ahead = Utf8Begin(said.text, std::min(last + kLookedAhead, said.text.size()));
    const std::string behind = said.text.substr(last, ahead - last);
    for (const std::string& value : place.values) {
      auto ids = TokensOf(before, value, behind, rule.end, vocabulary, tokenizer);
      if (!ids) break;
      choice.values.push_back(*std::move(ids));
    }
    if (choice.values.size() < place.values.size()) continue;
    choice.place = std::move(place);
    choices.push_back(std::move(choice));
  }
  return choices;
}

std::vector<double> Calibrated(const std::vector<double>& log_probabilities, double temperature) {
  const double most = *std::ranges::max_element(log_probabilities);
  std::vector<double> out;
  out.reserve(log_probabilities.size());
  for (const double one : log_probabilities) out.push_back(std::exp((one - most) / temperature));
  const double sum = std::accumulate(out.begin(), out.end(), 0.0);
  for (double& one : out) one /= sum;
  return out;
}

FieldProbabilities::FieldProbabilities(const ChoiceRule& rule, const GenerationRequest& asked,
                                       const std::vector<int32_t>& answer,
                                       const Tokenizer& tokenizer)
    : form_(rule.form),
      temperature_(rule.temperature),
      adapter_(asked.adapter),
      tokens_(asked.prompt),
      prompt_tokens_(std::ssize(asked.prompt)),
      choices_(ChoicesOf(rule, answer, tokenizer)) {
  tokens_.insert(tokens_.end(), answer.begin(), answer.end());
  selections_.reserve(choices_.size());
  for (size_t i = 0; i < choices_.size(); ++i) {
    selections_.emplace_back(TokensBefore(choices_[i]), choices_[i].values);
    for (size_t part = 0; part < selections_.back().streams(); ++part)
      streams_.push_back({i, part});
  }
}

GenerationRequest FieldProbabilities::Request(size_t stream) const {
  const auto& [choice, part] = streams_[stream];
  const auto end = tokens_.begin() + TokensBefore(choices_[choice]);
  GenerationRequest request = selections_[choice].Request(part, {tokens_.begin(), end});
  request.adapter = adapter_;
  return request;
}

void FieldProbabilities::Take(size_t stream, std::span<const double> scores) {
  const auto& [choice, part] = streams_[stream];
  selections_[choice].Take(part, scores);
}

std::vector<FieldChoice> FieldProbabilities::Result() const {
  std::vector<FieldChoice> fields;
  fields.reserve(choices_.size());
  for (size_t i = 0; i < choices_.size(); ++i) {
    const ChoicePlace& place = choices_[i].place;
    const auto shares = Calibrated(selections_[i].LogProbabilitiesWithin(), temperature_);
    FieldChoice& field = fields.emplace_back(FieldChoice{place.pointer, {}});
    field.values.reserve(shares.size());
    for (size_t v = 0; v < shares.size(); ++v) {
      const std::string& value = place.values[v];
      field.values.emplace_back(form_ == AnswerForm::kJson ? value : DumpJson(value), shares[v]);
    }
    std::ranges::stable_sort(field.values, std::greater(), [](const auto& v) { return v.second; });
  }
  return fields;
}

std::vector<FieldChoice> ScoreFields(Engine& engine, const ChoiceRule& rule,
                                     const GenerationRequest& asked,
                                     const std::vector<int32_t>& answer,
                                     const Tokenizer& tokenizer) {
  FieldProbabilities fields(rule, asked, answer, tokenizer);
  RequestGroup requests(engine);
  for (size_t stream = 0; stream < fields.streams(); ++stream) {
    GenerationRequest request = fields.Request(stream);
    request.on_event = [&, stream](const GenerationEvent& event) {
      fields.Take(stream, event.scores);
      return true;
    };
    requests.Submit(std::move(request));
  }
  requests.Run();
  return fields.Result();
}

}  // namespace retort
