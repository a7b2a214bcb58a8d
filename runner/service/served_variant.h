// SPDX-License-Identifier: Apache-2.0
// One of the names that a server answers to: its model, or an adapter on that; with what belongs to
// the name alone: the chat template, how answers are read, and what they are held to.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runner/api/error.h"
#include "runner/api/request.h"
#include "runner/service/chat_answer.h"
#include "runner/service/prompt.h"
#include "runner/service/served_model.h"

namespace retort {

// Nothing in it changes, so threads may share one.
class ServedVariant {
 public:
  // What an answer's parser is made by, once for each answer.
  using MakeParser = std::function<std::unique_ptr<AnswerParser>()>;

  // adapter: null for the model as it is served without one of these; folder: its own. context: the
  // most tokens of a request. Throws Error{kInput} if the tokenizer lacks the template's marks.
  ServedVariant(ServedModel model, std::shared_ptr<const Adapter> adapter, Path folder,
                AnswerRule rule, int64_t context, const std::string& version);

  const ServedModel& model() const { return model_; }
  const std::string& name() const { return model_.name; }
  bool is_adapter() const { return adapter_ != nullptr; }
  const std::shared_ptr<const Adapter>& adapter() const { return adapter_; }
  const Path& folder() const { return folder_; }
  int32_t end_of_turn() const { return end_of_turn_; }  // -1: there is no template
  const AnswerRule& rule() const { return rule_; }
  // The same for every server of the same variant by the same program.
  const std::string& fingerprint() const { return fingerprint_; }
  int64_t created() const { return created_; }  // seconds since 1970: when its files had been read

  // These throw ApiError. Prompts of a chat or of texts, as the engine would get them.
  std::vector<std::vector<int32_t>> PromptsOf(ApiRequest& request) const;
  // How many tokens a chat's prompt has, whether or not it fits.
  int64_t CountOf(ApiRequest& request) const;
  // A chat's text, as its template writes it.
  std::string Render(const ApiRequest& request) const { return prompts_.Render(request); }
  // Makes the answer one of this variant; the request's prompt is there.
  void Prepare(const ApiRequest& request, GenerationRequest& out, MakeParser& parser) const;
  // An id of a call, drawn from `random`. Requires a template.
  std::string CallId(uint64_t random) const { return answers_->CallId(random); }

 private:
  const ServedModel model_;
  const std::shared_ptr<const Adapter> adapter_;
  const Path folder_;
  const AnswerRule rule_;
  const std::string fingerprint_;
  const int64_t created_;
  const PromptReader prompts_;
  int32_t end_of_turn_ = -1;
  std::optional<ChatAnswers> answers_;  // if there is a template
};

}  // namespace retort
