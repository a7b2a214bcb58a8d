// SPDX-License-Identifier: Apache-2.0
// Caches the ids of words. Text repeats its words, so most of it is encoded from the cache.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace retort {

// One entry per hash; the newest word replaces the old one. It grows with the words it is given, up
// to 2 MiB, so that a short text pays for a small one. Not thread-safe.
class WordCache {
 public:
  static constexpr size_t kMaxBytes = 31, kMaxIds = 7;

  // A word and its hash. Words longer than kMaxBytes are not cached.
  class Key {
   public:
    // `word` is part of a longer text that ends at `end`.
    Key(std::string_view word, const char* end) : size_(word.size()) {
      if (size_ > kMaxBytes) return;
      // Loads 32 bytes as four machine words and zeros those past the word's end, without a loop.
      alignas(16) char bytes[32] = {};
      const char* from = word.data();
      if (end - from < 32) {
        std::memcpy(bytes, from, size_);
        from = bytes;
      }
      std::array<uint64_t, 4> mask;
      std::memcpy(parts_.data(), from, 32);
      std::memcpy(mask.data(), kMask.data() + 32 - size_, 32);
      for (size_t i = 0; i < 4; ++i) parts_[i] &= mask[i];
      hash_ = (parts_[0] * 0x9E3779B97F4A7C15u + parts_[1] * 0xC2B2AE3D27D4EB4Fu +
               parts_[2] * 0x165667B19E3779F9u + parts_[3] * 0xD6E8FEB86659FD93u + size_) *
              0x9E3779B97F4A7C15u;
    }

   private:
    friend class WordCache;
    static constexpr std::array<uint8_t, 64> kMask = [] {
      std::array<uint8_t, 64> mask{};
      for (size_t i = 0; i < 32; ++i) mask[i] = 0xFF;
      return mask;
    }();
    size_t size_;
    uint64_t hash_ = 0;
    std::array<uint64_t, 4> parts_{};
  };

  // Appends the word's ids and returns true if it is cached.
  bool Get(const Key& key, std::vector<int32_t>* ids) const {
    const Entry& entry = entries_[Slot(key)];
    if (entry.bytes != key.size_ || entry.parts != key.parts_ || entry.bytes == 0) return false;
    for (int i = 0; i < entry.count; ++i) ids->push_back(entry.ids[i]);
    return true;
  }

  void Put(const Key& key, const int32_t* ids, size_t count) {
    if (key.size_ > kMaxBytes || count > kMaxIds) return;
    if (++put_ > entries_.size() && bits_ < kMostBits) Grow();
    Entry& entry = entries_[Slot(key)];
    entry.parts = key.parts_;
    entry.bytes = static_cast<uint8_t>(key.size_);
    entry.count = static_cast<uint8_t>(count);
    std::memcpy(entry.ids, ids, count * sizeof *ids);
  }

 private:
  static constexpr int kFewestBits = 7, kMostBits = 15;  // of a slot's number
  struct alignas(64) Entry {                             // one cache line
    std::array<uint64_t, 4> parts{};
    int32_t ids[kMaxIds] = {};
    uint8_t bytes = 0, count = 0;  // bytes 0: empty
  };

  size_t Slot(const Key& key) const { return key.hash_ >> (64 - bits_); }

  // Forgets what it has: words that repeat come again.
  void Grow() {
    bits_ += 2, put_ = 0;
    entries_.assign(size_t{1} << bits_, {});
  }

  int bits_ = kFewestBits;
  size_t put_ = 0;  // since it last grew
  std::vector<Entry> entries_ = std::vector<Entry>(size_t{1} << kFewestBits);
};

}  // namespace retort
