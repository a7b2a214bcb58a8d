// SPDX-License-Identifier: Apache-2.0
// A file of scalars that TensorBoard reads: records of TensorFlow's Event message, each framed by
// its length and checksums (CRC-32C, masked), as tensorflow/core/lib/io/record_writer.h and
// core/util/event.proto describe them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file.h"

namespace retort {

// CRC-32C (Castagnoli) of the bytes.
uint32_t Crc32c(std::string_view bytes);

class EventFile {
 public:
  // Makes a new file in the folder. What earlier files there say of steps after `after_step` is
  // void.
  EventFile(const Path& folder, int64_t after_step);

  // Throws Error{kFailure} on a full disk.
  void Add(int64_t step, const std::vector<std::pair<std::string, double>>& scalars);

 private:
  void Write(std::string_view event);

  AppendFile file_;
};

}  // namespace retort
