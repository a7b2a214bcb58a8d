// SPDX-License-Identifier: Apache-2.0
// Shared by the HDF5 reader and writer: owning handles, types, errors. The library's types are
// written out (hid_t is int64_t, herr_t int), so that only source files include its header;
// formats/hdf5_handles.cc asserts that they match.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <utility>

#include "base/error.h"
#include "formats/hdf5.h"

namespace retort::hdf5 {

// Owns one id of the library and closes it. The library counts references.
class Handle {
 public:
  using Close = int (*)(int64_t);
  Handle() = default;
  Handle(int64_t id, Close close) : id_(id), close_(close) {}
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }

  int64_t id() const { return id_; }
  // Closes now and returns the library's status: negative when closing failed.
  int Release() { return id_ >= 0 ? close_(std::exchange(id_, -1)) : 0; }

 private:
  int64_t id_ = -1;
  Close close_ = nullptr;
};

// Held during every call into the library. Excludes other threads, because the library has global
// state, and disables the printing of its error stack. Recursive: a thread may hold several.
class InLibrary {
 public:
  InLibrary();
  ~InLibrary();
  InLibrary(const InLibrary&) = delete;
  InLibrary& operator=(const InLibrary&) = delete;

 private:
  std::unique_lock<std::recursive_mutex> lock_;
  int (*function_)(int64_t, void*) = nullptr;
  void* data_ = nullptr;
};

// What Hdf5Writer's seals are for (base/seal.h).
inline constexpr std::string_view kSealPurpose = "retort hdf5 1";

// The innermost description on the library's error stack, on one line of at most 200 bytes.
std::string Reason();

// Returns `result`, an id or status; throws Error{kFailure} "PLACE: HDF5: REASON" if it is
// negative.
template <class T>
T Checked(T result, std::string_view place) {
  if (result < 0) throw Failure(place, ": HDF5: ", Reason());
  return result;
}

int64_t FileType(Hdf5Type type);    // borrowed from the library
int64_t MemoryType(Hdf5Type type);  // borrowed from the library
size_t BytesOf(Hdf5Type type);

}  // namespace retort::hdf5
