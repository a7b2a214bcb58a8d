// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/draft/draft_length.h"

#include <algorithm>

namespace retort {

int64_t DraftLength::Next() {
  if (pause_ == 0) return length_;
  --pause_;
  return 0;
}

void DraftLength::Observe(int64_t drafted, int64_t accepted) {
  if (drafted == 0) return;
  if (accepted > 0) {
    // Fewer than `length_` may have been made, for want of room: that all came true says nothing
    // against more.
    length_ = accepted < drafted ? accepted + 1 : std::max(length_, accepted + 1);
    last_pause_ = 0;
  } else if (drafted > 1) {
    length_ = drafted / 2;
  } else {
    length_ = 1;
    last_pause_ = std::clamp(2 * last_pause_, kShortestPause, kLongestPause);
    pause_ = last_pause_;
  }
}

}  // namespace retort
