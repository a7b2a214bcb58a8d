// SPDX-License-Identifier: Apache-2.0
// Maps text to id for a whole vocabulary, usually with one probe and one comparison.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/seeded_hash.h"

namespace retort {

// Open addressing with a bounded load factor and a seeded hash; the texts are borrowed.
class TextIndex {
 public:
  void Reserve(size_t texts) {
    size_t slots = 16;
    while (slots < 2 * texts) slots *= 2;
    slots_.assign(slots, Slot{});
  }
  // At most as many texts as were reserved. An existing text keeps its id.
  void Put(std::string_view text, int32_t id) {
    const uint64_t hash = SeededHash(text, key_);
    size_t i = hash & (slots_.size() - 1);
    for (; slots_[i].id >= 0; i = (i + 1) & (slots_.size() - 1)) {
      if (slots_[i].hash == hash && slots_[i].text == text) return;
    }
    slots_[i] = {hash, text, id};
  }
  int32_t Find(std::string_view text) const {  // -1 when absent
    const uint64_t hash = SeededHash(text, key_);
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
  HashKey key_ = ProcessHashKey();
  std::vector<Slot> slots_ = std::vector<Slot>(1);
};

}  // namespace retort
