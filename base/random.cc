// SPDX-License-Identifier: Apache-2.0
#include "base/random.h"

#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

namespace retort {

PhiloxCounter Philox(PhiloxCounter c, PhiloxKey k) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53} * c[0];
    const uint64_t p1 = uint64_t{0xCD9E8D57} * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k[0], static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k[1], static_cast<uint32_t>(p0)};
    k[0] += 0x9E3779B9;
    k[1] += 0xBB67AE85;
  }
  return c;
}

PhiloxKey MakeKey(uint64_t seed, RandomUse use, uint64_t a, uint64_t b) {
  const auto low = [](uint64_t v) { return static_cast<uint32_t>(v); };
  const auto high = [](uint64_t v) { return static_cast<uint32_t>(v >> 32); };
  // All coordinates pass through the cipher, so that keys of neighbouring seeds are unrelated.
  PhiloxCounter c = Philox({low(a), high(a), low(b), high(b)}, {low(seed), high(seed)});
  c = Philox({c[0], c[1], c[2], c[3] ^ static_cast<uint32_t>(use)}, {low(seed), high(seed)});
  return {c[0], c[1]};
}

uint64_t NameKey(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

uint32_t RandomStream::Next() {
  if (used_ == 4) {
    numbers_ =
        Philox({static_cast<uint32_t>(block_), static_cast<uint32_t>(block_ >> 32), 0, 0}, key_);
    ++block_;
    used_ = 0;
  }
  return numbers_[static_cast<size_t>(used_++)];
}

double RandomStream::Uniform() {
  const uint64_t high = Next() >> 5, low = Next() >> 6;
  return static_cast<double>(high * 67108864 + low) * 0x1.0p-53;
}

double RandomStream::Normal() {
  const double radius = std::sqrt(-2 * std::log(1 - Uniform()));
  return radius * std::cos(2 * std::numbers::pi * Uniform());
}

uint64_t RandomStream::Below(uint64_t n) {
  const uint64_t limit = ~uint64_t{0} - ~uint64_t{0} % n;
  for (;;) {
    const uint64_t high = Next();
    const uint64_t value = high << 32 | Next();
    if (value < limit) return value % n;
  }
}

namespace {

template <class T>
void FisherYates(std::vector<T>& values, PhiloxKey key) {
  RandomStream random(key);
  for (size_t i = values.size(); i-- > 1;) std::swap(values[i], values[random.Below(i + 1)]);
}

}  // namespace

void Shuffle(std::vector<uint32_t>& values, PhiloxKey key) { FisherYates(values, key); }

std::vector<int64_t> Permutation(int64_t n, PhiloxKey key) {
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  FisherYates(order, key);
  return order;
}

}  // namespace retort
