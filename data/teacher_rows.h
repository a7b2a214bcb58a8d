// SPDX-License-Identifier: Apache-2.0
// Rows of a teacher's cache as they stand in a shard, and back. docs/formats/teacher-cache.md.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "data/top_tokens.h"

namespace retort {

// What a cache's vocabulary and k make of its rows.
struct TeacherLayout {
  int64_t vocab, kept;  // 1 <= kept <= vocab <= 2^24

  bool all_kept() const { return kept == vocab; }
  bool wide_ids() const { return !all_kept() && vocab > 65'536; }
  int64_t row_bytes() const { return all_kept() ? 2 * kept : kept * (wide_ids() ? 5 : 4) + 2; }
  // Rows that are compressed together: some 8 KiB of each dataset, of which an example of a
  // shuffled batch may need a single row.
  int64_t block_rows() const { return std::clamp<int64_t>(4096 / kept, 1, 256); }
};

// Values are the f16 bits of -log p: 0 (p = 1) to 0x7bff (-65504), so that a more probable outcome
// has the smaller number. Where ids are stored, a row's values are the differences from one
// outcome to the next, which pack better.
struct StoredRows {
  std::vector<uint16_t> ids;      // [n, k] the ids' lower 16 bits; empty where all is kept
  std::vector<uint8_t> high_ids;  // [n, k] bits 16 to 23, where ids are wide
  std::vector<uint16_t> values;   // [n, k]
  std::vector<uint16_t> tails;    // [n]; empty where all is kept
};

// Appends. A row that could not be read back (order, ids, NaN, a sum far from 1) is a bug.
void EncodeRows(const TeacherLayout& layout, const TopTokens& rows, StoredRows& out);

// Checks and renormalises rows: distinct ids below vocab, values in range, a sum within 2 % of 1.
class RowDecoder {
 public:
  explicit RowDecoder(const TeacherLayout& layout);
  // Rows [begin, begin + n) of `stored`, to rows `at` and on of `out`. Throws Error{kInput}
  // beginning with `place`, naming the row.
  void Decode(const StoredRows& stored, int64_t begin, int64_t n, const std::string& place,
              TopTokens& out, int64_t at);

 private:
  void DecodeIds(const StoredRows& stored, int64_t row, std::span<int32_t> ids,
                 const std::string& place);
  void DecodeValues(const StoredRows& stored, int64_t row, std::span<float> log_probs,
                    const std::string& place);

  TeacherLayout layout_;
  std::vector<int64_t> seen_;     // [vocab] the serial number of the last row with this id
  std::vector<uint32_t> values_;  // [k] of a row
  int64_t serial_ = 0;
};

// Subtracts the log of the sum over a row's outcomes, so that they sum to 1; returns that log.
double Renormalize(TopTokens& rows, int64_t row);

}  // namespace retort
