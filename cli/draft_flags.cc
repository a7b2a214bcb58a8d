// SPDX-License-Identifier: Apache-2.0
#include "cli/draft_flags.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/error.h"
#include "base/strings.h"
#include "tokenizer/tokenizer_agreement.h"

namespace retort {
namespace {

constexpr const char* kNgram = "ngram";
constexpr int64_t kMostTokens = 64;

}  // namespace

void DraftFlags::Add(CLI::App& command) {
  command.add_option("--draft", draft,
                     "guess tokens, so that one pass of the model may say several: a smaller model "
                     "with the same tokens, or ngram for what followed the last tokens before");
  command.add_option("--draft-tokens", tokens, "at most so many guesses in a step")
      ->check(CLI::Range(int64_t{1}, kMostTokens));
}

OpenedDraft::OpenedDraft(const DraftFlags& flags, const OpenedModel& model,
                         const std::string& model_name, const ComputeFlags& compute, OpenedFor use)
    : flags_(flags) {
  if (flags.draft.empty() || flags.draft == kNgram) return;
  opened_ = OpenForRunning(flags.draft, {}, compute, use, true);
  const std::string difference = Disagreement(*model.tokenizer, *opened_.tokenizer);
  if (difference.empty()) return;
  throw InputError("--draft ", flags.draft, ": cannot draft for ", model_name,
                   ", whose tokens are others (", difference,
                   "); give a model with the same tokenizer, or ngram");
}

DraftOptions OpenedDraft::options() const {
  return {flags_.tokens, flags_.draft == kNgram, opened_.model.get(), opened_.adapter.get()};
}

std::string OpenedDraft::Text() const {
  if (flags_.draft.empty()) return "";
  return Cat(flags_.draft, opened_.model ? Cat(", ", NameOf(opened_.compute)) : std::string(),
             ", at most ", flags_.tokens, " tokens in a step");
}

}  // namespace retort
