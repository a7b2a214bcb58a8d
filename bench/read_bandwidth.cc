// SPDX-License-Identifier: Apache-2.0
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "base/error.h"
#include "base/threads.h"
#include "bench/machine.h"
#include "bench/timing.h"

namespace retort {
namespace {

constexpr int64_t kBytes = int64_t{512} << 20;
constexpr int kRounds = 12;

// Anonymous pages, large ones where the system has them.
class Pages {
 public:
  Pages()
      : at_(::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    if (at_ == MAP_FAILED) throw Failure("no memory to measure the bandwidth with: ", ErrnoText());
    ::madvise(at_, kBytes, MADV_HUGEPAGE);
  }
  ~Pages() { ::munmap(at_, kBytes); }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  uint64_t* words() const { return static_cast<uint64_t*>(at_); }

 private:
  void* at_;
};

// Independent sums, so that no addition waits for the one before.
#ifdef __x86_64__
[[gnu::target_clones("avx512f", "avx2", "default")]]
#endif
[[gnu::optimize("O3")]] uint64_t
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

double MeasureReadBandwidth(int threads) {
  constexpr int64_t kStretch = int64_t{4} << 20;
  const Pages pages;
  ThreadPool pool(threads);
  constexpr int64_t kWords = kBytes / 8, kStretchWords = kStretch / 8;
  std::fill_n(pages.words(), kWords, uint64_t{1});
  // Each thread from its own end of the buffer, or all of them along one front.
  const auto read = [&](int64_t stretch_words) {
    std::atomic<uint64_t> sum{0};
    const Stopwatch watch;
    pool.For(kWords / stretch_words, [&](int64_t piece, int) {
      sum += Sum(pages.words() + piece * stretch_words, stretch_words);
    });
    const double seconds = watch.seconds();
    RETORT_CHECK(sum == static_cast<uint64_t>(kWords), "read ", sum.load(), " words");
    return static_cast<double>(kBytes) / seconds;
  };
  double best = 0;
  for (int i = 0; i < kRounds; ++i) {
    best = std::max({best, read(kStretchWords), read(kWords / 2), read(kWords / 8)});
  }
  return best;
}

}  // namespace retort
