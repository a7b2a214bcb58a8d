// SPDX-License-Identifier: Apache-2.0
// HDF5 files for the tests: a sample with every type, and seals for files that tests made or
// changed.
#pragma once

#include <cmath>
#include <limits>
#include <numeric>

#include "base/seal.h"
#include "formats/hdf5.h"
#include "formats/hdf5_handles.h"
#include "tests/formats/support.h"

namespace retort {

template <class T>
std::vector<T> Ramp(size_t n, T first) {
  std::vector<T> out(n);
  std::iota(out.begin(), out.end(), first);
  return out;
}

inline Hdf5Stamp WriteSample(const Path& path) {
  Hdf5Writer writer(path);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  writer.Write<float>("optimizer/m/model.layers.0.q_proj", {3, 2},
                      std::vector<float>{1, -0.0f, 1e-45f, nan, INFINITY, 0.1f});
  writer.Write<double>("sums", {1}, std::vector<double>{0.1});
  writer.Write<int32_t>("ids", {100, 7}, Ramp<int32_t>(700, -5), {.chunk_rows = 16, .gzip = 4});
  writer.Write<int64_t>("steps", {5}, std::vector<int64_t>{1, INT64_MIN, INT64_MAX, 0, -1},
                        {.chunk_rows = 2});
  writer.Write<uint8_t>("bytes", {256}, Ramp<uint8_t>(256, 0));
  writer.Write<uint16_t>("halves", {3, 2}, std::vector<uint16_t>{0, 1, 255, 256, 32768, 65535},
                         {.chunk_rows = 2, .gzip = 1});
  writer.Write<float>("nothing", {0, 4}, std::vector<float>{}, {.chunk_rows = 8, .gzip = 1});
  writer.SetText("kind", "trainer state ✓");
  writer.SetText("empty", "");
  writer.SetInt("step", int64_t{1} << 40);
  writer.SetNumber("loss", 0.1);
  return writer.Commit();
}

// What the writer would return for the file as it is now: seals it whatever it holds.
inline Hdf5Stamp StampOf(const Path& path) {
  const std::string text = ReadText(path);
  const Bytes bytes = std::as_bytes(std::span(text));
  return {Sha256(text), Seal(hdf5::kSealPurpose, bytes), static_cast<int64_t>(text.size())};
}

inline Hdf5Reader OpenAnyway(const Path& path) {
  return Hdf5Reader::OpenSealed(path, StampOf(path));
}

}  // namespace retort
