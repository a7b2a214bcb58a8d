// SPDX-License-Identifier: Apache-2.0
#include "data/teacher_rows.h"

#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "tensor/dtype.h"

namespace retort {
namespace {

constexpr uint16_t kLargest = 0x7bff;  // 65504
// f16 keeps 11 bits, so sum p is off by at most 2^-11 x the entropy: below 0.01 for 2^24 outcomes.
constexpr double kSumSlack = 0.02;

uint16_t ValueOf(float log_prob) {
  RETORT_CHECK(!std::isnan(log_prob) && log_prob <= 0, "log-probability ", log_prob);
  return ToF16(std::min(-log_prob, 65504.0f)).bits;
}

// Minus the f16 with these bits, which are at most kLargest. Exact: the exponent bias is 15 for f16
// and 127 for f32, hence the factor 2^112.
float LogProbOf(uint32_t value) { return std::bit_cast<float>(value << 13) * -0x1p112f; }

double SumOf(const TopTokens& rows, int64_t row) {
  double sum = std::exp(double{rows.tail[static_cast<size_t>(row)]});
  for (int64_t j = row * rows.k; j < (row + 1) * rows.k; ++j) {
    sum += std::exp(double{rows.log_probs[static_cast<size_t>(j)]});
  }
  return sum;
}

}  // namespace

void EncodeRows(const TeacherLayout& layout, const TopTokens& rows, StoredRows& out) {
  RETORT_CHECK(rows.k == layout.kept, rows.k, " kept, the cache holds ", layout.kept);
  for (int64_t row = 0; row < rows.n; ++row) {
    RETORT_CHECK(std::abs(std::log(SumOf(rows, row))) < 1e-3, "a row sums to ", SumOf(rows, row));
    int64_t previous = 0;
    for (int64_t j = 0; j < layout.kept; ++j) {
      const auto at = static_cast<size_t>(row * layout.kept + j);
      const uint16_t value = ValueOf(rows.log_probs[at]);
      const int32_t id = rows.ids[at];
      if (layout.all_kept()) {
        RETORT_CHECK(id == j, "id ", id, " in place ", j);
        out.values.push_back(value);
        continue;
      }
      RETORT_CHECK(id >= 0 && id < layout.vocab && value >= previous, "id ", id, " in place ", j);
      out.values.push_back(static_cast<uint16_t>(value - previous));
      previous = value;
      out.ids.push_back(static_cast<uint16_t>(id & 0xffff));
      if (layout.wide_ids()) out.high_ids.push_back(static_cast<uint8_t>(id >> 16));
    }
    if (!layout.all_kept()) out.tails.push_back(ValueOf(rows.tail[static_cast<size_t>(row)]));
  }
}

double Renormalize(TopTokens& rows, int64_t row) {
  const double log_sum = std::log(SumOf(rows, row));
  for (int64_t j = row * rows.k; j < (row + 1) * rows.k; ++j) {
    rows.log_probs[static_cast<size_t>(j)] -= static_cast<float>(log_sum);
  }
  rows.tail[static_cast<size_t>(row)] -= static_cast<float>(log_sum);
  return log_sum;
}

RowDecoder::RowDecoder(const TeacherLayout& layout) : layout_(layout) {
  if (!layout.all_kept()) seen_.resize(static_cast<size_t>(layout.vocab));
  values_.resize(static_cast<size_t>(layout.kept));
}

void RowDecoder::DecodeIds(const StoredRows& stored, int64_t row, std::span<int32_t> ids,
                           const std::string& place) {
  const auto first = static_cast<size_t>(row * layout_.kept);
  if (layout_.all_kept()) return std::iota(ids.begin(), ids.end(), 0);
  ++serial_;
  for (size_t j = 0; j < ids.size(); ++j) {
    ids[j] = stored.ids[first + j];
    if (layout_.wide_ids()) ids[j] |= int32_t{stored.high_ids[first + j]} << 16;
    if (ids[j] >= layout_.vocab) {
      throw InputError(place, ": row ", row, " holds id ", ids[j], ", expected below ",
                       layout_.vocab);
    }
    if (std::exchange(seen_[static_cast<size_t>(ids[j])], serial_) == serial_) {
      throw InputError(place, ": row ", row, " holds id ", ids[j], " twice");
    }
  }
}

void RowDecoder::DecodeValues(const StoredRows& stored, int64_t row, std::span<float> log_probs,
                              const std::string& place) {
  const uint16_t* in = stored.values.data() + row * layout_.kept;
  if (layout_.all_kept())
    std::copy_n(in, values_.size(), values_.begin());
  else
    std::inclusive_scan(in, in + layout_.kept, values_.begin(), std::plus<uint32_t>(), uint32_t{0});
  if (std::ranges::max(values_) > kLargest) {
    throw InputError(place, ": row ", row, " holds no log-probabilities");
  }
  std::ranges::transform(values_, log_probs.begin(), LogProbOf);
}

void RowDecoder::Decode(const StoredRows& stored, int64_t begin, int64_t n,
                        const std::string& place, TopTokens& out, int64_t at) {
  const auto kept = static_cast<size_t>(layout_.kept);
  for (int64_t row = begin; row < begin + n; ++row, ++at) {
    const size_t first = static_cast<size_t>(at) * kept;
    DecodeIds(stored, row, std::span(out.ids).subspan(first, kept), place);
    DecodeValues(stored, row, std::span(out.log_probs).subspan(first, kept), place);
    float& tail = out.tail[static_cast<size_t>(at)];
    tail = -std::numeric_limits<float>::infinity();
    if (!layout_.all_kept()) {
      const uint16_t value = stored.tails[static_cast<size_t>(row)];
      if (value > kLargest) throw InputError(place, ": row ", row, " holds no log-probabilities");
      tail = LogProbOf(value);
    }
    const double log_sum = Renormalize(out, at);
    if (!(std::abs(log_sum) < kSumSlack)) {
      throw InputError(place, ": row ", row, " sums to ", std::exp(log_sum), ", expected 1");
    }
  }
}

}  // namespace retort
