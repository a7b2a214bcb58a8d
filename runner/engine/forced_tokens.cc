// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/forced_tokens.h"

#include "base/strings.h"

namespace retort {

int32_t ForcedBeginning::Force(std::vector<int32_t> ids) {
  ids_ = std::move(ids);
  next_ = 1;
  at_ = ids_.size() > 1 ? At::kForced : At::kDone;
  return ids_[0];
}

int32_t ForcedBeginning::Instead(int32_t drawn, bool ends, const Tokenizer& tokenizer) {
  if (at_ == At::kDone) return drawn;
  if (at_ == At::kForced) {
    const int32_t id = ids_[next_++];
    if (next_ == ids_.size()) at_ = At::kDone;
    return id;
  }
  const std::string& open = tokens_.think_open;
  const std::string& close = tokens_.think_close;
  if (at_ == At::kThought && EndsWith(text_, close)) return Force(tokens_.after_thought);
  if (ends && at_ == At::kStart) return Force(tokens_.ids);
  if (ends) {
    std::vector<int32_t> ids = tokens_.end_of_thought;
    ids.insert(ids.end(), tokens_.after_thought.begin(), tokens_.after_thought.end());
    return Force(std::move(ids));
  }
  text_ += tokenizer.Bytes(drawn, true);
  if (at_ == At::kStart) {
    // A part of the mark may as well be the beginning of something else, which cannot be taken
    // back.
    if (open.empty() || !StartsWith(text_, open)) return Force(tokens_.ids);
    at_ = At::kThought;
    return drawn;
  }
  // A token that closes the thought and says more is let pass; the mark is looked for at its end.
  if (const size_t found = text_.find(close); found != std::string::npos)
    text_.resize(found + close.size());
  else if (text_.size() > close.size())
    text_.erase(0, text_.size() - close.size());
  return drawn;
}

}  // namespace retort
