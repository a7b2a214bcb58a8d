// SPDX-License-Identifier: Apache-2.0
// How much work one input may cause. Loops whose length an input decides draw from a budget that is
// proportional to the input's size, and refuse the input when nothing is left. The unit is the
// user's own; counting, unlike a clock, gives the same answer on every machine.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/error.h"

namespace retort {

class WorkBudget {
 public:
  explicit WorkBudget(uint64_t units) : left_(units), all_(units) {}
  // False if less than that is left; then nothing is left.
  [[nodiscard]] bool Take(uint64_t units) {
    const bool enough = units <= left_;
    left_ = enough ? left_ - units : 0;
    return enough;
  }
  // Takes the units or throws Error{kInput}: "tokenizer.json: the normalizer takes more than 1000000
  // steps of work for an input of this size; it is refused". `what` begins the text.
  void Spend(uint64_t units, std::string_view what) {
    if (Take(units)) [[likely]]
      return;
    throw InputError(what, " takes more than ", all_,
                     " steps of work for an input of this size; it is refused");
  }
  uint64_t left() const { return left_; }

 private:
  uint64_t left_, all_;
};

}  // namespace retort
