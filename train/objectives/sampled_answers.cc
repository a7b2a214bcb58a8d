// SPDX-License-Identifier: Apache-2.0
#include "train/objectives/sampled_answers.h"

#include <algorithm>

#include "base/error.h"
#include "base/random.h"

namespace retort {
namespace {

EngineOptions EngineOptionsOf(const SampledAnswersOptions& options, const Architecture& config) {
  EngineOptions out;
  out.parallel = options.parallel;
  out.context = std::min(options.max_tokens, config.max_positions);
  out.cache_tokens = out.parallel * out.context;
  out.cache_type = options.cache_type;
  return out;
}

uint64_t Seed(PhiloxKey key) { return uint64_t{key[0]} << 32 | key[1]; }

// Where the row's own answer begins and ends. No token predicts the first one.
std::pair<int64_t, int64_t> OwnAnswer(const Example& row) {
  const auto learnt = [&](int64_t i) { return row.labels[static_cast<size_t>(i)] != kNoLoss; };
  int64_t end = row.size();
  while (end > 1 && !learnt(end - 1)) --end;
  int64_t begin = end;
  while (begin > std::max<int64_t>(1, row.answer) && learnt(begin - 1)) --begin;
  return {begin, end};
}

}  // namespace

std::vector<int32_t> OwnAnswerOf(const Example& row) {
  const auto [begin, end] = OwnAnswer(row);
  return {row.ids.begin() + begin, row.ids.begin() + end};
}

std::vector<int32_t> PromptOf(const Example& row) {
  return {row.ids.begin(), row.ids.begin() + OwnAnswer(row).first};
}

SampledAnswers::SampledAnswers(const Model& model, const Adapter* adapter,
                               const Tokenizer& tokenizer, const SampledAnswersOptions& options)
    : options_(options),
      engine_(model, adapter, tokenizer, EngineOptionsOf(options, model.config)) {}

bool SampledAnswers::MayAsk(const Example& row) const {
  return row.LossTokens() > 0 && std::ssize(PromptOf(row)) < engine_.context();
}

void SampledAnswers::Submit(const Wanted& wanted, Answer& answer, RequestGroup& requests) {
  answer.row.row = wanted.row->row;
  answer.row.generated = true;
  answer.row.joined = wanted.row->joined;
  answer.row.ids = PromptOf(*wanted.row);
  answer.row.answer = answer.row.size();
  answer.row.labels.assign(answer.row.ids.size(), kNoLoss);
  GenerationRequest request;
  request.prompt = answer.row.ids;
  request.sampling.temperature = options_.temperature;
  request.sampling.max_tokens = options_.max_new_tokens;
  request.sampling.stop_ids = options_.stop_ids;
  request.sampling.seed =
      Seed(MakeKey(options_.seed, RandomUse::kSample, static_cast<uint64_t>(wanted.step),
                   static_cast<uint64_t>(wanted.number)));
  request.on_event = [&answer](const GenerationEvent& event) {
    answer.text += event.text;
    std::vector<int32_t> ids = event.ids;
    if (event.end_id >= 0) {
      ids.push_back(event.end_id);  // ending here is part of the answer, so the token carries loss
      answer.ended = true;
    }
    answer.row.ids.insert(answer.row.ids.end(), ids.begin(), ids.end());
    answer.row.labels.insert(answer.row.labels.end(), ids.begin(), ids.end());
    return true;
  };
  requests.Submit(std::move(request));
}

std::vector<SampledAnswers::Answer> SampledAnswers::Sample(const std::vector<Wanted>& wanted) {
  std::vector<Answer> answers(wanted.size());
  engine_.ForgetPrefixes();  // a step has changed the weights
  RequestGroup requests(engine_);
  for (size_t i = 0; i < wanted.size(); ++i) Submit(wanted[i], answers[i], requests);
  requests.Run();
  return answers;
}

void CountTokens(StepBatch& step) {
  step.tokens = step.loss_tokens = 0;
  for (MicroBatch& micro : step.micro) {
    micro.tokens = micro.loss_tokens = 0;
    for (const Example* row : micro.rows) {
      micro.tokens += row->size();
      micro.loss_tokens += row->LossTokens();
    }
    step.tokens += micro.tokens;
    step.loss_tokens += micro.loss_tokens;
  }
}

}  // namespace retort
