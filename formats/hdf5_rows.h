// SPDX-License-Identifier: Apache-2.0
// What the child process that reads an HDF5 file sends to its parent: records that each begin with
// a byte for their kind and end with kEnd or kFault. Numbers are as this machine holds them: both
// ends run the same program.
//
//   kDataset    name, u8 type (kNoType for others), u8 rank, i64 shape[rank], i64 stored bytes,
//               u64 n, n bytes of values
//   kText       name, text             kInt      name, i64
//   kNumber     name, f64              kFault    text: why the file cannot be read
//
// A name or text is a u32 length and its bytes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace retort::hdf5 {

enum class Record : uint8_t { kDataset = 1, kText, kInt, kNumber, kFault, kEnd };
inline constexpr uint8_t kNoType = 255;
inline constexpr size_t kLongestName = 1000;
inline constexpr size_t kLongestFault = 2000;

}  // namespace retort::hdf5
