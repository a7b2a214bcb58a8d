// SPDX-License-Identifier: Apache-2.0
// Maps text to id for a whole vocabulary, usually with one probe and one comparison.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace retort {

inline uint64_t HashText(std::string_view text) {
  const auto load = [&](size_t at, auto part) -> uint64_t {
    std::memcpy(&part, text.data() + at, sizeof part);
    return part;
  };
  const auto mix = [](uint64_t hash, uint64_t part) {
    hash = (hash ^ part) * 0x9E3779B97F4A7C15u;
    return hash ^ hash >> 29;
  };
  const size_t size = text.size();
  uint64_t hash = size;
  for (size_t at = 0; at + 8 < size; at += 8) hash = mix(hash, load(at, uint64_t{}));
  // The last eight bytes, which may overlap those already read; for shorter texts, all bytes.
  if (size >= 8) return mix(hash, load(size - 8, uint64_t{}));
  if (size >= 4) return mix(hash, load(0, uint32_t{}) << 32 | load(size - 4, uint32_t{}));
  if (size == 0) return hash;
  return mix(hash,
             load(0, uint8_t{}) << 16 | load(size / 2, uint8_t{}) << 8 | load(size - 1, uint8_t{}));
}

// Open addressing with a bounded load factor; the texts are borrowed.
class TextIndex {
 public:
  void Reserve(size_t texts) {
    size_t slots = 16;
    while (slots < 2 * texts) slots *= 2;
    slots_.assign(slots, Slot{});
  }
  // At most as many texts as were reserved. An existing text keeps its id.
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
