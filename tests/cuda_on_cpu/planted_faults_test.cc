// SPDX-License-Identifier: Apache-2.0
// The emulator finds what is wrong with kernels: each planted fault is reported by name, and the
// same kernel without it is not.
#include <gtest/gtest.h>

#include "base/error.h"
#include "tensor/cuda/reduce.h"

namespace retort::cuda {
namespace {

constexpr int kThreads = 64;

class PlantedFaultTest : public testing::Test {
 protected:
  // Memory of n floats, written if `values` is.
  Global<float> Floats(int64_t n, bool written = true) {
    void* at = queue_->Allocate(n * 4);
    if (written) {
      host_.assign(static_cast<size_t>(n), 1);
      queue_->CopyIn(at, host_.data(), n * 4);
      queue_->Finish();
    }
    return GlobalAt<float>(at, n * 4);
  }
  // The first fault of what was queued; "" without one.
  std::string Found() {
    try {
      queue_->Finish();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }
  template <class... Parameters, class... Arguments>
  std::string Run(void (*kernel)(Parameters...), const Arguments&... arguments) {
    Launch(*queue_, {2, kThreads}, kernel, arguments...);
    return Found();
  }

  std::unique_ptr<Queue> queue_ = MakeQueue();
  std::vector<float> host_;
};

// 1. A sum over a block. Races without the barrier between writing and reading.
template <bool kBarrier>
__global__ void SumOfBlock(Global<const float> x, Global<float> sum) {
  RETORT_SHARED(float, part, kThreads);
  part[threadIdx.x] = x[threadIdx.x];
  if (kBarrier) __syncthreads();
  if (threadIdx.x != 0) return;
  float all = 0;
  for (int i = 0; i < kThreads; ++i) all += part[i];
  sum[blockIdx.x] = all;
}

// 2. A reversal in place. Races without the barrier between reading and writing.
template <bool kBarrier>
__global__ void Reverse(Global<float> x) {
  RETORT_SHARED(float, part, kThreads);
  const int64_t base = int64_t{blockIdx.x} * kThreads;
  part[threadIdx.x] = x[base + threadIdx.x];
  __syncthreads();
  const float other = part[kThreads - 1 - threadIdx.x];
  if (kBarrier) __syncthreads();
  part[threadIdx.x] = other;
  x[base + threadIdx.x] = part[threadIdx.x];
}

// 3. A shifted copy that reads one element too many.
template <bool kBounded>
__global__ void Shift(Global<const float> x, Global<float> y, int64_t n) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (kBounded && i + 1 >= n) return;
  y[i] = x[i + 1];
}

// 4. A barrier that threads leave out.
template <bool kAll>
__global__ void SkippedBarrier(Global<float> x) {
  RETORT_SHARED(float, part, kThreads);
  part[threadIdx.x] = 1;
  if (kAll || threadIdx.x < 40) __syncthreads();
  x[int64_t{blockIdx.x} * kThreads + threadIdx.x] = part[threadIdx.x];
}

// 5. A sum over all blocks without atomics or a second launch.
template <bool kOnePlaceEach>
__global__ void SumOfGrid(Global<float> sum) {
  if (threadIdx.x == 0) sum[kOnePlaceEach ? blockIdx.x : 0] += 1;
}

// 6. A shuffle that lanes leave out.
template <bool kAll>
__global__ void SkippedShuffle(Global<float> x) {
  float v = 1;
  if (kAll || threadIdx.x % 32 < 16) v = WarpSum(v);
  x[int64_t{blockIdx.x} * kThreads + threadIdx.x] = v;
}

// 7. A copy that is read before it is waited for.
template <bool kWaited>
__global__ void EarlyRead(Global<const float> x, Global<float> y) {
  RETORT_SHARED(float, part, 4);
  if (threadIdx.x == 0) {
    CopyAsync16(part, x, true);
    CommitCopies();
    if (kWaited) WaitCopies<0>();
    y[blockIdx.x] = part[3];
  }
}

TEST_F(PlantedFaultTest, RaceOfAWriteAndARead) {
  const Global<float> x = Floats(kThreads), sum = Floats(2);
  EXPECT_EQ(Run(SumOfBlock<true>, x, sum), "");
  EXPECT_NE(Run(SumOfBlock<false>, x, sum), "");
}

TEST_F(PlantedFaultTest, RaceOfAReadAndAWrite) {
  const Global<float> x = Floats(2 * kThreads);
  EXPECT_EQ(Run(Reverse<true>, x), "");
  EXPECT_NE(Run(Reverse<false>, x).find("races"), std::string::npos);
}

TEST_F(PlantedFaultTest, ReadBeyondTheEnd) {
  const Global<float> x = Floats(2 * kThreads), y = Floats(2 * kThreads);
  EXPECT_EQ(Run(Shift<true>, x, y, 2 * kThreads), "");
  EXPECT_NE(Run(Shift<false>, x, y, 2 * kThreads).find("beyond the end"), std::string::npos);
}

TEST_F(PlantedFaultTest, BarrierThatNotAllReach) {
  const Global<float> x = Floats(2 * kThreads);
  EXPECT_EQ(Run(SkippedBarrier<true>, x), "");
  EXPECT_NE(Run(SkippedBarrier<false>, x).find("a barrier that not all"), std::string::npos);
}

TEST_F(PlantedFaultTest, RaceOfBlocks) {
  const Global<float> sum = Floats(2);
  EXPECT_EQ(Run(SumOfGrid<true>, sum), "");
  EXPECT_NE(Run(SumOfGrid<false>, sum).find("races"), std::string::npos);
}

TEST_F(PlantedFaultTest, ShuffleThatNotAllReach) {
  const Global<float> x = Floats(2 * kThreads);
  EXPECT_EQ(Run(SkippedShuffle<true>, x), "");
  EXPECT_NE(Run(SkippedShuffle<false>, x).find("a shuffle"), std::string::npos);
}

TEST_F(PlantedFaultTest, ReadOfACopyUnderWay) {
  const Global<float> x = Floats(4);
  const Global<float> y = Floats(2);
  EXPECT_EQ(Run(EarlyRead<true>, x, y), "");
  EXPECT_NE(Run(EarlyRead<false>, x, y).find("never written"), std::string::npos);
}

TEST_F(PlantedFaultTest, ReadOfMemoryNeverWritten) {
  const Global<float> y = Floats(2 * kThreads);
  const Global<float> x = Floats(2 * kThreads, false);
  EXPECT_NE(Run(Shift<true>, x, y, 2 * kThreads).find("never written"), std::string::npos);
}

TEST_F(PlantedFaultTest, UseAfterAFree) {
  host_.resize(kThreads);
  void* at = queue_->Allocate(kThreads * 8);
  queue_->Free(at);
  queue_->CopyOut(host_.data(), at, kThreads * 4);
  EXPECT_NE(Found().find("outside every allocation"), std::string::npos);
}

TEST_F(PlantedFaultTest, UseByAKernelAfterAFree) {
  const Global<float> y = Floats(2 * kThreads);
  void* at = queue_->Allocate(kThreads * 8);
  const auto x = GlobalAt<float>(at, kThreads * 8);
  queue_->Free(at);
  EXPECT_NE(Run(Shift<true>, y, x, 2 * kThreads).find("freed"), std::string::npos);
}

// 8. A copy into memory that other threads still read.
template <bool kBarrier>
__global__ void EarlyCopy(Global<const float> x, Global<float> y) {
  RETORT_SHARED(float, part, kThreads);
  part[threadIdx.x] = 1;
  __syncthreads();
  const float other = part[kThreads - 1 - threadIdx.x];
  if (kBarrier) __syncthreads();
  if (threadIdx.x < 4) CopyAsync16(part + 4 * threadIdx.x, x + 4 * threadIdx.x, true);
  CommitCopies();
  __syncthreads();
  WaitCopies<0>();
  y[int64_t{blockIdx.x} * kThreads + threadIdx.x] = other;
}

// 9. A shuffle in one branch and another one in the other.
template <bool kOne>
__global__ void TwoShuffles(Global<float> x) {
  float v = 1;
  if (kOne || threadIdx.x % 2 == 0) {
    v = __shfl_xor_sync(kAllLanes, v, 1);
  } else {
    v = __shfl_xor_sync(kAllLanes, v, 2);
  }
  x[int64_t{blockIdx.x} * kThreads + threadIdx.x] = v;
}

// 10. A word at an odd place.
template <bool kAligned>
__global__ void WordAt(Global<const float> x, Global<float> y) {
  if (threadIdx.x != 0) return;
  const uint32_t word = As<uint32_t>(As<uint8_t>(x) + (kAligned ? 4 : 2))[0];
  y[blockIdx.x] = FloatOf(word);
}

TEST_F(PlantedFaultTest, CopyIntoWhatIsRead) {
  const Global<float> x = Floats(kThreads);
  const Global<float> y = Floats(2 * kThreads);
  EXPECT_EQ(Run(EarlyCopy<true>, x, y), "");
  EXPECT_NE(Run(EarlyCopy<false>, x, y).find("races"), std::string::npos);
}

TEST_F(PlantedFaultTest, ShufflesOfTwoPlaces) {
  const Global<float> x = Floats(2 * kThreads);
  EXPECT_EQ(Run(TwoShuffles<true>, x), "");
  EXPECT_NE(Run(TwoShuffles<false>, x).find("lanes of a warp meet"), std::string::npos);
}

TEST_F(PlantedFaultTest, WordThatIsNotAligned) {
  const Global<float> x = Floats(4), y = Floats(2);
  EXPECT_EQ(Run(WordAt<true>, x, y), "");
  EXPECT_NE(Run(WordAt<false>, x, y).find("not aligned"), std::string::npos);
}

// One tile product against plain loops, and the tiles that it reads from shared memory.
__global__ void TileProduct(Global<const BF16> a, Global<const BF16> b, Global<float> d) {
  RETORT_SHARED(BF16, left, 16 * 16);
  RETORT_SHARED(BF16, right, 16 * 8);
  for (int i = static_cast<int>(threadIdx.x); i < 256; i += 32) left[i] = a[i];
  for (int i = static_cast<int>(threadIdx.x); i < 128; i += 32) right[i] = b[i];
  __syncthreads();
  const int lane = static_cast<int>(threadIdx.x);
  uint32_t x[4], y[4];
  // Matrices: rows 0-7 and 8-15 of columns 0-7, then of columns 8-15.
  LoadTiles<false>(x, left + (lane % 16 * 16 + lane / 16 * 8));
  LoadTiles<true>(y, right + lane % 16 * 8);
  float sum[4] = {};
  MultiplyTiles(sum, x, {y[0], y[1]});
  const int g = lane / 4, t = lane % 4;
  for (int i = 0; i < 4; ++i) d[(g + 8 * (i / 2)) * 8 + 2 * t + i % 2] = sum[i];
}

TEST_F(PlantedFaultTest, TilesMultiply) {
  std::vector<BF16> a(256), b(128);
  for (int i = 0; i < 256; ++i) a[static_cast<size_t>(i)] = ToBF16(static_cast<float>(i % 13 - 6));
  for (int i = 0; i < 128; ++i) b[static_cast<size_t>(i)] = ToBF16(static_cast<float>(i % 7 - 3));
  void *da = queue_->Allocate(512), *db = queue_->Allocate(256), *dd = queue_->Allocate(512);
  queue_->CopyIn(da, a.data(), 512);
  queue_->CopyIn(db, b.data(), 256);
  Launch(*queue_, {1, 32}, TileProduct, GlobalAt<const BF16>(da, 512),
         GlobalAt<const BF16>(db, 256), GlobalAt<float>(dd, 512));
  std::vector<float> got(128);
  queue_->CopyOut(got.data(), dd, 512);
  EXPECT_EQ(Found(), "");
  for (size_t i = 0; i < 16; ++i) {
    for (size_t j = 0; j < 8; ++j) {
      float want = 0;
      for (size_t k = 0; k < 16; ++k) want += ToFloat(a[i * 16 + k]) * ToFloat(b[k * 8 + j]);
      EXPECT_EQ(got[i * 8 + j], want) << i << ", " << j;
    }
  }
}

}  // namespace
}  // namespace retort::cuda
