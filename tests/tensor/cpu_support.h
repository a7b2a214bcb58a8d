// SPDX-License-Identifier: Apache-2.0
// Shared by the tests of the CPU's kernels.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tensor/cpu/cpu_backend.h"

namespace retort {

// Runs body(backend) with one, two and three threads and every width of vectors that this
// processor has, and expects the bytes that body returns to depend on the width alone.
template <class Body>
void ForCpuBackends(const Body& body, Compute compute = Compute::kF32) {
  for (const Isa isa : {Isa::kPortable, Isa::kAvx2, Isa::kAvx512}) {
    if (isa > HostIsa()) continue;
    std::vector<float> one_thread;
    for (const int threads : {1, 2, 3}) {
      SCOPED_TRACE(testing::Message()
                   << "isa " << static_cast<int>(isa) << ", threads " << threads);
      CpuBackend backend(threads, compute);
      backend.set_isa(isa);
      const std::vector<float> result = body(backend);
      if (threads == 1) one_thread = result;
      ASSERT_EQ(result.size(), one_thread.size());
      for (size_t i = 0; i < result.size(); ++i) {
        ASSERT_EQ(std::bit_cast<uint32_t>(result[i]), std::bit_cast<uint32_t>(one_thread[i]))
            << "element " << i;
      }
    }
  }
}

inline std::vector<float> RandomFloats(int64_t n, uint64_t seed, double spread = 1) {
  RandomStream random(MakeKey(seed, RandomUse::kData));
  std::vector<float> values(static_cast<size_t>(n));
  for (float& v : values) v = static_cast<float>(random.Normal() * spread);
  return values;
}

inline void Append(std::vector<float>& to, const std::vector<float>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

// The largest difference over the largest magnitude of what is expected.
inline double RelativeError(const std::vector<float>& actual, const std::vector<double>& expected) {
  EXPECT_EQ(actual.size(), expected.size());
  double worst = 0, largest = 1e-30;
  for (size_t i = 0; i < actual.size(); ++i) {
    const double difference = std::abs(actual[i] - expected[i]);
    if (!(difference <= worst)) worst = difference;  // a NaN too
    largest = std::max(largest, std::abs(expected[i]));
  }
  return worst / largest;
}

}  // namespace retort
