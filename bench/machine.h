// SPDX-License-Identifier: Apache-2.0
// What this machine can do at most: the limits that every figure of `retort bench` is a share of.
// Each is the best of several, by whichever way was fastest: a low limit would flatter us.
#pragma once

#include <cstdint>
#include <string>

#include "tensor/backend.h"

namespace retort {

struct GemmPeak {
  double per_second = 0;  // multiplications and additions: 2 M N K a product
  std::string by;         // the library and how its threads were laid, "onednn, its own threads"
};
// The fastest 512 x 2048 x 2048 products of two dense matrices of this type. OpenBLAS (f32) and
// oneDNN compete, oneDNN both with its own threads and with a product a thread of ours. Takes
// about a second. A type that the processor lacks is measured as oneDNN emulates it.
GemmPeak MeasureGemmPeak(Compute compute, int threads);
// The higher of two: measured before and after the work, on a machine whose clock wanders.
inline const GemmPeak& Higher(const GemmPeak& a, const GemmPeak& b) {
  return a.per_second < b.per_second ? b : a;
}

// Bytes of the last cache, which a virtual machine shares with others; 0 where the system does not
// say.
int64_t LastCacheBytes();

// Bytes a second of the fastest sequential read of 512 MiB, or of four times the last cache where
// that is more: a cache keeps part of what is not several times its size. Every thread has a
// stretch of its own.
double MeasureReadBandwidth(int threads);

// The most memory this process has had resident so far (VmHWM).
int64_t PeakRssBytes();

}  // namespace retort
