// SPDX-License-Identifier: Apache-2.0
// Classification with a label for what belongs to none of the others: how many of the rows in scope
// get their label, and how many of the others are known as such (recall).
#pragma once

#include <cstdint>

namespace retort {

struct ScopeCounts {
  int64_t in_right = 0, in_rows = 0, out_right = 0, out_rows = 0;

  void Add(bool out_of_scope, bool right) {
    (out_of_scope ? out_rows : in_rows) += 1;
    (out_of_scope ? out_right : in_right) += right;
  }
  double in_scope() const { return Share(in_right, in_rows); }
  double out_of_scope_recall() const { return Share(out_right, out_rows); }

 private:
  static double Share(int64_t part, int64_t whole) {
    return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0;
  }
};

}  // namespace retort
