// SPDX-License-Identifier: Apache-2.0
// How much work one input may cause. Loops whose length an input decides draw from a budget that is
// proportional to the input's size, and refuse the input when nothing is left. The unit is the
// user's own; counting, unlike a clock, gives the same answer on every machine.
#pragma once

#include <cstdint>

namespace retort {

class WorkBudget {
 public:
  explicit WorkBudget(uint64_t units) : left_(units) {}
  // False if less than that is left; then nothing is left.
  [[nodiscard]] bool Take(uint64_t units) {
    const bool enough = units <= left_;
    left_ = enough ? left_ - units : 0;
    return enough;
  }
  uint64_t left() const { return left_; }

 private:
  uint64_t left_;
};

}  // namespace retort
