// SPDX-License-Identifier: Apache-2.0
// Reading little-endian fields from untrusted bytes.
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

// A bounds-checked position in a file's bytes. A field that does not fit in the remaining bytes
// throws Error{kInput} with the file, the offset and the current place. Borrows the bytes.
class Cursor {
 public:
  Cursor(Bytes bytes, std::string where) : bytes_(bytes), where_(std::move(where)) {}

  uint64_t at() const { return at_; }
  uint64_t left() const { return bytes_.size() - at_; }

  // The part of the file being read, for errors: "metadata key 3".
  void SetPlace(std::string place) { place_ = std::move(place); }

  template <class T>
  T Read(std::string_view what) {
    static_assert(std::is_trivially_copyable_v<T>);
    T value;
    std::memcpy(&value, ReadBytes(sizeof(T), what).data(), sizeof(T));
    return value;
  }
  Bytes ReadBytes(uint64_t count, std::string_view what);

  // Throws Error{kInput} when `count` items of at least `least_bytes` each do not fit in the
  // remaining bytes. After it, allocating memory for the items is safe.
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
