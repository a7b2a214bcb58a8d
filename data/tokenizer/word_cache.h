// SPDX-License-Identifier: Apache-2.0
// The ids of words met before. Text repeats its words, so most of it is encoded by looking here.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "data/tokenizer/text_index.h"

namespace retort {

// One place per hash, the newest word wins: bounded memory and no bookkeeping. Not thread-safe.
class WordCache {
 public:
  // Appends the word's ids and returns true when it is there.
  bool Get(std::string_view word, std::vector<int32_t>* ids) {
    if (word.size() > kMaxBytes) return false;
    const Entry& entry = entries_[Slot(word)];
    if (entry.bytes != word.size() || std::memcmp(entry.word, word.data(), word.size()) != 0) {
      return false;
    }
    ids->insert(ids->end(), entry.ids, entry.ids + entry.count);
    return true;
  }

  void Put(std::string_view word, const int32_t* ids, size_t count) {
    if (word.empty() || word.size() > kMaxBytes || count > kMaxIds) return;
    Entry& entry = entries_[Slot(word)];
    entry.bytes = static_cast<uint8_t>(word.size());
    entry.count = static_cast<uint8_t>(count);
    std::memcpy(entry.word, word.data(), word.size());
    std::memcpy(entry.ids, ids, count * sizeof *ids);
  }

 private:
  static constexpr size_t kSlotBits = 15, kMaxBytes = 30, kMaxIds = 8;
  struct Entry {  // 64 bytes, one cache line
    uint8_t bytes = 0, count = 0;
    char word[kMaxBytes] = {};
    int32_t ids[kMaxIds] = {};
  };

  static size_t Slot(std::string_view word) { return HashText(word) >> (64 - kSlotBits); }

  std::vector<Entry> entries_ = std::vector<Entry>(size_t{1} << kSlotBits);
};

}  // namespace retort
