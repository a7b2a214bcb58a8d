// SPDX-License-Identifier: Apache-2.0
// Hashes under a key that is drawn when the process starts, so that nobody can write a file whose
// entries all fall into one place of a table. Values differ from run to run: use them for looking
// up, never for anything that is kept or that decides an order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <string_view>

namespace retort {

struct HashKey {
  uint64_t start, factor;
};

inline const HashKey& ProcessHashKey() {
  static const HashKey key = [] {
    std::random_device device;
    const auto draw = [&] { return uint64_t{device()} << 32 | device(); };
    return HashKey{draw(), draw() | 1};
  }();
  return key;
}

// Both halves of the product of value and the key's factor, so that every bit depends on all bits.
inline uint64_t SeededHash(uint64_t value, const HashKey& key = ProcessHashKey()) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(value ^ key.start) * key.factor;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

inline uint64_t SeededHash(std::string_view text, const HashKey& key = ProcessHashKey()) {
  const auto load = [&](size_t at, auto part) -> uint64_t {
    std::memcpy(&part, text.data() + at, sizeof part);
    return part;
  };
  const size_t size = text.size();
  uint64_t hash = SeededHash(uint64_t{size}, key);
  for (size_t at = 0; at + 8 < size; at += 8) hash = SeededHash(hash ^ load(at, uint64_t{}), key);
  // The last eight bytes, which may overlap those already read; for shorter texts, all bytes.
  uint64_t last = 0;
  if (size >= 8) {
    last = load(size - 8, uint64_t{});
  } else if (size >= 4) {
    last = load(0, uint32_t{}) << 32 | load(size - 4, uint32_t{});
  } else if (size > 0) {
    last = load(0, uint8_t{}) << 16 | load(size / 2, uint8_t{}) << 8 | load(size - 1, uint8_t{});
  }
  return SeededHash(hash ^ last, key);
}

// For the standard library's unordered containers of texts.
struct SeededTextHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return SeededHash(text); }
};

}  // namespace retort
