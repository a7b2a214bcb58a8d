// SPDX-License-Identifier: Apache-2.0
// Finds which of many texts another text begins with.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace retort {

class PrefixTable {
 public:
  static constexpr size_t kMaxBytes = 4096;  // of one text
  static constexpr int kMaxNested = 256;     // texts that begin one another

  PrefixTable() = default;
  // Empty texts are left out. Throws Error{kInput} naming `where` and a text, a `what`, that is
  // longer than kMaxBytes or begins with `nested` or more others.
  PrefixTable(const std::vector<std::string_view>& texts, const std::string& where,
              std::string_view what, int nested = kMaxNested);

  // The entry of the longest text that text.substr(pos) begins with, -1 if there is none. Of equal
  // texts the first. Takes O(log n) comparisons, however many texts begin alike.
  int32_t Longest(std::string_view text, size_t pos) const;
  // The entry of the next shorter (or equal, but later given) text; -1: none.
  int32_t Shorter(int32_t entry) const { return entries_[static_cast<size_t>(entry)].shorter; }
  // The index of an entry's text in the list given.
  size_t IndexOf(int32_t entry) const { return entries_[static_cast<size_t>(entry)].index; }

 private:
  struct Entry {
    size_t begin, size;  // in bytes_
    size_t index;
    int32_t shorter;
  };
  std::string_view TextOf(const Entry& entry) const {
    return std::string_view(bytes_).substr(entry.begin, entry.size);
  }
  void Link(const std::string& where, std::string_view what, int nested);

  std::string bytes_;
  std::vector<Entry> entries_;              // sorted by text; of equal ones the first given last
  std::array<int32_t, 257> first_entry_{};  // by first byte
};

}  // namespace retort
