// SPDX-License-Identifier: Apache-2.0
// How many tokens are guessed for a stream: more where guesses come true, none for a while where
// they do not.
#pragma once

#include <cstdint>

namespace retort {

class DraftLength {
 public:
  static constexpr int64_t kFirst = 4;                              // guesses of a new stream
  static constexpr int64_t kShortestPause = 4, kLongestPause = 64;  // steps

  // Guesses of the next step, if there is room for so many; 0 in a pause.
  int64_t Next();
  // So many were made and came true. One more is made after all of them did, half as many after
  // none did, and else as many as did and one. Where a single one did not, there is a pause, each
  // twice as long as the one before until a guess comes true; then one is made again.
  void Observe(int64_t drafted, int64_t accepted);

 private:
  int64_t length_ = kFirst;
  int64_t pause_ = 0, last_pause_ = 0;  // steps that are left; of the last pause
};

}  // namespace retort
