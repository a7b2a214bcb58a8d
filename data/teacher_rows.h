// SPDX-License-Identifier: Apache-2.0
// Converts rows of a teacher's cache to and from their form in a shard. See
// docs/formats/teacher-cache.md.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "data/top_tokens.h"

namespace retort {

// The layout of a cache's rows, determined by its vocabulary and k.
struct TeacherLayout {
  int64_t vocab, kept;  // 1 <= kept <= vocab <= 2^24

  bool all_kept() const { return kept == vocab; }
  bool wide_ids() const { return !all_kept() && vocab > 65'536; }
  int64_t row_bytes() const { return all_kept() ? 2 * kept : kept * (wide_ids() ? 5 : 4) + 2; }
  // Rows that are compressed together. About 8 KiB of each dataset, kept small because an example
  // in a shuffled batch may need only one row of a block.
  int64_t block_rows() const { return std::clamp<int64_t>(4096 / kept, 1, 256); }
};

// Values are the f16 bits of -log p, from 0 (p = 1) to 0x7bff (log p = -65504): the more probable
// the outcome, the smaller the number. If ids are stored, a row's values are stored as differences
// between consecutive outcomes, which compress better.
struct StoredRows {
  std::vector<uint16_t> ids;      // [n, k] the ids' lower 16 bits; empty if k = vocab
  std::vector<uint8_t> high_ids;  // [n, k] bits 16 to 23; empty unless wide_ids()
  std::vector<uint16_t> values;   // [n, k]
  std::vector<uint16_t> tails;    // [n]; empty if k = vocab
};

// Appends `rows` to `out`. An invalid row (order, ids, NaN, a sum far from 1), which could not be
// read back, is a bug.
void EncodeRows(const TeacherLayout& layout, const TopTokens& rows, StoredRows& out);

// Checks and renormalises rows: distinct ids below vocab, values in range, a sum within 2 % of 1.
class RowDecoder {
 public:
  explicit RowDecoder(const TeacherLayout& layout);
  // Decodes rows [begin, begin + n) of `stored` into the rows of `out` from `at` on. Throws
  // Error{kInput} that begins with `place` and names the row.
  void Decode(const StoredRows& stored, int64_t begin, int64_t n, const std::string& place,
              TopTokens& out, int64_t at);

 private:
  void DecodeIds(const StoredRows& stored, int64_t row, std::span<int32_t> ids,
                 const std::string& place);
  void DecodeValues(const StoredRows& stored, int64_t row, std::span<float> log_probs,
                    const std::string& place);

  TeacherLayout layout_;
  std::vector<int64_t> seen_;     // [vocab] serial number of the last row with this id
  std::vector<uint32_t> values_;  // [k] of one row
  int64_t serial_ = 0;
};

// Subtracts the log of the sum over a row's outcomes, so that they sum to 1; returns that log.
double Renormalize(TopTokens& rows, int64_t row);

}  // namespace retort
