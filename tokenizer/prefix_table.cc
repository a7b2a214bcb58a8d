// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/prefix_table.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/error.h"
#include "base/text.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

// The length of the common beginning of a and b, which is at least `known`.
size_t CommonPrefix(std::string_view a, std::string_view b, size_t known) {
  const size_t most = std::min(a.size(), b.size());
  size_t size = known;
  for (; size + 8 <= most; size += 8) {
    uint64_t x, y;
    std::memcpy(&x, a.data() + size, 8);
    std::memcpy(&y, b.data() + size, 8);
    if (x != y) return size + static_cast<size_t>(std::countr_zero(x ^ y)) / 8;
  }
  while (size < most && a[size] == b[size]) ++size;
  return size;
}

}  // namespace

PrefixTable::PrefixTable(const std::vector<std::string_view>& texts, const std::string& where,
                         std::string_view what, int nested) {
  std::vector<size_t> order;
  for (size_t i = 0; i < texts.size(); ++i) {
    if (texts[i].size() > kMaxBytes) {
      throw InputError(where, ": ", what, " ", Quoted(texts[i]), " has ", texts[i].size(),
                       " bytes; at most ", kMaxBytes, " are read");
    }
    if (!texts[i].empty()) order.push_back(i);
  }
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const int sign = texts[a].compare(texts[b]);
    return sign != 0 ? sign < 0 : a > b;
  });
  for (const size_t i : order) {
    entries_.push_back({bytes_.size(), texts[i].size(), i, -1});
    bytes_ += texts[i];
    ++first_entry_[static_cast<uint8_t>(texts[i][0]) + 1];
  }
  for (size_t byte = 1; byte < first_entry_.size(); ++byte)
    first_entry_[byte] += first_entry_[byte - 1];
  Link(where, what, nested);
}

// In sorted order, the texts that begin an entry's text are on the stack when it is reached.
void PrefixTable::Link(const std::string& where, std::string_view what, int nested) {
  std::vector<int32_t> stack;
  for (size_t i = 0; i < entries_.size(); ++i) {
    const std::string_view text = TextOf(entries_[i]);
    while (!stack.empty() && !text.starts_with(TextOf(entries_[static_cast<size_t>(stack.back())])))
      stack.pop_back();
    if (stack.size() >= static_cast<size_t>(nested)) {
      throw InputError(where, ": ", what, " ", Quoted(text), " begins with ", stack.size(),
                       " others; at most ", nested - 1, " are read");
    }
    if (!stack.empty()) entries_[i].shorter = stack.back();
    stack.push_back(static_cast<int32_t>(i));
  }
}

// A binary search for the last entry that is not behind the text. Every text that begins it begins
// that entry too, so it is the entry itself or one of its shorter ones. A comparison begins where
// the entries on both sides are known to agree with the text.
int32_t PrefixTable::Longest(std::string_view text, size_t pos) const {
  const std::string_view rest = text.substr(pos);
  const auto first = static_cast<uint8_t>(rest[0]);
  const int32_t begin = first_entry_[first];
  int32_t low = begin, high = first_entry_[first + 1];
  size_t agree_low = 1, agree_high = 1;
  while (low < high) {
    const int32_t middle = low + (high - low) / 2;
    const std::string_view entry = TextOf(entries_[static_cast<size_t>(middle)]);
    const size_t agree = CommonPrefix(entry, rest, std::min(agree_low, agree_high));
    const bool behind = agree < entry.size() &&
                        (agree == rest.size() ||
                         static_cast<uint8_t>(entry[agree]) > static_cast<uint8_t>(rest[agree]));
    (behind ? high : low) = behind ? middle : middle + 1;
    (behind ? agree_high : agree_low) = agree;
  }
  if (low == begin) return -1;
  int32_t entry = low - 1;
  while (entry >= 0 && entries_[static_cast<size_t>(entry)].size > agree_low)
    entry = Shorter(entry);
  return entry;
}

}  // namespace retort
