// SPDX-License-Identifier: Apache-2.0
#include "runner/program/program_line.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "base/text.h"

namespace retort {

void ProgramPiece::Take(const GenerationEvent& event) {
  const std::lock_guard lock(mutex);
  told.finish = event.finish;
  told.said.content += event.text;
  told.stop_text = event.stop_text;
  told.usage.completion_tokens += std::ssize(event.ids);
  told.usage.reused_tokens = event.reused_tokens;
  told.watched.tokens += event.watched.tokens;
  told.watched.logprob += event.watched.logprob;
  if (told.timings.first_token == 0) told.timings.first_token = event.seconds;
  told.timings.last_token = event.seconds;
  ids.insert(ids.end(), event.ids.begin(), event.ids.end());
  scores = event.scores;
}

ApiChoice ProgramPiece::Told() const {
  const std::lock_guard lock(mutex);
  return told;
}

void CheckNoneBeginsAnother(const std::vector<std::vector<int32_t>>& labels,
                            const std::vector<std::string>& choices) {
  for (size_t a = 0; a < labels.size(); ++a) {
    for (size_t b = 0; b < labels.size(); ++b) {
      if (a == b || labels[a].size() > labels[b].size() ||
          !std::equal(labels[a].begin(), labels[a].end(), labels[b].begin()))
        continue;
      throw ApiError(400, Cat("the choice ", Quoted(choices[b]), " begins with the tokens of ",
                              Quoted(choices[a]), ", which is never less likely; give a 'suffix' ",
                              "that ends both, such as a new line"));
    }
  }
}

std::vector<double> SharesOf(const std::vector<double>& logprobs) {
  const double most = *std::ranges::max_element(logprobs);
  std::vector<double> shares;
  shares.reserve(logprobs.size());
  double sum = 0;
  for (const double logprob : logprobs) sum += shares.emplace_back(std::exp(logprob - most));
  for (double& share : shares) share /= sum;
  return shares;
}

Json SaidJson(const ProgramStep& step, const ApiChoice& said) {
  return {{"name", step.name},
          {"type", "generate"},
          {"text", said.said.content},
          {"finish_reason", std::string(NameOf(said.finish))},
          {"completion_tokens", said.usage.completion_tokens}};
}

Json ChosenJson(const ProgramStep& step, const std::vector<double>& logprobs, size_t best) {
  const std::vector<double> shares = SharesOf(logprobs);
  Json choices = Json::array();
  for (size_t i = 0; i < shares.size(); ++i) {
    choices.push_back(
        {{"text", step.choices[i]}, {"logprob", logprobs[i]}, {"probability", shares[i]}});
  }
  return {{"name", step.name},
          {"type", "select"},
          {"text", step.choices[best]},
          {"probability", shares[best]},
          {"choices", std::move(choices)}};
}

Json JoinedJson(const ProgramStep& step,
                const std::vector<std::unique_ptr<ProgramLine>>& branches) {
  Json told = Json::array();
  for (const auto& branch : branches)
    told.push_back({{"text", branch->text}, {"steps", branch->told}});
  return {{"name", step.name}, {"type", "branch"}, {"branches", std::move(told)}};
}

}  // namespace retort
