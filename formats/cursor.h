// SPDX-License-Identifier: Apache-2.0
// Reading little-endian fields out of bytes that are not trusted.
#pragma once

#include <bit>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/error.h"
#include "base/file.h"

namespace retort {

static_assert(std::endian::native == std::endian::little, "files are little-endian");

// A place in a file's bytes that never leaves them: a field that does not fit in what is left is
// refused with the file, the byte and the place in words. Borrows the bytes.
class Cursor {
 public:
  Cursor(Bytes bytes, std::string where) : bytes_(bytes), where_(std::move(where)) {}

  uint64_t at() const { return at_; }
  uint64_t left() const { return bytes_.size() - at_; }

  // What is being read, for errors: "metadata key 3".
  void SetPlace(std::string place) { place_ = std::move(place); }

  template <class T>
  T Read(std::string_view what) {
    static_assert(std::is_trivially_copyable_v<T>);
    T value;
    std::memcpy(&value, ReadBytes(sizeof(T), what).data(), sizeof(T));
    return value;
  }
  Bytes ReadBytes(uint64_t count, std::string_view what);

  // Refuses a count of things of which each takes at least `least_bytes` when what is left cannot
  // hold them, so that the caller may allocate for it.
  void CheckCount(uint64_t count, uint64_t least_bytes, std::string_view what) const;

  template <class... Args>
  [[noreturn]] void Fail(const Args&... args) const {
    Throw(Cat(args...));
  }

 private:
  [[noreturn]] void Throw(const std::string& problem) const;

  Bytes bytes_;
  std::string where_, place_;
  uint64_t at_ = 0;
};

}  // namespace retort
