// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/constrained_answer.h"

#include <algorithm>
#include <limits>

#include "base/error.h"

namespace retort {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

}  // namespace

ConstrainedAnswer::ConstrainedAnswer(AnswerConstraint constraint)
    : constraint_(std::move(constraint)),
      matcher_(constraint_.grammar),
      started_(!constraint_.in_thought),
      bits_(matcher_.vocabulary().mask_words()) {}

void ConstrainedAnswer::Mask(std::span<float> logits, std::span<const int32_t> ends) {
  if (!started_) return;
  matcher_.FillMask(bits_);
  // An end may have text of its own, which ends the answer all the same.
  for (const int32_t id : ends) {
    const auto word = static_cast<size_t>(id) / 64;
    if (id < 0 || word >= bits_.size()) continue;
    const uint64_t bit = uint64_t{1} << id % 64;
    bits_[word] = matcher_.CanEnd() ? bits_[word] | bit : bits_[word] & ~bit;
  }
  bool any = false, left = false;
  for (size_t word = 0; word * 64 < logits.size(); ++word) {
    const uint64_t allowed = word < bits_.size() ? bits_[word] : 0;
    any |= allowed != 0;
    const std::span<float> some =
        logits.subspan(word * 64, std::min<size_t>(64, logits.size() - word * 64));
    if (allowed != ~uint64_t{0}) {
      for (size_t i = 0; i < some.size(); ++i) {
        if (!(allowed >> i & 1)) some[i] = kNever;
      }
    }
    left = left || std::ranges::any_of(some, [](float logit) { return logit != kNever; });
  }
  if (!any) {
    throw Failure(
        "no token of the model's vocabulary goes on with what the grammar asks for; its "
        "characters may be missing there");
  }
  if (!left) throw InputError("logit_bias excludes all tokens that the grammar allows here");
}

std::optional<size_t> ConstrainedAnswer::CountAllowed(std::span<const int32_t> ids) const {
  if (!started_) return ids.size();
  return matcher_.CountAllowed(ids);
}

void ConstrainedAnswer::Accept(int32_t id) {
  if (started_) {
    RETORT_CHECK(matcher_.Accept(id), "token ", id, " is against the grammar");
    return;
  }
  thought_ += matcher_.vocabulary().TextOf(id);
  const std::string& close = constraint_.think_close;
  started_ = thought_.ends_with(close);
  // What follows the mark within its token is not looked at.
  if (thought_.size() > 4096) thought_.erase(0, thought_.size() - close.size());
}

std::vector<int32_t> ConstrainedAnswer::Force(int32_t last, const Tokenizer& tokenizer) {
  if (!started_) return {};
  const std::string forced = matcher_.ForcedText();
  const std::string& before = matcher_.vocabulary().TextOf(last);
  if (forced.empty() || before.empty()) return {};
  const Vocabulary& vocabulary = matcher_.vocabulary();
  std::vector<int32_t> ids = tokenizer.Encode(vocabulary.SegmentsOf(before + forced), true);
  // A tokenizer that rewrites texts would say something else.
  std::string text;
  for (const int32_t id : ids) text += vocabulary.TextOf(id);
  if (text != before + forced) return {};
  std::vector<Matcher> places;  // behind each token
  size_t end = 0, read = before.size();
  for (const int32_t id : ids) {
    end += vocabulary.TextOf(id).size();
    if (end < before.size()) return {};  // `last` would be cut
    Matcher at = places.empty() ? matcher_ : places.back();
    at.AcceptText(std::string_view(text).substr(read, end - read));
    read = end;
    places.push_back(std::move(at));
  }
  size_t kept = ids.size();
  while (kept > 1 && places[kept - 2].MayBeLonger(ids[kept - 1])) --kept;
  if (kept < 2) return {};
  matcher_ = places[kept - 1];
  ids.resize(kept);
  return ids;
}

}  // namespace retort
