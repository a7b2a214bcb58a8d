// SPDX-License-Identifier: Apache-2.0
// Tensors: a shape and a type over counted storage. Row-major, contiguous, up to four dimensions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "tensor/dtype.h"

namespace retort {

class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> dims);
  int rank() const { return rank_; }
  int64_t operator[](int i) const { return dims_[static_cast<size_t>(i)]; }
  int64_t back() const { return rank_ ? dims_[static_cast<size_t>(rank_ - 1)] : 1; }
  int64_t elements() const;  // 1 for rank 0
  bool operator==(const Shape& other) const;
  std::string text() const;  // "[4, 1024]"

 private:
  int rank_ = 0;
  std::array<int64_t, 4> dims_{};
};

// One block of memory, returned to its allocator when the last tensor that uses it is destroyed.
class Buffer {
 public:
  // Who may access the bytes: any code, or only the kernels of a device.
  enum class Space : uint8_t { kHost, kDevice };

  virtual ~Buffer() = default;
  Space space() const { return space_; }
  // The address of the bytes in their own space.
  std::byte* address() const { return data_; }
  // The same for access by the host. Throws Error{kBug} when the memory is a device's.
  std::byte* data() const {
    RETORT_CHECK(space_ == Space::kHost, "the host reads a device's memory");
    return data_;
  }
  int64_t bytes() const { return bytes_; }

 protected:
  std::byte* data_ = nullptr;
  int64_t bytes_ = 0;
  Space space_ = Space::kHost;
};

// Allocates memory, 64-byte aligned, and counts every byte of it. Freed memory is kept for later
// requests, so that a loop of equal steps makes no system calls. Not thread-safe: like the backend
// that it belongs to, it has one caller at a time and no lock. Inside a parallel section
// (ThreadPool::For) allocating throws Error{kBug}, and freeing is not allowed.
class Memory {
 public:
  virtual ~Memory() = default;
  virtual std::shared_ptr<Buffer> Allocate(int64_t bytes) = 0;  // uninitialised
  // For long-lived weights: buffers are packed one after the other in large pages, for fast
  // sequential reads. Sizes are not rounded up to a size class. The memory becomes free when all
  // buffers of the region have been freed.
  virtual std::shared_ptr<Buffer> AllocateLasting(int64_t bytes) = 0;
  virtual int64_t live_bytes() const = 0;  // allocated and not freed
  virtual int64_t peak_bytes() const = 0;  // the maximum of live_bytes since ResetPeak
  // Bytes of address space taken from the system for short-lived buffers (Allocate), including
  // pages that were never touched.
  virtual int64_t held_bytes() const = 0;
  // Bytes that may be resident: of those regions, what was ever allocated, and of the lasting ones
  // what is in use.
  virtual int64_t reached_bytes() const = 0;
  virtual void ResetPeak() = 0;
  virtual void Trim() = 0;  // returns free memory to the system
};

std::shared_ptr<Memory> MakeHostMemory();

// A view of shared storage: copying a tensor copies no elements. A const Tensor is a constant view
// of mutable elements. Assignment is not thread-safe; callers synchronise access to the elements.
class Tensor {
 public:
  Tensor() = default;
  Tensor(std::shared_ptr<Buffer> buffer, Shape shape, DType type, int64_t byte_offset = 0);
  static Tensor Make(Memory& memory, Shape shape, DType type);  // uninitialised

  explicit operator bool() const { return buffer_ != nullptr; }
  const Shape& shape() const { return shape_; }
  DType dtype() const { return type_; }
  int64_t elements() const { return buffer_ ? shape_.elements() : 0; }
  int64_t bytes() const { return elements() * SizeOf(type_); }
  int64_t cols() const { return shape_.back(); }                     // the last dimension
  int64_t rows() const { return cols() ? elements() / cols() : 0; }  // product of the others

  // The elements; T must match the type, and the memory must be the host's (Buffer::space()).
  template <class T>
  T* data() const {
    RETORT_CHECK(kDTypeOf<T> == type_, "tensor is ", NameOf(type_));
    return reinterpret_cast<T*>(raw());
  }
  std::byte* raw() const {
    return buffer_ && buffer_->data() ? buffer_->data() + offset_ : nullptr;
  }
  Buffer::Space space() const { return buffer_ ? buffer_->space() : Buffer::Space::kHost; }
  // For a device's own kernels: the address of the elements in its space.
  std::byte* address() const { return buffer_ ? buffer_->address() + offset_ : nullptr; }

  Tensor Reshaped(Shape shape) const;               // same elements
  Tensor Part(int64_t begin, int64_t count) const;  // elements [begin, begin + count) as [count]
  // Rows [begin, begin + count) as [count, cols].
  Tensor RowRange(int64_t begin, int64_t count) const;

 private:
  std::shared_ptr<Buffer> buffer_;
  int64_t offset_ = 0;
  Shape shape_;
  DType type_ = DType::kF32;
};

}  // namespace retort
