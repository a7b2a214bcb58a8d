// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "base/error.h"
#include "base/large_pages.h"
#include "base/threads.h"
#include "bench/machine.h"
#include "bench/timing.h"

namespace retort {
namespace {

constexpr int64_t kShort = int64_t{4} << 20, kLong = int64_t{64} << 20;  // bytes per piece
constexpr int kRounds = 12;

// Independent sums, so that no addition depends on the previous one.
#ifdef __x86_64__
[[gnu::target_clones("avx512f", "avx2", "default")]]
#endif
#ifndef __clang__  // which vectorises at -O2 already
[[gnu::optimize("O3")]]
#endif
uint64_t
Sum(const uint64_t* words, int64_t count) {
  constexpr int64_t kLanes = 64;
  uint64_t sums[kLanes] = {};
  for (int64_t i = 0; i < count; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) sums[lane] += words[i + lane];
  }
  uint64_t sum = 0;
  for (const uint64_t s : sums) sum += s;
  return sum;
}

}  // namespace

int64_t LastCacheBytes() { return std::max<int64_t>(0, ::sysconf(_SC_LEVEL3_CACHE_SIZE)); }

double MeasureReadBandwidth(int threads) {
  const int64_t bytes = std::max(8 * kLong, (4 * LastCacheBytes() + kLong - 1) / kLong * kLong);
  const int64_t words = bytes / 8;
  const LargePages pages(bytes);
  auto* const buffer = reinterpret_cast<uint64_t*>(pages.data());
  ThreadPool pool(threads);
  std::fill_n(buffer, words, uint64_t{1});
  // Reads the whole buffer in pieces of `stretch` bytes, divided over the threads.
  const auto read = [&](int64_t stretch) {
    const int64_t stretch_words = stretch / 8;
    std::atomic<uint64_t> sum{0};
    const Stopwatch watch;
    pool.For(words / stretch_words, [&](int64_t piece, int) {
      sum += Sum(buffer + piece * stretch_words, stretch_words);
    });
    const double seconds = watch.seconds();
    RETORT_CHECK(sum == static_cast<uint64_t>(words), "read ", sum.load(), " words");
    return static_cast<double>(bytes) / seconds;
  };
  double best = 0;
  for (int i = 0; i < kRounds; ++i)
    best = std::max({best, read(kShort), read(kLong), read(bytes / 2)});
  return best;
}

}  // namespace retort
