// SPDX-License-Identifier: Apache-2.0
#include "runner/service/served_variant.h"

#include "base/clock.h"
#include "base/hex.h"
#include "base/random.h"
#include "base/strings.h"

namespace retort {
namespace {

std::string FingerprintOf(const ServedModel& model, bool adapter, const std::string& version) {
  const Architecture& config = model.model.config;
  return "fp_" + HexText(NameKey(Cat(version, " ", model.name, " ", config.vocab, " ", config.width,
                                     " ", NameOf(model.model.compute()), " ",
                                     adapter || model.adapter != nullptr)),
                         16);
}

}  // namespace

ServedVariant::ServedVariant(ServedModel model, std::shared_ptr<const Adapter> adapter, Path folder,
                             AnswerRule rule, int64_t context, const std::string& version)
    : model_(std::move(model)),
      adapter_(std::move(adapter)),
      folder_(std::move(folder)),
      rule_(std::move(rule)),
      fingerprint_(FingerprintOf(model_, adapter_ != nullptr, version)),
      created_(SecondsSince1970()),
      prompts_(model_, context) {
  if (!model_.chat) return;
  end_of_turn_ = model_.chat->CheckMarks(model_.tokenizer, model_.name);
  answers_.emplace(*model_.chat, model_.tokenizer);
}

std::vector<std::vector<int32_t>> ServedVariant::PromptsOf(ApiRequest& request) const {
  if (answers_) answers_->PlaceEarlierThoughts(request.messages);
  return prompts_.Read(request);
}

int64_t ServedVariant::CountOf(ApiRequest& request) const {
  if (answers_) answers_->PlaceEarlierThoughts(request.messages);
  return prompts_.Count(request);
}

void ServedVariant::Prepare(const ApiRequest& request, GenerationRequest& out,
                            MakeParser& parser) const {
  out.adapter = adapter_;
  parser = [] { return nullptr; };
  if (request.kind != ApiKind::kChat) return;
  out.sampling.stop_ids.push_back(end_of_turn_);
  answers_->CheckTools(request.tools);
  const bool in_thought = answers_->BeginsInThought(out.prompt, request.begun.value_or(""));
  if (auto calls = answers_->HeldTo(request.tools, in_thought))
    out.constraint.grammar = std::move(calls);
  else
    answers_->LetThink(out.constraint, in_thought);
  out.shown_ids = answers_->shown_ids();
  out.forced = answers_->Forced(request.tools, in_thought);
  parser = [this, tools = request.tools, stream = request.stream, in_thought] {
    return answers_->Parser(tools, stream, in_thought);
  };
}

}  // namespace retort
