// SPDX-License-Identifier: Apache-2.0
#include "train/objectives/on_policy.h"

#include <algorithm>

#include "base/error.h"
#include "base/random.h"

namespace retort {
namespace {

EngineOptions EngineOptionsOf(const OnPolicyOptions& options, const Architecture& config) {
  EngineOptions out;
  out.parallel = options.parallel;
  out.context = std::min(options.max_tokens, config.max_positions);
  out.cache_tokens = out.parallel * out.context;
  out.cache_type = options.cache_type;
  return out;
}

std::vector<int32_t> PromptOf(const Example& row) {
  const auto first = std::find_if(row.labels.begin() + 1, row.labels.end(),
                                  [](int32_t l) { return l != kNoLoss; });
  return {row.ids.begin(), row.ids.begin() + (first - row.labels.begin())};
}

uint64_t Seed(PhiloxKey key) { return uint64_t{key[0]} << 32 | key[1]; }

}  // namespace

// A row whose answer is being generated, and the pointer in the step that it will replace.
struct OnPolicyDistillation::Answer {
  const Example** place;
  Example row;
};

OnPolicyDistillation::OnPolicyDistillation(std::unique_ptr<Objective> scorer, const Model& student,
                                           const Adapter* adapter, const Tokenizer& tokenizer,
                                           const OnPolicyOptions& options)
    : scorer_(std::move(scorer)),
      options_(options),
      engine_(student, adapter, tokenizer, EngineOptionsOf(options, student.config)) {}

void OnPolicyDistillation::Submit(const Example& row, int64_t order, int64_t number,
                                  Answer& answer) {
  answer.row.row = row.row;
  answer.row.generated = true;
  answer.row.joined = row.joined;
  answer.row.ids = PromptOf(row);
  answer.row.labels.assign(answer.row.ids.size(), kNoLoss);
  GenerationRequest request;
  request.prompt = answer.row.ids;
  request.sampling.temperature = options_.temperature;
  request.sampling.max_tokens = options_.max_new_tokens;
  request.sampling.stop_ids = options_.stop_ids;
  request.sampling.seed =
      Seed(MakeKey(options_.seed, RandomUse::kSample, static_cast<uint64_t>(number),
                   static_cast<uint64_t>(order)));
  request.on_event = [&answer, this](const GenerationEvent& event) {
    if (event.error) error_ = event.error;
    std::vector<int32_t> ids = event.ids;
    if (event.end_id >= 0)
      ids.push_back(event.end_id);  // ending here is part of the answer, so the token carries loss
    answer.row.ids.insert(answer.row.ids.end(), ids.begin(), ids.end());
    answer.row.labels.insert(answer.row.labels.end(), ids.begin(), ids.end());
    return true;
  };
  engine_.Submit(std::move(request));
}

int64_t OnPolicyDistillation::Prepare(StepBatch& step, int64_t number) {
  std::deque<Answer> answers;
  for (MicroBatch& micro : step.micro) {
    for (size_t r = 0; r < micro.rows.size(); ++r) {
      const Example& row = *micro.rows[r];
      const auto room = static_cast<size_t>(engine_.context());
      if (row.LossTokens() == 0 || PromptOf(row).size() >= room) continue;
      RandomStream draw(MakeKey(options_.seed, RandomUse::kData, static_cast<uint64_t>(number),
                                static_cast<uint64_t>(micro.order[r])));
      if (draw.Uniform() >= options_.lambda) continue;
      answers.push_back({&micro.rows[r], {}});
      Submit(row, micro.order[r], number, answers.back());
    }
  }
  while (engine_.Step()) {
    if (error_) std::rethrow_exception(error_);
  }
  rows_.clear();
  int64_t generated = 0;
  for (Answer& answer : answers) {
    generated += answer.row.LossTokens();
    *answer.place = &rows_.emplace_back(std::move(answer.row));
  }
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
  return generated;
}

}  // namespace retort
