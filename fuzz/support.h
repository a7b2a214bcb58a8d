// SPDX-License-Identifier: Apache-2.0
// Shared by the fuzz targets. Each target is one file with LLVMFuzzerTestOneInput, which gives its
// input to the functions that read such a file in the product (docs/fuzzing.md).
//
// An input may be refused with Error{kInput} or Error{kFailure}; any other exception is a fault and
// ends the program.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>

#include "base/file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace retort {

inline std::string_view TextOf(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Runs it; whether it was not refused.
bool Accepted(const std::function<void()>& action);

// A folder of this process, in the folder for temporary files, for readers that take a path. It is
// removed when the program ends in its own way; scripts/fuzz removes what a crash leaves.
class FuzzFolder {
 public:
  FuzzFolder();
  ~FuzzFolder();
  FuzzFolder(const FuzzFolder&) = delete;
  FuzzFolder& operator=(const FuzzFolder&) = delete;

  const Path& path() const { return path_; }
  // Replaces the file's bytes, without waiting for a disk.
  Path Put(std::string_view name, std::string_view bytes) const;
  void Remove(std::string_view name) const;

 private:
  Path path_;
};

// The parts of an input before and after its first `separator`. Without one the second is empty.
struct Halves {
  std::string_view first, second;
};
Halves Cut(std::string_view text, std::string_view separator);

// Reads every byte, so that a sanitizer sees one outside its file.
void Touch(Bytes bytes);

}  // namespace retort
