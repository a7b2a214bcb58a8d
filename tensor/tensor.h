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

// One block of memory, given back to where it came from when the last tensor over it is gone.
class Buffer {
 public:
  // Who may touch the bytes: anybody, or the kernels of a device alone.
  enum class Space : uint8_t { kHost, kDevice };

  virtual ~Buffer() = default;
  Space space() const { return space_; }
  // Where the bytes are, in their own space.
  std::byte* address() const { return data_; }
  // The same for the host. Throws Error{kBug} when the memory is a device's.
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

// Hands out memory, 64-byte aligned, and counts every byte of it. What is given back is kept for
// the next request, so that a loop that repeats itself asks the system for nothing. Like the
// backend that it belongs to it has one caller at a time, and takes no lock: a round of threads may
// neither allocate nor give back.
class Memory {
 public:
  virtual ~Memory() = default;
  virtual std::shared_ptr<Buffer> Allocate(int64_t bytes) = 0;  // uninitialised
  // For weights, which stay: one buffer behind the other in large pages, so that they stream. Takes
  // what it asks for, no size class; its memory is free again when all of its neighbours are given
  // back too.
  virtual std::shared_ptr<Buffer> AllocateLasting(int64_t bytes) = 0;
  virtual int64_t live_bytes() const = 0;  // handed out and not given back
  virtual int64_t peak_bytes() const = 0;  // the most that live_bytes ever was since ResetPeak
  // Addresses that buffers which come and go (Allocate) have from the system; untouched ones are no
  // memory yet.
  virtual int64_t held_bytes() const = 0;
  virtual void ResetPeak() = 0;
  virtual void Trim() = 0;  // gives what is free back to the system
};

std::shared_ptr<Memory> MakeHostMemory();

// A view of shared storage: copying one copies no elements. Constness is the view's, not the
// elements'. Not thread-safe to assign; elements follow the caller's discipline.
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
  int64_t rows() const { return cols() ? elements() / cols() : 0; }  // all the others

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
  // For a device's own kernels: where the elements are in its space.
  std::byte* address() const { return buffer_ ? buffer_->address() + offset_ : nullptr; }

  Tensor Reshaped(Shape shape) const;               // same elements
  Tensor Part(int64_t begin, int64_t count) const;  // elements from `begin` on, as [count]
  Tensor RowRange(int64_t begin,
                  int64_t count) const;  // rows [begin, begin + count) as [count, cols]

 private:
  std::shared_ptr<Buffer> buffer_;
  int64_t offset_ = 0;
  Shape shape_;
  DType type_ = DType::kF32;
};

}  // namespace retort
