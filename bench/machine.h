// SPDX-License-Identifier: Apache-2.0
// The limits of this machine, to which `retort bench` relates its results. Each is the best of
// several measurements with several implementations, because too low a limit would make Retort look
// better than it is.
#pragma once

#include <cstdint>
#include <string>

#include "tensor/backend.h"

namespace retort {

struct GemmPeak {
  double per_second = 0;  // multiplications and additions: 2 M N K per product
  std::string by;         // the library and its use of threads: "onednn, its own threads"
};
// The rate of the fastest 512 x 2048 x 2048 product of two dense matrices of this type, among
// OpenBLAS (f32) and oneDNN; oneDNN both with its own threads and with one product per thread of a
// ThreadPool. Takes about a second. A type that the processor does not support is measured in
// oneDNN's emulation.
GemmPeak MeasureGemmPeak(Compute compute, int threads);
// The higher of two peaks. Peaks are measured before and after the timed work, because the clock
// frequency of a machine varies.
inline const GemmPeak& Higher(const GemmPeak& a, const GemmPeak& b) {
  return a.per_second < b.per_second ? b : a;
}

// Bytes of the last-level cache, which a virtual machine shares with others; 0 if the system does
// not report it.
int64_t LastCacheBytes();

// Bytes per second of the fastest sequential read of 512 MiB, or of four times the last-level cache
// if that is more: a cache holds a considerable part of a smaller range. Each thread reads its own
// part of the range.
double MeasureReadBandwidth(int threads);

// The peak resident memory of this process so far (VmHWM).
int64_t PeakRssBytes();

}  // namespace retort
