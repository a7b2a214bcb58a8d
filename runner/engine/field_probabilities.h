// SPDX-License-Identifier: Apache-2.0
// How sure a model is of an answer's choices (grammar/choice_places.h): the probability of each
// value that might stand there behind what the answer says before it.
//
// A value's tokens are those of the answer with that value, as training would have them, and one
// more that tells where the value ends. At each of them the model's probabilities are renormalised
// over the tokens that some value goes on with: what the grammar forces is certain, whatever the
// model thinks of it. So the values' probabilities have the sum 1.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "grammar/choice_places.h"
#include "grammar/source.h"
#include "runner/engine/constrained_answer.h"
#include "runner/engine/engine.h"
#include "runner/engine/field_choice.h"
#include "runner/engine/selection.h"

namespace retort {

// A choice as tokens: what stands before it, and each value with what tells its end.
struct AnswerChoice {
  ChoicePlace place;
  size_t before = 0;  // tokens of the answer
  std::vector<std::vector<int32_t>> values;
};

// What concerns the choices of an answer.
struct ChoiceRule {
  // source: of the constraint's grammar, which is not null. last: the token that ends an answer.
  ChoiceRule(const GrammarSource& source, AnswerConstraint held, int32_t last);

  AnswerConstraint constraint;
  AnswerForm form;
  int32_t end;
  double temperature;
};
// The token that ends the answers of requests with these options.
int32_t EndOf(const SamplingOptions& sampling, const Architecture& config);

// Of an answer's tokens, without an end token; none if it is not whole. A choice of whose values
// the tokenizer makes other texts is left out, and so is all within a thought.
std::vector<AnswerChoice> ChoicesOf(const ChoiceRule& rule, const std::vector<int32_t>& answer,
                                    const Tokenizer& tokenizer);

// Divides the log-probabilities by the temperature, and gives probabilities whose sum is 1.
std::vector<double> Calibrated(const std::vector<double>& log_probabilities, double temperature);

// The probabilities of an answer's choices, found by scoring streams of an engine.
class FieldProbabilities {
 public:
  // What it does here takes a fraction of a second at most (kMostAnswerValueBytes).
  FieldProbabilities(const ChoiceRule& rule, const GenerationRequest& asked,
                     const std::vector<int32_t>& answer, const Tokenizer& tokenizer);

  size_t streams() const { return streams_.size(); }
  GenerationRequest Request(size_t stream) const;
  void Take(size_t stream, std::span<const double> scores);
  std::vector<FieldChoice> Result() const;  // behind all streams

 private:
  struct Stream {
    size_t choice, part;  // of choices_; of its selection
  };
  int64_t TokensBefore(const AnswerChoice& choice) const {
    return prompt_tokens_ + static_cast<int64_t>(choice.before);
  }

  AnswerForm form_;
  double temperature_;
  std::shared_ptr<const Adapter> adapter_;
  std::vector<int32_t> tokens_;  // the prompt's and the answer's
  int64_t prompt_tokens_;
  std::vector<AnswerChoice> choices_;
  std::vector<Selection> selections_;
  std::vector<Stream> streams_;
};

// The same in one go, with an engine that nobody else steps. `asked` is what the answer answers.
std::vector<FieldChoice> ScoreFields(Engine& engine, const ChoiceRule& rule,
                                     const GenerationRequest& asked,
                                     const std::vector<int32_t>& answer,
                                     const Tokenizer& tokenizer);

}  // namespace retort
