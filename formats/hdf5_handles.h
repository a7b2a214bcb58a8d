// SPDX-License-Identifier: Apache-2.0
// What the HDF5 reader and writer share: handles that close themselves, types, errors. Includes
// the library's header: for formats/hdf5_*.cc alone.
#pragma once

#include <hdf5.h>

#include <string>
#include <utility>

#include "base/error.h"
#include "formats/hdf5.h"

namespace retort::hdf5 {

// Owns one id of the library. The library counts references: closing is always this object's job.
class Handle {
 public:
  using Close = herr_t (*)(hid_t);
  Handle() = default;
  Handle(hid_t id, Close close) : id_(id), close_(close) {}
  Handle(Handle&& other) noexcept
      : id_(std::exchange(other.id_, H5I_INVALID_HID)), close_(other.close_) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }

  hid_t id() const { return id_; }
  // Closes now, for the error: negative when it failed.
  herr_t Release() { return id_ >= 0 ? close_(std::exchange(id_, H5I_INVALID_HID)) : 0; }

 private:
  hid_t id_ = H5I_INVALID_HID;
  Close close_ = nullptr;
};

// Keeps the library from printing its error stack for as long as it lives.
class Quiet {
 public:
  Quiet() {
    H5Eget_auto2(H5E_DEFAULT, &function_, &data_);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  }
  ~Quiet() { H5Eset_auto2(H5E_DEFAULT, function_, data_); }
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;

 private:
  H5E_auto2_t function_ = nullptr;
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

hid_t FileType(Hdf5Type type);    // borrowed from the library
hid_t MemoryType(Hdf5Type type);  // borrowed from the library
size_t BytesOf(Hdf5Type type);

}  // namespace retort::hdf5
