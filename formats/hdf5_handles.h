// SPDX-License-Identifier: Apache-2.0
// What the HDF5 reader and writer share: handles that close themselves, types, errors. The
// library's own types are spelt out (hid_t is int64_t, herr_t int), so that its header stays in
// source files; formats/hdf5_handles.cc asserts that they are so.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <utility>

#include "base/error.h"
#include "formats/hdf5.h"

namespace retort::hdf5 {

// Owns one id of the library. The library counts references: closing is always this object's job.
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
  // Closes now, for the error: negative when it failed.
  int Release() { return id_ >= 0 ? close_(std::exchange(id_, -1)) : 0; }

 private:
  int64_t id_ = -1;
  Close close_ = nullptr;
};

// Held by whoever is in the library: keeps other threads out of it, which its global state demands,
// and the library from printing its error stack. A thread may hold several.
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

// The innermost description on the library's error stack, on one line.
std::string Reason();

// The id or status when it is good; throws Error{kFailure} "PLACE: REASON" when it is negative.
template <class T>
T Checked(T result, std::string_view place) {
  if (result < 0) throw Failure(place, ": HDF5: ", Reason());
  return result;
}

int64_t FileType(Hdf5Type type);    // borrowed from the library
int64_t MemoryType(Hdf5Type type);  // borrowed from the library
size_t BytesOf(Hdf5Type type);

}  // namespace retort::hdf5
