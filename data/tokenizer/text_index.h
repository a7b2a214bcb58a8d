// SPDX-License-Identifier: Apache-2.0
// Text to id for a whole vocabulary: one probe, as a rule, and one comparison.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace retort {

inline uint64_t HashText(std::string_view text) {
  uint64_t hash = text.size();
  for (size_t i = 0; i < text.size(); i += 8) {
    uint64_t part = 0;
    std::memcpy(&part, text.data() + i, std::min<size_t>(8, text.size() - i));
    hash = (hash ^ part) * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 29;
  }
  return hash;
}

// Open addressing with a limited load; the texts belong to somebody else.
class TextIndex {
 public:
  void Reserve(size_t texts) {
    size_t slots = 16;
    while (slots < 2 * texts) slots *= 2;
    slots_.assign(slots, Slot{});
  }
  // At most as many as were reserved. A text that is there already keeps its id.
  void Put(std::string_view text, int32_t id) {
    const uint64_t hash = HashText(text);
    size_t i = hash & (slots_.size() - 1);
    for (; slots_[i].id >= 0; i = (i + 1) & (slots_.size() - 1)) {
      if (slots_[i].hash == hash && slots_[i].text == text) return;
    }
    slots_[i] = {hash, text, id};
  }
  int32_t Find(std::string_view text) const {  // -1 when absent
    const uint64_t hash = HashText(text);
    for (size_t i = hash & (slots_.size() - 1); slots_[i].id >= 0;
         i = (i + 1) & (slots_.size() - 1)) {
      if (slots_[i].hash == hash && slots_[i].text == text) return slots_[i].id;
    }
    return -1;
  }

 private:
  struct Slot {
    uint64_t hash = 0;
    std::string_view text;
    int32_t id = -1;
  };
  std::vector<Slot> slots_ = std::vector<Slot>(1);
};

}  // namespace retort
