// SPDX-License-Identifier: Apache-2.0
// A device: its memory, its copies from and to the host, and its queue. Kernels and copies run in
// the order of their calls, possibly after the call has returned. Freed memory is reused only by
// later calls. The host may not access a device's memory (Buffer::space()) unless both are the
// same.
//
// Not thread-safe: one caller at a time.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/threads.h"
#include "tensor/prepared.h"
#include "tensor/tensor.h"
#include "tensor/weight.h"

namespace retort {

// A point in a device's queue. 0: nothing to wait for.
struct Event {
  uint64_t number = 0;
};

class Device {
 public:
  virtual ~Device() = default;

  virtual std::string name() const = 0;  // "cpu"
  virtual Memory& memory() = 0;
  // Counted host memory, for preparing weights and receiving results. The same as memory() on a
  // device that computes in host memory.
  virtual Memory& host_memory() { return memory(); }
  // The host's threads; the caller may use them for its own work between kernels.
  virtual ThreadPool& pool() = 0;
  int threads() { return pool().threads(); }

  // Copies host values to a new tensor, or to an existing one of the same size and type. The source
  // may be reused when the call returns.
  template <class T>
  Tensor Upload(std::span<const T> values, Shape shape) {
    Tensor to = Tensor::Make(memory(), shape, kDTypeOf<T>);
    UploadBytes(std::as_bytes(values), to);
    return to;
  }
  template <class T>
  Tensor Upload(const std::vector<T>& values) {
    return Upload(std::span(values), Shape{std::ssize(values)});
  }
  template <class T>
  void Upload(std::span<const T> values, const Tensor& to) {
    RETORT_CHECK(to.dtype() == kDTypeOf<T>, "values into ", NameOf(to.dtype()));
    UploadBytes(std::as_bytes(values), to);
  }
  // Copies the elements of x to `out`, which must not be touched until the event has passed.
  template <class T>
  Event Download(const Tensor& x, std::span<T> out) {
    RETORT_CHECK(x.dtype() == kDTypeOf<T>, "values from ", NameOf(x.dtype()));
    return DownloadBytes(x, std::as_writable_bytes(out));
  }
  // Returns when everything up to the event is done. Throws errors of kernels that failed after
  // their call had returned.
  virtual void Wait(Event event) = 0;
  template <class T>
  std::vector<T> ToHost(const Tensor& x) {
    std::vector<T> out(static_cast<size_t>(x.elements()));
    Wait(Download(x, std::span(out)));
    return out;
  }

  virtual PreparedWeight Prepare(const Weight& w, const WeightUse& use = {}) = 0;

 protected:
  virtual void UploadBytes(std::span<const std::byte> from, const Tensor& to) = 0;
  virtual Event DownloadBytes(const Tensor& x, std::span<std::byte> out) = 0;
};

}  // namespace retort
