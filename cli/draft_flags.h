// SPDX-License-Identifier: Apache-2.0
// --draft and --draft-tokens of the commands that generate: speculative decoding.
#pragma once

#include <string>

#include "cli/flags.h"
#include "runner/engine/draft/drafter.h"

namespace retort {

struct DraftFlags {
  std::string draft;  // "", "ngram" or a model
  int64_t tokens = DraftOptions{}.tokens;

  void Add(CLI::App& command);
};

// What an engine needs to guess for a model. A drafting model has a backend of its own: what one
// holds its weights in decides how all its products are computed (Arithmetic::steady).
class OpenedDraft {
 public:
  // Opens what the flags name, as `use` and the flags of the model say. Throws Error{kInput} if its
  // tokens are not those of the model, which has a tokenizer.
  OpenedDraft(const DraftFlags& flags, const OpenedModel& model, const std::string& model_name,
              const ComputeFlags& compute, OpenedFor use);

  DraftOptions options() const;
  // "DIR, int8, at most 8 tokens in a step"; "" without one.
  std::string Text() const;

 private:
  DraftFlags flags_;
  OpenedModel opened_;  // empty unless a model drafts
};

}  // namespace retort
