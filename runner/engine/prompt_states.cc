// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/prompt_states.h"

#include <algorithm>

namespace retort {

void PromptStates::Clear() {
  scored_.clear();
  pooled_.clear();
}

void PromptStates::Add(Stream& stream, int64_t first, int64_t count, int64_t row) {
  for (int64_t i = 0; i < count; ++i) {
    const Wanted wanted{&stream, first + i, static_cast<int32_t>(row + i)};
    if (stream.WantsLogits(first + i)) scored_.push_back(wanted);
    if (stream.WantsHidden(first + i)) pooled_.push_back(wanted);
  }
}

void PromptStates::Give(const Model& model, Context& context, const RowAdapters& adapters,
                        const Var& hidden) {
  constexpr size_t kAtOnce = 32;  // rows of logits, which are as wide as the vocabulary
  const auto vocab = static_cast<size_t>(model.config.vocab);
  for (size_t begin = 0; begin < scored_.size(); begin += kAtOnce) {
    const size_t count = std::min(scored_.size() - begin, kAtOnce);
    std::vector<int32_t> rows;
    rows.reserve(count);
    for (size_t i = 0; i < count; ++i) rows.push_back(scored_[begin + i].row);
    logits_.resize(count * vocab);
    model.backend.CopyFloats(model.Logits(context, adapters, hidden, rows), logits_);
    for (size_t i = 0; i < count; ++i) {
      const Wanted& wanted = scored_[begin + i];
      wanted.stream->Score(wanted.position, std::span(logits_).subspan(i * vocab, vocab));
    }
  }
  if (pooled_.empty()) return;
  const std::vector<float> states = model.backend.ToFloats(hidden.value);
  const auto width = static_cast<size_t>(model.config.width);
  for (const Wanted& wanted : pooled_)
    wanted.stream->Pool(std::span(states).subspan(static_cast<size_t>(wanted.row) * width, width));
}

}  // namespace retort
