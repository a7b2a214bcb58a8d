// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/draft/ngram_drafter.h"

namespace retort {
namespace {

// How many tokens before `end` are equal to the last ones, at most kMost.
int64_t MatchBefore(std::span<const int32_t> tokens, size_t end) {
  int64_t length = 0;
  while (length < NgramDrafter::kMost && std::cmp_less(length, end)) {
    const auto back = static_cast<size_t>(length) + 1;
    if (tokens[end - back] != tokens[tokens.size() - back]) break;
    ++length;
  }
  return length;
}

// Where what followed begins; the size of `tokens` if the last ones are new.
size_t PlaceOfNext(std::span<const int32_t> tokens) {
  size_t place = tokens.size();
  int64_t best = NgramDrafter::kLeast - 1;
  for (size_t end = tokens.size() - 1; end > 0 && best < NgramDrafter::kMost; --end) {
    const int64_t length = MatchBefore(tokens, end);
    if (length > best) best = length, place = end;
  }
  return place;
}

}  // namespace

void NgramDrafter::Propose(std::span<DraftRequest> requests) {
  for (DraftRequest& request : requests) {
    const std::span<const int32_t> tokens = request.tokens;
    const size_t place = PlaceOfNext(tokens);
    if (place == tokens.size()) continue;
    request.ids.reserve(static_cast<size_t>(request.most));
    // What followed may reach the end of the text; then it goes on with the guesses themselves, as
    // a text with a period does.
    for (size_t at = place; std::cmp_less(at - place, request.most); ++at)
      request.ids.push_back(at < tokens.size() ? tokens[at] : request.ids[at - tokens.size()]);
  }
}

}  // namespace retort
