// SPDX-License-Identifier: Apache-2.0
// Philox4x32-10 and its keys on the device: the same numbers as base/random.h.
#pragma once

#include "base/random.h"
#include "tensor/cuda/language/kernel_language.h"

namespace retort::cuda {

struct Words {
  uint32_t word[4];
};

__device__ inline Words PhiloxWords(Words c, uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53} * c.word[0];
    const uint64_t p1 = uint64_t{0xCD9E8D57} * c.word[2];
    c = {{static_cast<uint32_t>(p1 >> 32) ^ c.word[1] ^ key0, static_cast<uint32_t>(p1),
          static_cast<uint32_t>(p0 >> 32) ^ c.word[3] ^ key1, static_cast<uint32_t>(p0)}};
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
  return c;
}

// MakeKey(seed, use, row) of base/random.h.
struct RowKey {
  uint32_t low, high;
};
__device__ inline RowKey KeyOfRow(uint64_t seed, RandomUse use, int64_t row) {
  const auto low = static_cast<uint32_t>(seed), high = static_cast<uint32_t>(seed >> 32);
  const auto row_bits = static_cast<uint64_t>(row);
  Words key = PhiloxWords(
      {{static_cast<uint32_t>(row_bits), static_cast<uint32_t>(row_bits >> 32), 0, 0}}, low, high);
  key.word[3] ^= static_cast<uint32_t>(use);
  key = PhiloxWords(key, low, high);
  return {key.word[0], key.word[1]};
}

// Those of elements (t, 4 quad) ... (t, 4 quad + 3) of a mask or of noise.
__device__ inline Words QuadWords(RowKey key, int32_t token, int64_t quad) {
  return PhiloxWords({{static_cast<uint32_t>(token), static_cast<uint32_t>(quad), 0, 0}}, key.low,
                     key.high);
}

}  // namespace retort::cuda
